"""Commands that list and search sessions."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.argument_types import usd
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Document, Group, Narrowing, Note, Result, Table
from llmrepl.commands.sessions.lookup import ALL, known_directories
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path, escape_name, format_usd, pluralize, round_usd
from llmrepl.sessions.index.query import SORTS, Filters, FoundSessions, Row, filter_and_sort, parse_time
from llmrepl.sessions.index.search import Hit
from llmrepl.sessions.stats import Totals, grand_total, merge_by_model
from llmrepl.system.progress import Progress

if TYPE_CHECKING:
    from llmrepl.sessions.index.finder import SessionFinder

RowOrHit = TypeVar("RowOrHit", Row, Hit)

MOST_PROBLEMS = 10
"""Files of other programs that a search names if they cannot be read; the others are counted."""

FORMATS = ("table", "list", "json", "csv")

_TURNS = "a number of turns"
_MODEL = argument("--model", help="only models with TEXT in their name", source="models", metavar="TEXT")
_SINCE = argument("--since", help="from DATE on: 2024-01-08, or 30d, 2w, 12h ago", metavar="DATE")
_UNTIL = argument("--until", help="up to and including DATE", metavar="DATE")
_TAG = argument("--tag", help="only sessions with this tag", source="tags")
_DIR = argument("--dir", "-d", help="sessions directory", source="directories", metavar="DIR")


@command(
    "sessions list",
    "list sessions, pinned ones first, then the newest",
    _MODEL,
    _SINCE,
    _UNTIL,
    argument("--min-turns", help="at least N turns", kind=int, metavar="N", takes=_TURNS),
    argument("--max-turns", help="at most N turns", kind=int, metavar="N", takes=_TURNS),
    argument("--min-cost", help="at least this cost in USD", kind=usd, metavar="USD"),
    argument("--max-cost", help="at most this cost in USD", kind=usd, metavar="USD"),
    argument("--system-contains", help="only sessions with TEXT in the system prompt", metavar="TEXT"),
    _TAG,
    argument("--contains", help="only sessions with TEXT in a message", metavar="TEXT"),
    argument("--sort", help="sort key", choices=SORTS, default="date"),
    argument("--limit", help="show at most N", kind=int, metavar="N", takes="a number of sessions"),
    argument("--format", help="output format", choices=FORMATS, default="table"),
    _DIR,
    ALL,
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
    all: bool,
) -> Result:
    """List the sessions that pass the filters."""
    paths = _paths(workspace, dir, all)
    first, last = _parse_span(workspace, since, until)
    filters = Filters(model, first, last, min_turns, max_turns, min_cost, max_cost, system_contains, tag)
    found = _find_all(workspace, paths, filters, sort, _check_limit(limit), contains)
    shown = _format_rows(
        workspace, found.rows, format, _empty(f"no sessions found in {_display_paths(workspace, paths)}", limit)
    )
    return Group([shown, Note(_damaged_note([row.name for row in found.damaged]))]) if found.damaged else shown


@command(
    "sessions search",
    "search all messages for a text",
    _MODEL,
    _SINCE,
    _UNTIL,
    _TAG,
    argument("--limit", help="show at most N matches", kind=int, default=20, metavar="N", takes="a number of matches"),
    _DIR,
    ALL,
    argument("--elsewhere", help="also in the histories of other programs on this machine", switch=True),
    argument("text", help="text to search for, ignoring case", rest=True, trailing_options=True),
    group="sessions",
    example="sessions search decorators",
    aliases=("search",),
    at_end="--elsewhere reads the histories of Claude Code, Codex, Gemini CLI, simonw's llm and aichat. ':fork' makes a"
    " session of such a hit.",
)
def search(
    workspace: Workspace,
    *,
    text: str,
    model: str | None,
    since: str | None,
    until: str | None,
    tag: str | None,
    limit: int,
    dir: str | None,
    all: bool,
    elsewhere: bool,
) -> Result:
    """List the matching messages, newest session first."""
    if not text.strip():
        raise UsageError("Which text?", "For example llm sessions search decorators")
    paths = _paths(workspace, dir, all)
    filters = Filters(model, *_parse_span(workspace, since, until), tag=tag)
    most = _check_limit(limit) or 0
    hits: list[Hit] = []
    for place in paths:
        hits += _with_directory(
            place, _updated_finder(workspace, place).search(place, text, filters, most + 1), len(paths) > 1
        )
    notes = _search_elsewhere(workspace, text, filters, most + 1, hits) if elsewhere else []
    hits.sort(key=lambda hit: (-hit.epoch, hit.name))
    more = "There are more: --limit N shows N.\n" if len(hits) > most else ""
    forking = "\n':fork PROGRAM:ID' makes a session of a hit in another program" if elsewhere else ""
    where = f"{_display_paths(workspace, paths)}{' or another program' if elsewhere else ''}"
    table = Table(
        (Column("Filename", "name"), Column("Turn", "count"), Column("Role"), Column("Text")),
        [(hit.name, hit.turn, hit.role, hit.snippet) for hit in hits[:most]],
        caption=f"{more}':load NAME' goes on with a session, ':fork NAME --at TURN' branches from a turn{forking}",
        empty=_empty(f"'{escape_name(text)}' is in no message in {where}", limit),
    )
    return Group([table, *map(Note, notes)]) if notes else table


def _search_elsewhere(workspace: Workspace, text: str, filters: Filters, limit: int, hits: list[Hit]) -> list[str]:
    """Add the hits in histories of other programs, and return what to say about those that were not read."""
    from llmrepl.sessions.importing import elsewhere

    environment = workspace.environment
    files = elsewhere.history_files(environment.environ, workspace.paths.home)
    report = partial(Progress(environment), "searching files of other programs")
    found = elsewhere.search(files, text, filters, limit, environment.now(), environment.monotonic, report)
    hits += found.hits
    notes = [
        f"{escape_name(display_path(Path(name), environment.cwd))} was not searched: {why}"
        for name, why in found.problems[:MOST_PROBLEMS]
    ]
    if more := len(found.problems) - len(notes):
        notes.append(f"{pluralize(more, 'more file')} could not be read")
    if found.unread:
        notes.append(
            f"Stopped after {elsewhere.MAX_SECONDS:.0f} seconds: {found.unread:,} of"
            f" {pluralize(found.files, 'file')} of other programs were not searched."
        )
    return notes


@command(
    "sessions stats",
    "show totals of sessions, tokens, cost and turns by model",
    _MODEL,
    _SINCE,
    _UNTIL,
    _TAG,
    _DIR,
    ALL,
    argument("--json", help="print JSON", switch=True),
    group="sessions",
    example="sessions stats --since 30d",
)
def stats(
    workspace: Workspace,
    *,
    model: str | None,
    since: str | None,
    until: str | None,
    tag: str | None,
    dir: str | None,
    all: bool,
    json: bool,
) -> Result:
    """Show totals over all sessions and by model."""
    paths = _paths(workspace, dir, all)
    filters = Filters(model, *_parse_span(workspace, since, until), tag=tag)
    models = merge_by_model(_updated_finder(workspace, place).totals(place, filters) for place in paths)
    if json:
        return Document(_to_json([_totals_row(name, sums) for name, sums in models.items()]))
    if not models:
        return Note(f"no sessions found in {_display_paths(workspace, paths)}")
    every = grand_total(models.values())
    unpriced = f" + {pluralize(every.unpriced, 'turn')} unpriced" if every.unpriced else ""
    columns = (
        Column("Model", "name"),
        Column("Sessions", "count"),
        Column("Tokens", "count"),
        Column("Cost", "usd"),
        Column("Turns", "count"),
        Column("Avg tokens/session", "count"),
    )
    return Group(
        [
            Note(
                "📊 Session Analysis Summary\n"
                f"Sessions: {every.sessions:,}\nTotal Cost: {format_usd(every.known_cost)}{unpriced}\n"
                f"Total Tokens: {every.tokens:,}"
            ),
            Table(
                columns,
                [tuple(_totals_row(name, sums).values()) for name, sums in models.items()],
                narrowing=(Narrowing("Avg tokens/session"), Narrowing("Model", "provider"), Narrowing("Turns")),
            ),
        ]
    )


def _totals_row(model: str, sums: Totals) -> dict[str, str | int | float | None]:
    return {
        "model": model,
        "sessions": sums.sessions,
        "tokens": sums.tokens,
        "cost": round_usd(sums.known_cost),
        "turns": sums.turns,
        "tokens_per_session": sums.tokens_a_session,
    }


def _paths(workspace: Workspace, dir: str | None, all: bool) -> list[Path]:
    """Return the directories to look in."""
    if dir is not None:
        return [workspace.directory(dir)]
    return known_directories(workspace) if all else [workspace.directory()]


def _updated_finder(workspace: Workspace, place: Path) -> SessionFinder:
    """Return the finder, after pending changes are written to the files of a directory."""
    workspace.update_files(place)
    return workspace.finder()


def _display_paths(workspace: Workspace, paths: list[Path]) -> str:
    return ", ".join(display_path(place, workspace.environment.cwd) for place in paths)


def _parse_span(workspace: Workspace, since: str | None, until: str | None) -> tuple[float | None, float | None]:
    now = workspace.environment.now()
    return parse_time(since, now) if since else None, parse_time(until, now, end=True) if until else None


def _check_limit(limit: int | None) -> int | None:
    if limit is not None and limit < 0:
        raise UsageError("'--limit' takes a number from 0, such as '--limit 20'.")
    return limit


def _empty(nothing: str, limit: int | None) -> str:
    """Return what to say without rows: `nothing`, unless none could be shown."""
    return "--limit 0 shows none" if limit == 0 else nothing


def _find_all(
    workspace: Workspace,
    paths: list[Path],
    filters: Filters,
    sort: str = "date",
    limit: int | None = None,
    contains: str | None = None,
) -> FoundSessions:
    """Find sessions in several directories; names are paths if there is more than one."""
    every = FoundSessions([], [])
    for place in paths:
        found = _updated_finder(workspace, place).find(place, filters, sort, limit, contains)
        every.rows += _with_directory(place, found.rows, len(paths) > 1)
        every.damaged += _with_directory(place, found.damaged, len(paths) > 1)
    if len(paths) > 1:
        every.rows = filter_and_sort(every.rows, Filters(), sort, limit, pinned_first=True)
    return every


def _with_directory(place: Path, found: list[RowOrHit], full_path: bool) -> list[RowOrHit]:
    """Prefix the names of rows or hits with their directory if `full_path` is set."""
    for one in found:
        one.name = str(place / one.name) if full_path else one.name
    return found


def _to_json(facts: list[dict[str, Any]]) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False)


def _format_rows(workspace: Workspace, rows: list[Row], format: str, empty: str) -> Result:
    if format == "json":
        return Document(_to_json([_facts(row) for row in rows]))
    if format == "csv":
        facts = ({**_facts(row), "tags": " ".join(row.tags)} for row in rows)
        from llmrepl.sessions.export.csv_safe import format_csv

        return Document(format_csv(list(_facts(Row(""))), facts))
    if format == "list":
        lines = [f"  {escape_name(r.name)} - {escape_name(r.model)} - {r.turns} turns - {_cost(r)}" for r in rows]
        return Document("\n".join([f"Found {len(rows)} matching sessions:", *lines]))
    show = ":show" if workspace.stdin_is_input else "llm sessions show"
    return Table(
        (
            Column("Filename", "name"),
            Column("Date", "date"),
            Column("Model", "name"),
            Column("Turns", "count"),
            Column("Tokens", "count"),
            Column("Est. Cost", "usd"),
        ),
        [(r.name, r.date, r.model, r.turns, r.tokens, _known(r)) for r in rows],
        title=f"Sessions ({len(rows)} found)",
        caption=f"Use '{show} <filename>' for more details",
        empty=empty,
        starred=[number for number, row in enumerate(rows) if row.pinned],
        narrowing=(
            Narrowing("Tokens"),
            Narrowing("Model", "provider"),
            Narrowing("Date", "time"),
            Narrowing("Model"),
        ),
        subtitles=[row.title for row in rows],
    )


def _known(row: Row) -> float | None:
    """Return the cost, or None if no turn has one."""
    return None if row.unpriced and row.unpriced == row.turns else row.cost


def _cost(row: Row) -> str:
    return format_usd(_known(row)) + (f" + {row.unpriced} unpriced" if row.unpriced and _known(row) is not None else "")


def _facts(row: Row) -> dict[str, Any]:
    return {
        "filename": row.name,
        "created_at": row.created_at,
        "model": row.model,
        "turns": row.turns,
        "tokens": row.tokens,
        "cost": round_usd(_known(row)),
        "unpriced": row.unpriced,
        "title": row.title,
        "tags": list(row.tags),
    }


def _damaged_note(names: list[str]) -> str:
    shown = ", ".join(escape_name(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
    return f"{pluralize(len(names), 'file')} cannot be read and {'is' if len(names) == 1 else 'are'} left out: {shown}"
