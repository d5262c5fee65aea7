"""Commands for money and tokens: what was spent, and how much may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llmrepl.billing.usage_report import BREAKDOWNS, Used, first_day, total, totals
from llmrepl.billing.usage_report import chart as chart_rows
from llmrepl.chat import services_tmp as rooms
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Column, Document, Note, Reply, Several, Table
from llmrepl.commands.sessions_open import by_turn, cost_text
from llmrepl.errors import WrongUse
from llmrepl.formatting import count, money

if TYPE_CHECKING:
    from llmrepl.billing.pricing import Entry

GROUP = "money"
CHART_WIDTH = 72
PERIODS = ("today", "week", "month", "all")


@command(
    "cost",
    "what this session has cost, and its tokens",
    argument("detail", help="'detailed': turn by turn", choices=("detailed",), nargs="?"),
    group=GROUP,
    example="cost detailed",
    where=PROMPT,
)
def cost(workspace: Workspace, detail: str | None) -> Reply:
    """The cost of the open session: what is known, and how many turns are not."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        return Note("nothing was asked yet")
    session = keeper.session
    totals = session.usage_totals
    tokens = (totals.total_tokens or 0) if totals else 0
    turns = count(len(session.turns), "turn")
    line = Document(f"Cost: {cost_text(session)} ({count(tokens, 'token')} in {turns})")
    return Several([line, by_turn(session)]) if detail else line


@command(
    "budget",
    "show, set or raise what this session may cost",
    argument("amount", help="USD, or 'status', 'increase', 'off'", source="budget", nargs="?"),
    argument("by", help="how many USD to increase it by", nargs="?", kind=float, metavar="USD"),
    group=GROUP,
    example="budget increase 0.50",
    where=PROMPT,
)
def budget(workspace: Workspace, amount: str | None, by: float | None) -> Reply:
    """The session's limit."""
    till = workspace.till()
    if amount == "off":
        till.set_session(None)
    elif amount == "increase":
        if till.session is None or by is None or not by > 0:
            what = "there is no budget to increase" if by else "increase the budget by how much?"
            raise WrongUse(what, "':budget 1.50' sets one, ':budget increase 0.50' raises it")
        till.set_session(till.session.usd + by)
    elif amount not in (None, "status"):
        till.set_session(_usd(amount or ""))
    return Document(till.status())


def _usd(text: str) -> float:
    try:
        usd = float(text.removeprefix("$"))
    except ValueError:
        usd = -1.0
    if not 0 <= usd < 1e9:
        raise WrongUse(f"'{text[:20]}' is not an amount", "give USD, such as 1.50, or status, increase or off")
    return usd


@command(
    "context",
    "how much of the model's context is used",
    group=GROUP,
    example="context",
    where=PROMPT,
)
def context(workspace: Workspace) -> Reply:
    """Messages and tokens in the context, as far as they are known."""
    used = rooms.context_used(workspace)
    if used is None:
        return Note("nothing was asked yet")
    messages, tokens, window = used
    share = f" of {window:,} ({tokens / window:.0%})" if window else "; the size of this model's context is unknown"
    return Document(f"{count(messages, 'message')}, about {tokens:,} tokens{share}")


@command(
    "usage",
    "what was used and spent, over all sessions",
    argument("period", help="today, week, month or all", choices=PERIODS, default="all", nargs="?"),
    argument("--breakdown-by", help="a line for each", choices=BREAKDOWNS),
    argument("--format", help="how to write it", choices=("table", "json", "csv"), default="table"),
    argument("--json", help="the same as --format json", switch=True),
    argument("--chart", help="a bar for each day", switch=True),
    group=GROUP,
    example="usage month --breakdown-by model",
)
def usage(
    workspace: Workspace, *, period: str, breakdown_by: str | None, format: str, json: bool, chart: bool
) -> Reply:
    """The sums of the ledger."""
    since = first_day(period, workspace.world.now())
    entries = workspace.till().entries(since)
    if chart:
        return _summed(Document("\n".join(chart_rows(totals(entries, "day"), CHART_WIDTH))), entries)
    by = breakdown_by
    rows = totals(entries, by) if by else {period: total(entries)}
    if json or format == "json":
        return Document(_json(rows, by or "period"))
    if format == "csv":
        return Document(_csv(rows, by or "period"))
    return _summed(_table(rows, by or "period"), entries)


def _table(rows: dict[str, Used], by: str) -> Table:
    columns = (Column(by.capitalize(), "name"), Column("Requests", "count"), Column("Prompt Tokens", "count"),
               Column("Completion Tokens", "count"), Column("Cost", "usd"), Column("Unpriced", "count"))
    unnamed = "(no session)" if by == "session" else "(incognito)"
    cells = [(name or unnamed, u.requests, u.prompt_tokens, u.completion_tokens, _known(u), u.unpriced)
             for name, u in rows.items()]
    return Table(columns, cells)


def _summed(shown: Reply, entries: list[Entry]) -> Reply:
    """A reply with the sum below it, which says how much of it is unknown."""
    if not entries:
        return Note("nothing was used yet")
    every = total(entries)
    unpriced = f" + {count(every.unpriced, 'turn')} unpriced" if every.unpriced else ""
    return Several([shown, Note(f"Total: {money(every.cost)}{unpriced}")])


def _known(used: Used) -> float | None:
    return None if used.unpriced and used.unpriced == used.requests else used.cost


def _facts(name: str, used: Used, by: str) -> dict[str, str | int | float | None]:
    return {by: name, "requests": used.requests, "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens, "total_tokens": used.total_tokens, "cost": _known(used),
            "unpriced": used.unpriced}


def _json(rows: dict[str, Used], by: str) -> str:
    return json.dumps([_facts(name, used, by) for name, used in rows.items()], indent=2, ensure_ascii=False)


def _csv(rows: dict[str, Used], by: str) -> str:
    return rooms.csv_of(list(_facts("", Used(), by)), (_facts(name, used, by) for name, used in rows.items()))
