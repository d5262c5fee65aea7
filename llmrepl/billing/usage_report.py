"""Usage totals from the ledger, by model, day, session or provider, and as a chart. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmrepl.formatting import format_usd

if TYPE_CHECKING:
    from llmrepl.billing.pricing import LedgerEntry

BREAKDOWNS = ("model", "day", "session", "provider")

_EIGHTHS = " ▏▎▍▌▋▊▉█"


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


def chart(days: Mapping[str, UsageRow], width: int, *, ascii_only: bool = False) -> list[str]:
    """Draw a bar for each day with its date and known cost, at most `width` columns wide (40 or more).

    The most expensive day fills the row. A day without a known cost has no bar, a partly known one a `+`.
    """
    most = max((used.cost for used in days.values()), default=0.0)
    amounts = {day: _amount(used) for day, used in days.items()}
    wide = max(map(len, amounts.values()), default=0)
    bar_width = max(1, width - wide - max(map(len, days), default=0) - 4)
    rows = []
    for day, used in days.items():
        drawn = bar(used.cost / most, bar_width, ascii_only=ascii_only) if most else ""
        rows.append(f"{day}  {amounts[day]:>{wide}}  {drawn}".rstrip())
    return rows


def _amount(used: UsageRow) -> str:
    if used.unpriced and used.unpriced == used.requests:
        return f"{format_usd(None)} "
    return format_usd(used.cost) + ("+" if used.unpriced else " ")


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """Draw a bar of `share` (0 to 1) of `width` columns, in eighths of a column or with `#`."""
    if ascii_only:
        return "#" * round(share * width)
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def first_day(period: str, now: datetime) -> datetime | None:
    """Return the first local day of `today`, `week` (from Monday) or `month`; None for `all`."""
    if period == "week":
        return now - timedelta(days=now.weekday())
    return {"today": now, "month": now.replace(day=1)}.get(period)
