"""Commands that find and repair damage and secrets in session files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Failed, Group, Note, Result, Table
from llmrepl.errors import DamagedError
from llmrepl.formatting import escape_name, pluralize, quote_for_shell
from llmrepl.sessions.names import session_names

if TYPE_CHECKING:
    from llmrepl.sessions.storage.store import Store

GROUP = "sessions"

_DIR = argument("--dir", "-d", help="sessions directory", source="directories", metavar="DIR")
_NAMES = argument("names", help="sessions to check (default: all)", source="sessions", nargs="*", metavar="NAME")


@command(
    "sessions validate",
    "check session files and report damage by line",
    _NAMES,
    _DIR,
    group=GROUP,
    example="sessions validate",
)
def validate(workspace: Workspace, names: list[str], dir: str | None) -> Result:
    """Check every file strictly."""
    from llmrepl.sessions.repair.validate import find_problems

    paths = _paths(workspace.store(workspace.directory(dir)), names)
    found = [(path, problem) for path in paths for problem in find_problems(path)]
    bad = {path for path, _ in found}
    valid = Note(f"✅ {pluralize(len(paths) - len(bad), 'valid session file')}")
    if not found:
        return valid
    rows = [(path.name, problem.line or None, problem.column or None, problem.reason) for path, problem in found]
    columns = (Column("File", "name"), Column("Line", "count"), Column("Column", "count"), Column("Reason"))
    first = sorted(bad)[0].name
    hint = f"'llm sessions recover {quote_for_shell(first)}' may repair it"
    damage = DamagedError(pluralize(len(bad), "damaged session file"), hint)
    return Group([valid, Table(columns, rows), Failed(damage)])


@command(
    "sessions recover",
    "repair a damaged session; the original is kept",
    argument("name", help="session name or path", source="sessions"),
    argument("--dry-run", help="only show what could be recovered", switch=True),
    _DIR,
    group=GROUP,
    example="sessions recover my_coding_session",
)
def recover(workspace: Workspace, name: str, dry_run: bool, dir: str | None) -> Result:
    """Recover every readable turn."""
    from llmrepl.sessions.repair import validate as repair

    path = workspace.store(workspace.directory(dir)).find(name)
    recovery = repair.recover(path, dry_run=dry_run)
    if recovery is None:
        return Note(f"{escape_name(path.name)} is valid; it was left as it is")
    turns = pluralize(len(recovery.session.turns), "turn")
    shown = escape_name((recovery.path or path).name)
    lines = [f"{shown}: {turns} would be brought back" if dry_run else f"{shown}: {turns} brought back"]
    if recovery.backup:
        lines[0] += f"; the original is kept as {escape_name(recovery.backup.name)}"
    return Note("\n".join([*lines, *(f"lost: {what}" for what in recovery.lost)]))


@command(
    "sessions scan",
    "find API keys and passwords in sessions; --fix masks them",
    _NAMES,
    argument("--fix", help="mask them in the files", switch=True),
    argument("--dry-run", help="with --fix, only show what would be masked", switch=True),
    _DIR,
    group=GROUP,
    example="sessions scan",
)
def scan(workspace: Workspace, names: list[str], fix: bool, dry_run: bool, dir: str | None) -> Result:
    """Search every message for secrets."""
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
