"""Session rows, the filters of a listing, and sorting. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from llmrepl.errors import UsageError
from llmrepl.sessions.other_requests import OtherRequests

PINNED = "pinned"
"""The tag of sessions that stand first in a listing."""

SORTS = ("date", "name", "model", "turns", "tokens", "cost")
"""Sort keys. Names and models ascend; all others descend."""


class TurnGroup(NamedTuple):
    """The turns of one session that `model` answered; `copied` ones come from the session that this one forks."""

    model: str
    copied: bool
    turns: int
    tokens: int
    cost: float
    unpriced: int


@dataclass(slots=True)
class Row:
    """Summary of one session file.

    `created_at` is the text in the file, `epoch` the same in seconds since 1970 (the file's mtime if it is invalid).
    `cost` is the known total in USD, `unpriced` the number of turns without a cost. `parts` divides turns, tokens and
    cost where not all of them belong to `model` and to this session; `parent` is the session that it forks. `damaged`
    tells why the file is unreadable.
    """

    name: str
    created_at: str = ""
    epoch: float = 0.0
    model: str = ""
    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    title: str = ""
    tags: tuple[str, ...] = ()
    system: str = ""
    damaged: str = ""
    parent: str = ""
    parts: tuple[TurnGroup, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether the session stands first in a listing."""
        return PINNED in self.tags

    @property
    def date(self) -> str:
        """Local time as `2024-01-08T14:30`."""
        if not self.epoch:
            return ""
        try:
            return datetime.fromtimestamp(self.epoch).isoformat(timespec="minutes")
        except (ValueError, OverflowError, OSError):  # before year 1 or after 9999
            return self.created_at[:16]


@dataclass(slots=True)
class Filters:
    """Filters of a listing; None does not filter. `since` and `until` are seconds since 1970, `until` exclusive."""

    model: str | None = None
    since: float | None = None
    until: float | None = None
    min_turns: int | None = None
    max_turns: int | None = None
    min_cost: float | None = None
    max_cost: float | None = None
    system_contains: str | None = None
    tag: str | None = None

    def match(self, row: Row) -> bool:
        """Whether a session passes. A damaged one passes only if no filter is set."""
        if row.damaged:
            return self == Filters()
        return (
            (self.model is None or self.model in row.model)
            and (self.since is None or row.epoch >= self.since)
            and (self.until is None or row.epoch < self.until)
            and (self.min_turns is None or row.turns >= self.min_turns)
            and (self.max_turns is None or row.turns <= self.max_turns)
            and (self.min_cost is None or row.cost >= self.min_cost)
            and (self.max_cost is None or row.cost <= self.max_cost)
            and (self.system_contains is None or self.system_contains.lower() in row.system.lower())
            and (self.tag is None or self.tag.lower() in (tag.lower() for tag in row.tags))
        )


@dataclass(slots=True)
class FoundSessions:
    """The valid sessions found, in order, and every damaged file."""

    rows: list[Row]
    damaged: list[Row]


def row_from_json(name: str, data: dict[str, Any], mtime: float) -> Row:
    """Build a row from unvalidated JSON data; fields of the wrong type count as missing."""
    meta = data["meta"] if isinstance(data.get("meta"), dict) else {}
    totals = data["usage_totals"] if isinstance(data.get("usage_totals"), dict) else {}
    created = data.get("created_at")
    model = str(data.get("model") or "")
    turns, costs = [], []
    unpriced, has_parts = 0, False
    for turn in _list(data.get("turns")):
        if not isinstance(turn, dict):
            continue
        turns.append(turn)
        cost = turn.get("cost_estimate")
        if not (type(cost) is float and 0.0 <= cost < 1e15):  # decided without a call for most of the turns
            cost = _amount(cost)
        if cost is not None:
            costs.append(cost)
        elif turn.get("finish_reason") != "error":
            unpriced += 1
        answerer = turn.get("answered_by")
        if (answerer is not None and answerer != model) or turn.get("copied") is True:
            has_parts = True
    other = OtherRequests.from_meta(meta)
    parent = meta.get("parent")
    row = Row(
        name=name,
        created_at=created if isinstance(created, str) else "",
        epoch=parse_epoch(created, mtime),
        model=model,
        turns=len(turns),
        tokens=int(_amount(totals.get("total_tokens")) or 0),
        cost=other.cost + sum(costs),
        unpriced=other.unpriced + unpriced,
        title=meta["title"] if isinstance(meta.get("title"), str) else "",
        tags=tuple(tag for tag in _list(meta.get("tags")) if isinstance(tag, str)),
        system=data["system"] if isinstance(data.get("system"), str) else "",
        parent=str(parent.get("session") or "") if isinstance(parent, dict) else "",
    )
    if has_parts:
        row.parts = tuple(_divide(row, turns))
    return row


def _divide(row: Row, turns: list[dict[str, Any]]) -> Iterator[TurnGroup]:
    """Divide a row's turns by who answered and by whether they are copies; what no turn has belongs to the model."""
    sums: dict[tuple[str, bool], list[float]] = {(row.model, False): [0, row.tokens, row.cost, row.unpriced]}
    rest = sums[row.model, False]
    for turn in turns:
        usage = turn.get("usage")
        tokens = _amount(usage.get("total_tokens")) if isinstance(usage, dict) else None
        cost = _amount(turn.get("cost_estimate"))
        figures = tokens or 0, cost or 0.0, float(cost is None and turn.get("finish_reason") != "error")
        answerer = turn.get("answered_by")
        key = (answerer if isinstance(answerer, str) else row.model, turn.get("copied") is True)
        part = sums.setdefault(key, [0, 0, 0, 0])
        part[0] += 1
        for at, figure in enumerate(figures, 1):
            part[at] += figure
            rest[at] -= figure
    for (model, copied), (count, tokens, cost, unpriced) in sums.items():
        yield TurnGroup(model, copied, int(count), max(0, int(tokens)), max(0.0, cost), max(0, int(unpriced)))


def parse_epoch(created_at: object, otherwise: float) -> float:
    """Convert `created_at` (local time, or with an offset) to seconds since 1970; `otherwise` if it is invalid."""
    if not isinstance(created_at, str):
        return otherwise
    try:
        return datetime.fromisoformat(created_at).timestamp()
    except (ValueError, OverflowError, OSError):
        return otherwise


def filter_and_sort(
    rows: Iterable[Row],
    filters: Filters,
    sort: str = "date",
    limit: int | None = None,
    *,
    pinned_first: bool = False,
) -> list[Row]:
    """Return at most `limit` rows that pass `filters`, sorted by `sort` and then by name."""
    found = sorted((row for row in rows if filters.match(row)), key=lambda row: row.name)
    match sort:
        case "name":
            pass
        case "model":
            found.sort(key=lambda row: row.model)
        case "date":
            found.sort(key=lambda row: row.epoch, reverse=True)
        case _:
            found.sort(key=lambda row: float(getattr(row, sort)), reverse=True)
    if pinned_first:
        found.sort(key=lambda row: not row.pinned)
    return found if limit is None else found[:limit]


def parse_time(text: str, now: datetime, *, end: bool = False) -> float:
    """Parse `2024-01-08`, an ISO 8601 time, or an age such as `30d`, `2w` or `12h` into seconds since 1970.

    A date without a time is its start or, with `end`, the start of the next day. Raises UsageError.
    """
    ago = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    try:
        if ago:
            hours = int(ago[1]) * {"h": 1, "d": 24, "w": 168}[ago[2]]
            return (now - timedelta(hours=hours)).timestamp()
        if end and re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip()):
            return (datetime.fromisoformat(text.strip()) + timedelta(days=1)).timestamp()
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"'{text[:40]}' is not a date.", "Write it as 2024-01-08, or as 30d, 2w or 12h ago") from None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _amount(value: object) -> float | None:
    """Return a non-negative finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return float(value)
