"""What was used, out of the ledger: by model, day, session or provider, and as a chart. Pure."""

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
    """The sum of some requests; `cost` is what is known of it in USD, `unpriced` how many have no known cost."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, entry: LedgerEntry) -> None:
        """Count one more request."""
        self.requests += 1
        self.prompt_tokens += entry.prompt_tokens
        self.completion_tokens += entry.completion_tokens
        self.cost += entry.cost or 0.0
        self.unpriced += entry.cost is None

    @property
    def total_tokens(self) -> int:
        """All tokens read and written."""
        return self.prompt_tokens + self.completion_tokens


def totals(entries: Iterable[LedgerEntry], by: str) -> dict[str, UsageRow]:
    """What was used by each model, day, session or provider; days in order, everything else the dearest first.

    Requests of which only the amounts were kept are under an empty name.
    """
    found: defaultdict[str, UsageRow] = defaultdict(UsageRow)
    for entry in entries:
        found[getattr(entry, by)].add(entry)
    if by == "day":
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].cost, -pair[1].requests, pair[0])))


def total(entries: Iterable[LedgerEntry]) -> UsageRow:
    """What was used in all."""
    used = UsageRow()
    for entry in entries:
        used.add(entry)
    return used


def chart(days: Mapping[str, UsageRow], width: int, *, ascii_only: bool = False) -> list[str]:
    """A row for each day: the day, what is known of its cost, a bar; no row is wider than `width` (40 or more) columns.

    The dearest day fills the row; a day without a known cost has no bar, and one whose cost is partly unknown a `+`.
    """
    most = max((used.cost for used in days.values()), default=0.0)
    amounts = {day: _amount(used) for day, used in days.items()}
    wide = max(map(len, amounts.values()), default=0)
    room = max(1, width - wide - max(map(len, days), default=0) - 4)
    rows = []
    for day, used in days.items():
        drawn = bar(used.cost / most, room, ascii_only=ascii_only) if most else ""
        rows.append(f"{day}  {amounts[day]:>{wide}}  {drawn}".rstrip())
    return rows


def _amount(used: UsageRow) -> str:
    if used.unpriced and used.unpriced == used.requests:
        return f"{format_usd(None)} "
    return format_usd(used.cost) + ("+" if used.unpriced else " ")


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """A bar of `share` (0 to 1) of `width` columns, to an eighth of a column, or in `#`."""
    if ascii_only:
        return "#" * round(share * width)
    whole, eighths = divmod(round(share * width * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def first_day(period: str, now: datetime) -> datetime | None:
    """The first local day of `today`, `week` (from Monday), `month`; None for `all`."""
    if period == "week":
        return now - timedelta(days=now.weekday())
    return {"today": now, "month": now.replace(day=1)}.get(period)
