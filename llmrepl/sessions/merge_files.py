"""Merge copies of a session that stand in files: git's merge driver, two names, and conflict copies of Syncthing."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from llmrepl.errors import DamagedError, SaveError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.merge import are_copies, merge
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file
from llmrepl.system import files

DRIVER = "llm-sessions"
"""The name of the merge driver in the configuration of git."""

ATTRIBUTES = f"*.json merge={DRIVER}"
"""The line of `.gitattributes` that names the driver (gitattributes(5), "Defining a custom merge driver")."""

RENAMES = "-Xfind-renames=90%"
"""The option of `git merge` by which only a file that is almost the same counts as renamed (git-merge(1))."""

_CONFLICT = re.compile(r"(?P<name>.+)\.sync-conflict-\d{8}-\d{6}-[A-Z0-9]{7}(?P<ending>\.json(?:\.gz)?)")
"""How Syncthing names the older copy: `NAME.sync-conflict-DATE-TIME-DEVICE.json` (docs.syncthing.net, "Conflicts")."""


@dataclass(frozen=True)
class MergeResult:
    """`session` is the union; `added` how many turns it has more than the first copy, `branched` how many of those are
    on a branch. `changed` tells whether it differs from the first copy at all.
    """

    session: Session
    added: int
    branched: int
    changed: bool


def merge_copies(ours: Session, theirs: Session) -> MergeResult:
    """Merge two copies and count what the second one adds."""
    merged, alone = merge(ours, theirs), merge(ours, ours)
    known = {turn.id for turn in alone.turns}
    new = [turn for turn in merged.turns if turn.id not in known]
    changed = session_file.dump(merged) != session_file.dump(alone)
    branches = sum(turn.branch is True for turn in merged.turns) - sum(turn.branch is True for turn in alone.turns)
    return MergeResult(merged, len(new), max(0, branches), changed)


def check_related(one: Path, ours: Session, other: Path, theirs: Session) -> None:
    """Raise UsageError unless two sessions are copies of one."""
    if not are_copies(ours, theirs):
        raise UsageError(
            f"{escape_name(one.name)} and {escape_name(other.name)} have no turn in common; nothing was changed",
            f"'llm sessions show {shlex.quote(escape_name(other.name))}' shows what the second one holds",
        )


def merge_for_git(ours: Path, theirs: Path) -> bool:
    """Write the union of the two files to `ours`, as git expects of a merge driver; return whether they are copies.

    The base is not needed: a join loses nothing that only one side has. The branches stand in the same file, because
    a driver has one output: git merges in a temporary directory before it touches the working tree, and a second file
    would not be part of the merge. Raises DamagedError, which leaves `ours` as it is and makes git report a conflict;
    SaveError.
    """
    first, second = _read(ours), _read(theirs)
    result = session_file.dump(merge(session_file.load(first), session_file.load(second)))
    try:
        files.replace(ours, result, is_known=lambda path: files.read_regular(path, session_file.MAX_BYTES) == first)
    except OSError as error:
        raise SaveError(f"the merged session cannot be written: {files.reason(error)}", "merge again") from error
    return are_copies(session_file.load(first), session_file.load(second))


def conflict_copies(path: Path) -> list[Path]:
    """Return the conflict copies that Syncthing left beside a session, oldest first."""
    return sorted(other for other in path.parent.glob("*.sync-conflict-*") if original_of(other) == path)


def original_of(path: Path) -> Path | None:
    """Return the session that a conflict copy of Syncthing belongs to, None if the name is not that of one."""
    found = _CONFLICT.fullmatch(path.name)
    return path.with_name(f"{found['name']}.json") if found else None


def driver_command(python: str) -> str:
    """Return the command line of the driver for git; `python` is the interpreter that has this program.

    `-P` keeps modules in the working tree from being imported.
    """
    return f"{shlex.quote(python).replace('%', '%%')} -P -m llmrepl sessions merge %O %A %B"


def add_attributes(directory: Path) -> bool:
    """Add the driver to `.gitattributes` in `directory` and return whether it was missing. Raises SaveError."""
    path = directory / ".gitattributes"
    try:
        files.private_mkdir(directory)
        stamp = files.file_stamp(path)
        old = files.read_regular(path, 1 << 20) if stamp else b""
        if ATTRIBUTES.encode() in old.splitlines():
            return False
        text = old + (b"" if not old or old.endswith(b"\n") else b"\n") + ATTRIBUTES.encode() + b"\n"
        if stamp is None:
            files.create(path, text)
        else:
            files.replace(path, text, is_known=lambda _: files.file_stamp(path) == stamp)
    except OSError as error:
        raise SaveError(
            f"{escape_name(str(path))} cannot be written: {files.reason(error)}", "repair that, then install again"
        ) from error
    return True


def _read(path: Path) -> bytes:
    try:
        raw = files.read_regular(path, session_file.MAX_BYTES)
        session_file.load(raw)
    except OSError as error:
        raise DamagedError(f"{escape_name(path.name)} cannot be read: {files.reason(error)}", "repair that") from error
    except session_file.Unreadable as why:
        raise session_file.damaged_error(escape_name(path.name), why) from why
    return raw
