"""Totals over sessions, by model and overall. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from llmrepl.sessions.index.query import Row, TurnGroup


@dataclass(slots=True)
class Totals:
    """Totals over sessions. `cost` is the known part in USD, `unpriced` the number of turns without a cost."""

    sessions: int = 0
    tokens: int = 0
    turns: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def tokens_a_session(self) -> int:
        """The average, rounded down."""
        return self.tokens // self.sessions if self.sessions else 0

    @property
    def known_cost(self) -> float | None:
        """The cost in USD, or None if no turn has one."""
        return None if self.unpriced and self.unpriced == self.turns else self.cost

    def add(self, other: Totals) -> None:
        """Add other totals to these."""
        self.sessions += other.sessions
        self.tokens += other.tokens
        self.turns += other.turns
        self.cost += other.cost
        self.unpriced += other.unpriced


def total_by_model(rows: Iterable[Row], exists: Callable[[str], bool] = lambda name: True) -> dict[str, Totals]:
    """Compute the totals of each model.

    A turn counts for the model that answered it, a session for its current model. The turns that a fork copied are
    counted in the session that it forks, if that still `exists`.
    """
    found: dict[str, Totals] = {}
    for row in rows:
        group = TurnGroup(row.model, False, row.turns, row.tokens, row.cost, row.unpriced)
        found.setdefault(row.model, Totals()).sessions += 1
        for part in row.parts or (group,):
            if not (part.copied and exists(row.parent)):
                totals = Totals(0, part.tokens, part.turns, part.cost, part.unpriced)
                found.setdefault(part.model, Totals()).add(totals)
    return found


def merge_by_model(parts: Iterable[Mapping[str, Totals]]) -> dict[str, Totals]:
    """Merge the totals of several directories by model, most expensive first."""
    found: dict[str, Totals] = {}
    for part in parts:
        for model, sums in part.items():
            found.setdefault(model, Totals()).add(sums)
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost, item[0])))


def grand_total(sums: Iterable[Totals]) -> Totals:
    """Add up totals."""
    every = Totals()
    for one in sums:
        every.add(one)
    return every
