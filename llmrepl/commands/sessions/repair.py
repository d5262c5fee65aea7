"""Commands that find damage and secrets in session files, and mend them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Failed, Group, Note, Result, Table
from llmrepl.errors import DamagedError
from llmrepl.formatting import escape_name, pluralize
from llmrepl.sessions.names import session_names

if TYPE_CHECKING:
    from llmrepl.sessions.storage.store import Store

GROUP = "sessions"

_DIR = argument("--dir", help="the sessions directory", source="directories", metavar="DIR")
_NAMES = argument("names", help="only these sessions, by name or path", source="sessions", nargs="*", metavar="NAME")


@command(
    "sessions validate",
    "check session files: line, column and reason",
    _NAMES,
    _DIR,
    group=GROUP,
    example="sessions validate",
)
def validate(workspace: Workspace, names: list[str], dir: str | None) -> Result:
    """Read every file strictly."""
    from llmrepl.sessions.repair.validate import find_problems

    paths = _paths(workspace.store(workspace.directory(dir)), names)
    found = [(path, problem) for path in paths for problem in find_problems(path)]
    bad = {path for path, _ in found}
    sound = Note(f"✅ {pluralize(len(paths) - len(bad), 'valid session file')}")
    if not found:
        return sound
    rows = [(path.name, problem.line or None, problem.column or None, problem.reason) for path, problem in found]
    columns = (Column("File", "name"), Column("Line", "count"), Column("Column", "count"), Column("Reason"))
    first = escape_name(sorted(bad)[0].name)
    trouble = DamagedError(f"{pluralize(len(bad), 'damaged session file')}", f"'llm sessions recover {first}' mends it")
    return Group([sound, Table(columns, rows), Failed(trouble)])


@command(
    "sessions recover",
    "mend a damaged session; the original is kept",
    argument("name", help="the session, by name or path", source="sessions"),
    argument("--dry-run", help="only say what could be brought back", switch=True),
    _DIR,
    group=GROUP,
    example="sessions recover my_coding_session",
)
def recover(workspace: Workspace, name: str, dry_run: bool, dir: str | None) -> Result:
    """Bring back every turn that can be read."""
    from llmrepl.sessions.repair import validate as repair

    path = workspace.store(workspace.directory(dir)).find(name)
    recovery = repair.recover(path, dry_run=dry_run)
    if recovery is None:
        return Note(f"{escape_name(path.name)} is sound; it was left as it is")
    turns = pluralize(len(recovery.session.turns), "turn")
    shown = escape_name(path.name)
    lines = (
        [f"{shown}: {turns} would be brought back"]
        if dry_run
        else [f"{shown}: {turns} brought back; the original is kept as {shown}.backup"]
    )
    return Note("\n".join([*lines, *(f"lost: {what}" for what in recovery.lost)]))


@command(
    "sessions scan",
    "find keys and passwords in sessions, --fix masks them",
    _NAMES,
    argument("--fix", help="replace them in the files", switch=True),
    argument("--dry-run", help="with --fix: only say what would be replaced", switch=True),
    _DIR,
    group=GROUP,
    example="sessions scan",
)
def scan(workspace: Workspace, names: list[str], fix: bool, dry_run: bool, dir: str | None) -> Result:
    """Look through every message for what should not be there."""
    from llmrepl.sessions.repair.validate import find_secrets, mask

    store = workspace.store(workspace.directory(dir))
    rows: list[tuple[str, int, str, str]] = []
    fixed = 0
    for path in _paths(store, names):
        found = find_secrets(path)
        rows += [(path.name, turn, secret.kind, secret.shown) for turn, secret in found]
        if found and fix and not dry_run:
            mask(path, store)
            fixed += 1
    columns = (Column("File", "name"), Column("Turn", "count"), Column("Kind"), Column("Secret"))
    table = Table(columns, rows, empty="no secrets found")
    return Group([table, Note(f"masked in {pluralize(fixed, 'file')}")]) if fixed else table


def _paths(store: Store, names: list[str]) -> list[Path]:
    if names:
        return [store.find(name) for name in names]
    return [store.directory / name for name in sorted(session_names(store.directory))]
