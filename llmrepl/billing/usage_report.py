"""Usage totals from the ledger, by model, day, session or provider. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrepl.billing.pricing import LedgerEntry

BREAKDOWNS = ("model", "day", "session", "provider")


@dataclass(slots=True)
class UsageRow:
    """Totals of requests. `cost` is the known part in USD, `unpriced` the number of requests without a cost."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, entry: LedgerEntry) -> None:
        """Add a request."""
        self.requests += 1
        self.prompt_tokens += entry.prompt_tokens
        self.completion_tokens += entry.completion_tokens
        self.cost += entry.cost or 0.0
        self.unpriced += entry.cost is None

    @property
    def total_tokens(self) -> int:
        """All tokens, prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


def totals(entries: Iterable[LedgerEntry], by: str) -> dict[str, UsageRow]:
    """Group usage by model, day, session or provider; days in order, all others by cost, descending.

    Requests recorded in incognito mode have an empty name.
    """
    found: defaultdict[str, UsageRow] = defaultdict(UsageRow)
    for entry in entries:
        found[getattr(entry, by)].add(entry)
    if by == "day":
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].cost, -pair[1].requests, pair[0])))


def total(entries: Iterable[LedgerEntry]) -> UsageRow:
    """Add up all requests."""
    used = UsageRow()
    for entry in entries:
        used.add(entry)
    return used


def first_day(period: str, now: datetime) -> datetime | None:
    """Return the first local day of `today`, `week` (from Monday) or `month`; None for `all`."""
    if period == "week":
        return now - timedelta(days=now.weekday())
    return {"today": now, "month": now.replace(day=1)}.get(period)
