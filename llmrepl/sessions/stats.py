"""What sessions come to, for each model and in all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llmrepl.sessions.index.query import Row


@dataclass(slots=True)
class Totals:
    """Figures of some sessions. `cost` is the known part in USD, `unpriced` the turns without a cost."""

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
        """The cost, None if no turn has one."""
        return None if self.unpriced and self.unpriced == self.turns else self.cost

    def add(self, other: Totals) -> None:
        """Count others too."""
        self.sessions += other.sessions
        self.tokens += other.tokens
        self.turns += other.turns
        self.cost += other.cost
        self.unpriced += other.unpriced


def total_by_model(rows: Iterable[Row]) -> dict[str, Totals]:
    """The sums for each model."""
    found: dict[str, Totals] = {}
    for row in rows:
        found.setdefault(row.model, Totals()).add(Totals(1, row.tokens, row.turns, row.cost, row.unpriced))
    return found


def merge_by_model(parts: Iterable[Mapping[str, Totals]]) -> dict[str, Totals]:
    """The sums for each model in several directories, the one that cost most first."""
    found: dict[str, Totals] = {}
    for part in parts:
        for model, sums in part.items():
            found.setdefault(model, Totals()).add(sums)
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost, item[0])))


def grand_total(sums: Iterable[Totals]) -> Totals:
    """The sum of sums."""
    every = Totals()
    for one in sums:
        every.add(one)
    return every
