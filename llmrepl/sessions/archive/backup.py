"""Back up a sessions directory: copies only what changed and verifies every copy."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from llmrepl.errors import DamagedError, SaveError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.archive import trash
from llmrepl.sessions.archive.trash import ARCHIVE, TRASH
from llmrepl.sessions.index import scan
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.journal import journal_path
from llmrepl.sessions.storage.store import Store
from llmrepl.system import files

OLDER = "older"
"""Folder for earlier copies that have turns which the session no longer has."""

_BACKED_UP = re.compile(r"[^.].*\.json(\.gz)?(\.backup(-\d+)?)?", re.DOTALL)
"""Sessions, and the originals of recovered ones."""

_TRIES = 5


@dataclass(slots=True)
class Backup:
    """Result of a backup, as paths relative to the sessions directory. `same` counts unchanged files.

    `failed` lists unreadable files with the reason; their previous copy is kept.
    """

    copied: list[str] = field(default_factory=list)
    same: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class _Content(NamedTuple):
    data: bytes
    mtime_ns: int


def backup(store: Store, target: Path, progress: Callable[[str, int, int], None], *, dry_run: bool = False) -> Backup:
    """Copy the sessions of a store, its archive and its trash to the directory `target`, creating it if missing.

    `target` is an ordinary sessions directory, and nothing is deleted from it. An interrupted backup is resumed by the
    next one. Raises UsageError if `target` is the sessions directory, SaveError if it cannot be written.
    """
    _check(store.directory, target)
    done = Backup()
    names = sorted(_names(store.directory))
    for number, name in enumerate(names, 1):
        source, copy = store.directory / name, target / name
        try:
            content = None if _is_copied(source, copy) else _read(store, source)
        except OSError as error:
            done.failed.append((name, files.reason(error)))
            continue
        if content is None or _bytes(copy) == content.data:
            done.same += 1
        else:
            if not dry_run:
                _write(copy, content)
            done.copied.append(name)
        progress("copying sessions", number, len(names))
    return done


def _check(directory: Path, target: Path) -> None:
    here, there = directory.resolve(), target.resolve()
    if there == here or {here / ARCHIVE, here / TRASH} & {there, *there.parents}:
        raise UsageError(f"{escape_name(str(target))} is where the sessions are.", "Choose another directory")


def _names(directory: Path) -> Iterator[str]:
    """Yield the relative paths to copy; folders that are symbolic links are skipped."""
    for folder in ("", ARCHIVE, TRASH):
        place = directory / folder
        if folder and place.is_symlink():
            continue
        try:
            with os.scandir(place) as entries:
                yield from (os.path.join(folder, entry.name) for entry in entries if _BACKED_UP.fullmatch(entry.name))
        except OSError:
            continue


def _is_copied(source: Path, copy: Path) -> bool:
    """Whether the copy has the same size and mtime, and no shell has the session open. Raises OSError."""
    here, there = files.file_stamp(source), files.file_stamp(copy)
    return (
        here is not None and there is not None and here[2:] == there[2:] and not files.file_stamp(journal_path(source))
    )


def _read(store: Store, source: Path) -> _Content:
    """Read a session including changes in the journal of another shell; a damaged one as it is. Raises OSError."""
    journal = files.file_stamp(journal_path(source))
    for _ in range(_TRIES):
        before, data = files.file_stamp(source), files.read_regular(source, session_file.MAX_BYTES)
        if before and before == files.file_stamp(source):
            break
    else:
        raise OSError(errno.EBUSY, "it keeps changing", str(source))
    if journal:
        try:
            session = store.read(source)
            if session != session_file.load(data):
                return _Content(session_file.dump(session), max(before[3], journal[3]))
        except (DamagedError, UsageError, session_file.Unreadable):
            pass
    return _Content(data, before[3])


def _write(copy: Path, content: _Content) -> None:
    """Replace the copy; keep the old one in OLDER unless the new one has all of its turns. Raises SaveError."""
    try:
        trash.ensure_folder(copy.parent)
        files.put(
            copy,
            content.data,
            names=_older_paths(copy),
            may_drop=lambda old: _is_continued(old, content.data),
            mtime_ns=content.mtime_ns,
        )
        if _bytes(copy) != content.data:
            files.unlink_quietly(copy)
            raise OSError(errno.EIO, "what was written reads back otherwise", str(copy))
    except OSError as error:
        what = f"the backup stopped at {escape_name(copy.name)}: {files.reason(error)}"
        raise SaveError(what, "repair that and run it again; it goes on from there") from error


def _bytes(copy: Path) -> bytes | None:
    try:
        return files.read_regular(copy, session_file.MAX_BYTES)
    except OSError:
        return None


def _older_paths(copy: Path) -> Iterator[Path]:
    yield from trash.candidate_paths(copy.name, trash.ensure_folder(copy.parent / OLDER))


def _is_continued(before: bytes, after: bytes) -> bool:
    """Whether both are valid sessions and the new one begins with all turns of the old one."""
    old, new = _messages(before), _messages(after)
    return old is not None and new is not None and old == new[: len(old)]


def _messages(data: bytes) -> list[Any] | None:
    """Return the messages of each turn; None if the bytes are not a valid session."""
    try:
        turns = scan.decode_json(data).get("turns")
    except (ValueError, RecursionError):
        return None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return None
    return [turn.get("messages") for turn in turns]
