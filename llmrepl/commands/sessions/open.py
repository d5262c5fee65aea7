"""Commands that save, load, show and export sessions."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import BOTH, PROMPT, argument, command
from llmrepl.commands.results import Column, Document, Group, Note, Panel, PickItem, PickOne, Result, StartChat, Table
from llmrepl.commands.sessions.lookup import ALL, find_path
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import display_path, escape_name, format_age, format_usd, pluralize, quote_for_shell, short_path
from llmrepl.sessions.index.query import Filters
from llmrepl.sessions.names import session_names, without_ending
from llmrepl.system import files
from llmrepl.system.paths import expand

if TYPE_CHECKING:
    from llmrepl.sessions.model import Session, Turn
    from llmrepl.sessions.storage.store import Store

GROUP = "sessions"

MOST_SHOWN = 1000
"""Characters shown of a foreign system prompt when a session is loaded; `:system` shows all."""

_NAME = argument("name", help="session name, prefix, file or path", source="sessions", nargs="?")
_DIR = argument("--dir", "-d", help="sessions directory", source="directories", metavar="DIR")


@command(
    "save",
    "save now; with NAME, under that name",
    argument("--force", help="move an existing session of that name to the trash", switch=True),
    argument("name", help="new name", nargs="?"),
    group=GROUP,
    example="save my_coding_session",
    where=PROMPT,
)
def save(workspace: Workspace, name: str | None, force: bool) -> Result:
    """Save; with a name, rename an automatically named session or copy a named one."""
    store = workspace.store()
    open_session = workspace.chat.current
    incognito = workspace.chat.incognito
    if incognito and not name:
        raise UsageError("Nothing is saved in incognito mode.", "':save NAME' keeps it and ends incognito")
    path = store.path_for(name) if name else None
    if path and not (open_session and path == open_session.path):
        _make_free(store, path, force=force)
    if open_session is None or not open_session.session.turns:
        if path is None:
            return Note("there is nothing to save yet")
        workspace.chat.name_next(path.name)
        return Note(f"💾 Session will be saved to {display_path(path, workspace.environment.cwd)}")
    if path and path != open_session.path and open_session.automatic:
        open_session.rename(path)
    elif path and path != open_session.path:
        open_session.copy_to(path)
    elif open_session.path is None:
        open_session.copy_to(store.automatic_path(workspace.environment.now()))
    else:
        open_session.save()
    workspace.chat.leave_incognito(discard=False)
    ended = "\nIncognito ended." if incognito else ""
    shown = display_path(open_session.path or store.directory, workspace.environment.cwd)
    return Note(f"💾 Session saved to {shown}{ended}")


def _make_free(store: Store, path: Path, *, force: bool) -> None:
    """Move the session at `path`, if any, to the trash; without `force` raise UsageError."""
    if force:
        store.trash_existing(path)
        return
    try:
        store.check_free(path)
    except UsageError as taken:
        raise UsageError(taken.message, f":save --force {quote_for_shell(path.stem)} moves it to the trash") from None


@command(
    "load",
    "open a saved session",
    _NAME,
    ALL,
    group=GROUP,
    example="load my_coding_session",
    where=PROMPT,
)
def load(workspace: Workspace, name: str | None, all: bool) -> Result:
    """Save the current session and open another; without a name, pick one."""
    return pick_session(workspace) if name is None else resume_session(workspace, name, everywhere=all)


@command(
    "sessions resume",
    "resume a saved session",
    _NAME,
    _DIR,
    ALL,
    group=GROUP,
    example="sessions resume my_coding_session",
)
def resume(workspace: Workspace, name: str | None, dir: str | None, all: bool) -> Result:
    """Resume a session in the shell; without a name, pick one."""
    directory = workspace.directory(dir)
    if name is None:
        return pick_session(workspace, directory)
    return resume_session(workspace, name, directory, everywhere=all)


def pick_session(workspace: Workspace, directory: Path | None = None) -> Result:
    """Let the user pick a session to resume, pinned ones first, then the newest."""
    directory = directory or workspace.directory()
    workspace.update_files(directory)
    found = workspace.finder().find(directory, Filters()).rows
    now = workspace.environment.now().timestamp()
    choices = [
        PickItem(
            without_ending(row.name),
            (format_age(row.epoch, now), pluralize(row.turns, "turn"), row.model, row.title),
            partial(_preview, workspace, directory / row.name),
            row.pinned,
        )
        for row in found
        if row.name.endswith(".json")
    ]
    if not choices:
        raise _no_sessions(workspace, directory)
    return PickOne(
        choices, lambda name: resume_session(workspace, name, directory), "llm sessions list shows the sessions"
    )


def _no_sessions(workspace: Workspace, directory: Path) -> UsageError:
    shown = display_path(directory, workspace.environment.cwd)
    return UsageError(f"No sessions in {shown} yet.", "llm sessions list --all looks everywhere")


def _preview(workspace: Workspace, path: Path) -> str:
    session = workspace.store(path.parent).read(path)
    return _exchange(session.turns[0]) if session.turns else ""


def resume_session(
    workspace: Workspace, name: str, directory: Path | None = None, *, everywhere: bool = False
) -> Result:
    """Open the session that `name` refers to and report what it contains."""
    path = find_path(workspace, name, directory, everywhere=everywhere)
    notes: list[Result] = []
    if path.name.endswith(".gz") and workspace.chat.saving:
        path, packed = _unpack(workspace, path), path
        notes.append(Note(f"{escape_name(packed.name)} was compressed. It is {escape_name(path.name)} now."))
    current = workspace.chat.current
    if current and current.path and path.resolve() == current.path.resolve():
        return Note(f"{escape_name(path.name)} is the current session")
    open_session = workspace.chat.reopen(path)
    try:
        workspace.chat.switch(open_session)
    except LLMError:
        open_session.close()
        raise
    session = open_session.session
    totals = session.usage_totals
    tokens = (totals.total_tokens or 0) if totals else 0
    lines = [
        f"🔄 Resuming session: {escape_name(open_session.name)}",
        f"Model: {escape_name(session.model)}",
        f"Previous turns: {len(session.turns)}",
        f"Tokens used: {tokens:,}",
    ]
    if session.system and _is_foreign(session, path):
        lines.insert(2, f"System prompt, which others wrote: {escape_name(session.system[:MOST_SHOWN])}")
    return Group([*notes, Note("\n".join(lines)), StartChat()])


def _unpack(workspace: Workspace, path: Path) -> Path:
    """Decompress a session where it is and return its new path. Raises UsageError, DamagedError, SaveError."""
    from llmrepl.sessions.archive.archive import Archive

    return Archive(workspace.store(path.parent)).restore(path)


def _is_foreign(session: Session, path: Path) -> bool:
    """Whether a session was imported, or its file belongs to another user."""
    return "origin" in (session.meta or {}) or path.stat().st_uid != os.geteuid()


@command(
    "sessions show",
    "show a session: totals, first and last turn, costs",
    _NAME,
    _DIR,
    ALL,
    argument("--full", help="show the entire conversation", switch=True),
    group=GROUP,
    example="sessions show my_coding_session",
    aliases=("show",),
)
def show(workspace: Workspace, name: str | None, dir: str | None, all: bool, full: bool) -> Result:
    """Show a summary of a session, by default the current one."""
    session, path = _select_session(workspace, workspace.directory(dir), name, everywhere=all)
    title = path.name if path else "(not kept)"
    place = short_path(path, workspace.environment.cwd) if path else ""
    if full:
        return Document(conversation(session))
    return Group(
        [Document(f"Session: {escape_name(title)}\n"), *_panels(session), cost_by_turn(session), _actions(place)]
    )


def conversation(session: Session) -> str:
    """Format all turns as numbered text."""
    parts = []
    for number, turn in enumerate(session.turns, 1):
        parts += [
            f"[{number}]{' (aside)' if turn.is_aside else ''}{_answerer(turn, session)}",
            *(f"{m.role.upper()}: {m.text}" for m in turn.messages),
            "",
        ]
    return "\n".join(parts).rstrip()


def _answerer(turn: Turn, session: Session) -> str:
    """Say who answered a turn, if that is another model than the session's."""
    other = turn.answered_by and turn.answered_by != session.model
    return f" (answered by {escape_name(turn.answered_by or '')})" if other else ""


def _panels(session: Session) -> list[Result]:
    totals = session.usage_totals
    prompt, completion, total = (
        (totals.prompt_tokens or 0, totals.completion_tokens or 0, totals.total_tokens or 0) if totals else (0, 0, 0)
    )
    latencies = [t.latency_ms for t in session.turns if t.latency_ms is not None]
    lines = [
        f"Model: {session.model}",
        f"Created: {(session.created_at or 'unknown').replace('T', ' ')[:19]}",
        f"System: {session.system or 'none'}",
        f"Turns: {len(session.turns)}",
        f"Total tokens: {total:,} (prompt: {prompt:,}, completion: {completion:,})",
        f"Estimated cost: {cost_text(session)}",
    ]
    if latencies:
        lines.append(f"Avg latency: {sum(latencies) / len(latencies) / 1000:.2f}s")
    if session.tags:
        lines.append(f"Tags: {', '.join(session.tags)}")
    panels: list[Result] = [Panel("Session Information", "\n".join(lines))]
    if session.turns:
        panels.append(Panel(f"💬 First Exchange{_answerer(session.turns[0], session)}", _exchange(session.turns[0])))
    if len(session.turns) > 1:
        panels.append(Panel(f"💬 Last Exchange{_answerer(session.turns[-1], session)}", _exchange(session.turns[-1])))
    return panels


def cost_text(session: Session) -> str:
    """Format the known cost of a session and the number of unpriced turns."""
    unpriced = session.unpriced
    if unpriced and unpriced == len(session.turns):
        return "unknown"
    more = f" + {pluralize(unpriced, 'turn')} unpriced" if unpriced else ""
    about = any(t.usage and t.usage.estimated for t in session.turns)
    return format_usd(session.cost, about=about) + more


def _exchange(turn: Turn, most: int = 400) -> str:
    def short(text: str) -> str:
        return text if len(text) <= most else text[:most].rstrip() + "..."

    return "\n\n".join(f"{m.role.upper()}: {short(m.text)}" for m in turn.messages)


def cost_by_turn(session: Session) -> Table:
    """Return a table of tokens and cost of each turn."""
    rows = []
    for number, turn in enumerate(session.turns, 1):
        usage = turn.usage
        tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
        rows.append((number, *tokens, turn.cost_estimate))
    columns = (
        Column("Turn", "count"),
        Column("Prompt Tokens", "count"),
        Column("Completion Tokens", "count"),
        Column("Cost", "usd"),
    )
    return Table(columns, rows, title="Cost Breakdown by Turn:", empty="no turns")


def _actions(place: str) -> Note:
    resume = f"• Resume the session: llm sessions resume {quote_for_shell(place)}\n" if place else ""
    return Note(f"Actions available:\n{resume}• List all sessions: llm sessions list")


@command(
    "sessions export",
    "export a session as txt, md, csv, json, html or jsonl",
    argument("format", help="output format", source="formats"),
    argument("file", help="output file (default: stdout)", source="files", nargs="?"),
    argument("--session", help="session to export (default: current)", source="sessions", metavar="NAME"),
    argument("--raw-csv", help="do not escape cells that a spreadsheet could run as formulas", switch=True),
    argument("--force", help="overwrite FILE if it exists", switch=True),
    _DIR,
    group=GROUP,
    example="sessions export md notes.md --session my_coding_session",
    where=BOTH,
    aliases=("export",),
)
def export(
    workspace: Workspace,
    *,
    format: str,
    file: str | None,
    session: str | None,
    raw_csv: bool,
    force: bool,
    dir: str | None,
) -> Result:
    """Write a session in another format."""
    from llmrepl.sessions.export import check_format
    from llmrepl.sessions.export import export as render

    check_format(format)
    shown, path = _select_session(workspace, workspace.directory(dir), session)
    text = render(shown, format, name=path.name if path else "", raw_csv=raw_csv)
    if file is None:
        return Document(text)
    if force:
        workspace.check_trusted("replace files")
    target = workspace.environment.cwd / expand(file, workspace.paths.home)
    workspace.check_new_file(target)
    backup = files.write_new(target, text.encode("utf-8", "replace"), force=force)
    more = f"\nthe old file is kept as {escape_name(backup.name)}" if backup else ""
    return Note(f"exported to {display_path(target, workspace.environment.cwd)}{more}")


def _select_session(
    workspace: Workspace, directory: Path, name: str | None, *, everywhere: bool = False
) -> tuple[Session, Path | None]:
    """Return the session that `name` refers to, or the open one, and its file. Raises UsageError, DamagedError."""
    if name is not None:
        path = find_path(workspace, name, directory, everywhere=everywhere)
        return workspace.store(directory).read(path), path
    current = workspace.chat.current
    if current is None or not current.session.turns:
        if not session_names(directory):
            raise _no_sessions(workspace, directory)
        raise UsageError("Which session?", "llm sessions list shows them")
    return current.session, current.path
