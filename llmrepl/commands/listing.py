"""Commands that find sessions."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from llmrepl import rooms
from llmrepl.commands.registry import argument, command
from llmrepl.commands.replies import Column, Document, Note, Reply, Several, Table
from llmrepl.errors import WrongUse
from llmrepl.messages import count, money, safe_name, shown_path
from llmrepl.sessions.query import SORTS, Filters, Row, moment
from llmrepl.sessions.stats import by_model, in_all
from llmrepl.workspace import Workspace

FORMATS = ("table", "list", "json", "csv")

_FILTERS = (
    argument("--model", help="only models with this in their name", source="models", metavar="TEXT"),
    argument("--since", help="only from this day on: 2024-01-08, or 30d, 2w, 12h ago", metavar="DATE"),
    argument("--until", help="only up to and with this day", metavar="DATE"),
    argument("--min-turns", help="at least so many turns", kind=int, metavar="N"),
    argument("--max-turns", help="at most so many turns", kind=int, metavar="N"),
    argument("--min-cost", help="at least this cost in USD", kind=float, metavar="USD"),
    argument("--max-cost", help="at most this cost in USD", kind=float, metavar="USD"),
    argument("--system-contains", help="only with this in the system prompt", metavar="TEXT"),
    argument("--tag", help="only with this tag", source="tags"),
    argument("--contains", help="only with this in a message", metavar="TEXT"),
)


@command(
    "sessions list",
    "list the sessions, the newest first",
    *_FILTERS,
    argument("--sort", help="the order", choices=SORTS, default="date"),
    argument("--limit", help="at most so many", kind=int, metavar="N"),
    argument("--format", help="how to write them", choices=FORMATS, default="table"),
    argument("--dir", help="the sessions directory", source="directories", metavar="DIR"),
    group="sessions",
    example="sessions list --model claude --since 30d",
    aliases=("sessions",),
)
def sessions_list(
    workspace: Workspace,
    *,
    model: str | None,
    since: str | None,
    until: str | None,
    min_turns: int | None,
    max_turns: int | None,
    min_cost: float | None,
    max_cost: float | None,
    system_contains: str | None,
    tag: str | None,
    contains: str | None,
    sort: str,
    limit: int | None,
    format: str,
    dir: str | None,
) -> Reply:
    """The sessions that the filters let through."""
    workspace.use_directory(dir)
    now = workspace.world.now()
    first = moment(since, now) if since else None
    last = moment(until, now, end=True) if until else None
    filters = Filters(model, first, last, min_turns, max_turns, min_cost, max_cost, system_contains, tag)
    found = rooms.catalog(workspace).find(workspace.directory, filters, sort, limit, contains)
    shown = _written(workspace, found.rows, format)
    return Several([shown, Note(_damaged([row.name for row in found.damaged]))]) if found.damaged else shown


@command(
    "sessions search",
    "find a text in all messages: session, turn, and the text around it",
    argument("--limit", help="at most so many places", kind=int, default=20, metavar="N"),
    argument("--dir", help="the sessions directory", source="directories", metavar="DIR"),
    argument("text", help="the text, whatever its case", rest=True),
    group="sessions",
    example="sessions search decorators",
    aliases=("search",),
)
def search(workspace: Workspace, text: str, limit: int, dir: str | None) -> Reply:
    """The places, those of the newest session first; ready to load, or to fork at."""
    if not text.strip():
        raise WrongUse("there is no text to search for", "sessions search TEXT")
    workspace.use_directory(dir)
    hits = rooms.catalog(workspace).search(workspace.directory, text, Filters(), limit)
    columns = (Column("Filename", "name"), Column("Turn", "count"), Column("Role"), Column("Text"))
    table = Table(
        columns,
        [(hit.name, hit.turn, hit.role, hit.snippet) for hit in hits],
        caption="':load NAME' goes on with one, ':fork' after that branches from it",
        empty=f"'{safe_name(text)}' is in no message in {shown_path(workspace.directory, workspace.world.cwd)}",
    )
    return table


@command(
    "sessions stats",
    "sessions, tokens, cost and turns, in all and by model",
    argument("--dir", help="the sessions directory", source="directories", metavar="DIR"),
    group="sessions",
    example="sessions stats",
)
def stats(workspace: Workspace, dir: str | None) -> Reply:
    """The guide's analysis of all sessions."""
    workspace.use_directory(dir)
    models = by_model(rooms.catalog(workspace).find(workspace.directory, Filters()).rows)
    every = in_all(models.values())
    columns = (Column("Model", "name"), Column("Sessions", "count"), Column("Tokens", "count"),
               Column("Cost", "usd"), Column("Turns", "count"), Column("Tokens/Session", "count"))
    rows = [(m, s.sessions, s.tokens, s.known_cost, s.turns, s.tokens_a_session) for m, s in models.items()]
    unpriced = f" + {count(every.unpriced, 'turn')} unpriced" if every.unpriced else ""
    total = f"Total: {count(every.sessions, 'session')}, {every.tokens:,} tokens, {money(every.cost)}{unpriced}"
    where = shown_path(workspace.directory, workspace.world.cwd)
    return Several([Table(columns, rows, empty=f"no sessions found in {where}"), Note(total)]) if rows else Note(
        f"no sessions found in {where}"
    )


def _written(workspace: Workspace, rows: list[Row], format: str) -> Reply:
    if format == "json":
        return Document(json.dumps([_facts(row) for row in rows], indent=2, ensure_ascii=False))
    if format == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, list(_facts(Row(""))), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**_facts(row), "tags": " ".join(row.tags)} for row in rows)
        return Document(out.getvalue())
    if format == "list":
        lines = [f"  {safe_name(r.name)} - {safe_name(r.model)} - {r.turns} turns - {_cost(r)}" for r in rows]
        return Document("\n".join([f"Found {len(rows)} matching sessions:", *lines]))
    where = shown_path(workspace.directory, workspace.world.cwd)
    return Table(
        (Column("Filename", "name"), Column("Date", "date"), Column("Model", "name"), Column("Turns", "count"),
         Column("Tokens", "count"), Column("Est. Cost", "usd")),
        [(r.name, r.date, r.model, r.turns, r.tokens, _known(r)) for r in rows],
        title=f"Sessions ({len(rows)} found)",
        caption="Use 'llm sessions show <filename>' for more details",
        empty=f"no sessions found in {where}",
    )


def _known(row: Row) -> float | None:
    """The cost, None if no turn has one."""
    return None if row.unpriced and row.unpriced == row.turns else row.cost


def _cost(row: Row) -> str:
    return money(_known(row)) + (f" + {row.unpriced} unpriced" if row.unpriced and _known(row) is not None else "")


def _facts(row: Row) -> dict[str, Any]:
    return {
        "filename": row.name, "created_at": row.created_at, "model": row.model, "turns": row.turns,
        "tokens": row.tokens, "cost": _known(row), "unpriced": row.unpriced, "title": row.title,
        "tags": list(row.tags),
    }


def _damaged(names: list[str]) -> str:
    shown = ", ".join(safe_name(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
    return f"{count(len(names), 'file')} cannot be read and {'is' if len(names) == 1 else 'are'} left out: {shown}"
