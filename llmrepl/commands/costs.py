"""Commands for costs, budgets and tokens."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from llmrepl.billing.usage_report import BREAKDOWNS, UsageRow, first_day, total, totals
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.argument_types import usd
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Bar, Chart, Column, Document, Group, Narrowing, Note, Result, Table
from llmrepl.commands.sessions.open import cost_text
from llmrepl.errors import UsageError
from llmrepl.formatting import format_usd, pluralize, round_usd

if TYPE_CHECKING:
    from llmrepl.billing.pricing import LedgerEntry
    from llmrepl.sessions.model import Session

GROUP = "costs"
PERIODS = ("today", "week", "month", "all")


@command(
    "cost",
    "show cost and tokens of this session",
    argument("detail", help="'detailed' lists each turn", choices=("detailed",), nargs="?"),
    group=GROUP,
    example="cost detailed",
    where=PROMPT,
)
def cost(workspace: Workspace, detail: str | None) -> Result:
    """Show the known cost of the open session and the number of unpriced turns."""
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.turns:
        return Note("nothing was asked yet")
    session = open_session.session
    totals = session.usage_totals
    tokens = (totals.total_tokens or 0) if totals else 0
    turns = pluralize(len(session.turns), "turn")
    line = Document(f"Cost: {cost_text(session)} ({pluralize(tokens, 'token')} in {turns})")
    return Group([line, _by_turn(session), *_prices(workspace, session)]) if detail else line


def _by_turn(session: Session) -> Table:
    """Each turn with the beginning of its prompt, its tokens and its cost."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for number, turn in enumerate(session.turns, 1):
        prompt = " ".join(turn.text_of("user").split())
        tokens = turn.usage.total_tokens if turn.usage else None
        rows.append((number, prompt if len(prompt) <= 40 else f"{prompt[:39]}…", tokens, turn.cost_estimate))
    columns = (Column("Turn", "count"), Column("Prompt"), Column("Tokens", "count"), Column("Cost", "usd"))
    return Table(columns, rows, title="Cost Breakdown by Turn:")


def _prices(workspace: Workspace, session: Session) -> list[Result]:
    """The total, the average of a turn, and the prices of the current model."""
    priced = [turn.cost_estimate for turn in session.turns if turn.cost_estimate is not None]
    lines = [f"Total: {cost_text(session)}"]
    if priced:
        lines.append(f"Average: {format_usd(sum(priced) / len(priced))} per turn")
    price = workspace.cost_tracker().price(workspace.resolver().resolve(workspace.chat.model))
    if price:
        prompt, reply = price.input[0][1], price.output[0][1]
        lines.append(f"Prices of {workspace.chat.model}: ${prompt:g} per million tokens in, ${reply:g} out")
    return [Document("\n".join(lines))]


@command(
    "budget",
    "show or change the budget of this session",
    argument("amount", help="budget in USD, or 'status', 'increase', 'off'", source="budget", nargs="?"),
    argument("by", help="amount to add in USD", nargs="?", kind=usd, metavar="USD"),
    group=GROUP,
    example="budget increase 0.50",
    where=PROMPT,
)
def budget(workspace: Workspace, amount: str | None, by: float | None) -> Result:
    """Show, set, raise or remove the session's budget."""
    cost_tracker = workspace.cost_tracker()
    if amount == "off":
        cost_tracker.remove_limits()
    elif amount == "increase":
        if cost_tracker.session is None or by is None or not by > 0:
            what = "There is no budget to increase." if by else "Increase the budget by how much?"
            raise UsageError(what, ":budget 1.50 sets one, :budget increase 0.50 raises it")
        cost_tracker.set_session(cost_tracker.session.usd + by)
    elif amount not in (None, "status"):
        cost_tracker.set_session(_amount(amount or ""))
    return Document(cost_tracker.status())


def _amount(text: str) -> float:
    try:
        return usd(text)
    except argparse.ArgumentTypeError:
        raise UsageError(
            "':budget' takes an amount in USD, such as ':budget 1.50'.",
            ":budget status, :budget increase 0.50 and :budget off work too",
        ) from None


@command(
    "context",
    "show how much of the context window is used",
    argument("detail", help="'size' shows the same", choices=("size",), nargs="?"),
    group=GROUP,
    example="context",
    where=PROMPT,
)
def context(workspace: Workspace, detail: str | None) -> Result:
    """Show the messages and estimated tokens in the context."""
    from llmrepl.chat.context import context_used

    messages, tokens, window = context_used(workspace)
    share = f" of {window:,} ({tokens / window:.0%})" if window else "; the size of this model's context is unknown"
    return Document(f"{pluralize(messages, 'message')}, about {tokens:,} tokens{share}")


@command(
    "usage",
    "show usage and cost over all sessions",
    argument("period", help="today, week, month or all", choices=PERIODS, default="all", nargs="?"),
    argument("--breakdown-by", help="group by", choices=BREAKDOWNS),
    argument("--format", help="output format", choices=("table", "detailed", "json", "csv"), default="table"),
    argument("--json", help="same as --format json", switch=True),
    argument("--chart", help="draw a bar for each day, or as --breakdown-by says", switch=True),
    group=GROUP,
    example="usage month --breakdown-by model",
)
def usage(
    workspace: Workspace, *, period: str, breakdown_by: str | None, format: str, json: bool, chart: bool
) -> Result:
    """Show totals of the ledger."""
    since = first_day(period, workspace.environment.now())
    entries = workspace.cost_tracker().entries(since)
    if chart:
        return _with_total(_chart(totals(entries, breakdown_by or "day")), entries)
    by = breakdown_by or ("model" if format == "detailed" else None)
    rows = totals(entries, by) if by else {period: total(entries)}
    if json or format == "json":
        return Document(_json(rows, by or "period"))
    if format == "csv":
        return Document(_csv(rows, by or "period"))
    return _with_total(_table(rows, by or "period"), entries)


def _chart(rows: dict[str, UsageRow]) -> Chart:
    most = max((used.cost for used in rows.values()), default=0.0)
    return Chart(
        [Bar(name or "(none)", _bar_amount(used), used.cost / most if most else 0.0) for name, used in rows.items()]
    )


def _bar_amount(used: UsageRow) -> str:
    """Format a known cost; a `+` marks one that is known in part."""
    return format_usd(_known_cost(used)) + ("+" if used.unpriced and used.unpriced < used.requests else " ")


def _table(rows: dict[str, UsageRow], by: str) -> Table:
    columns = (
        Column(by.capitalize(), "name"),
        Column("Requests", "count"),
        Column("Prompt Tokens", "count"),
        Column("Completion Tokens", "count"),
        Column("Cost", "usd"),
        Column("Unpriced", "count"),
    )
    unnamed = "(no session)" if by == "session" else "(incognito)"
    cells = [
        (name or unnamed, u.requests, u.prompt_tokens, u.completion_tokens, _known_cost(u), u.unpriced)
        for name, u in rows.items()
    ]
    narrowing = (Narrowing("Unpriced"), Narrowing("Completion Tokens"), Narrowing("Prompt Tokens"))
    return Table(columns, cells, narrowing=narrowing)


def _with_total(shown: Result, entries: list[LedgerEntry]) -> Result:
    """Add the total below a result, with the number of unpriced turns."""
    if not entries:
        return Note("nothing was used yet")
    every = total(entries)
    unpriced = f" + {pluralize(every.unpriced, 'turn')} unpriced" if every.unpriced else ""
    return Group([shown, Note(f"Total: {format_usd(every.cost)}{unpriced}")])


def _known_cost(used: UsageRow) -> float | None:
    return None if used.unpriced and used.unpriced == used.requests else used.cost


def _facts(name: str, used: UsageRow, by: str) -> dict[str, str | int | float | None]:
    return {
        by: name,
        "requests": used.requests,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "cost": round_usd(_known_cost(used)),
        "unpriced": used.unpriced,
    }


def _json(rows: dict[str, UsageRow], by: str) -> str:
    return json.dumps([_facts(name, used, by) for name, used in rows.items()], indent=2, ensure_ascii=False)


def _csv(rows: dict[str, UsageRow], by: str) -> str:
    from llmrepl.sessions.export.csv_safe import format_csv

    return format_csv(list(_facts("", UsageRow(), by)), (_facts(name, used, by) for name, used in rows.items()))
