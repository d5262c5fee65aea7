"""Detect changed session files by name, size and mtime, without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmrepl.sessions.index.sql import to_bytes, to_text
from llmrepl.sessions.names import ENDINGS

State = tuple[bytes, int, int]
"""Name, size and mtime_ns of a file; with the journal of a live shell, the sum of the sizes and the later mtime."""

_LARGEST = (1 << 63) - 1
"""Maximum integer in SQLite; a file's mtime in the year 2300 is larger."""


def file_states(directory: Path) -> Iterator[State]:
    """Yield the state of every session file; nothing if the directory cannot be read."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        names = os.listdir(fd)
        journals = _journals(names)
        for name in names:
            if name.endswith(ENDINGS) and name[0] != ".":
                journal = journal_name(name) if journals else ""
                state = _state(name, journal if journal in journals else "", fd)
                if state:
                    yield state
    finally:
        os.close(fd)


def current_states(directory: Path, names: Iterable[bytes]) -> dict[bytes, State]:
    """Return the current states of these files, without those that do not exist."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        states = [_state(name, journal_name(name), fd) for name in map(to_text, names)]
        return {state[0]: state for state in states if state}
    finally:
        os.close(fd)


def journal_names(directory: Path) -> set[str]:
    """Return the names of the journals in a directory."""
    try:
        return _journals(os.listdir(directory))
    except OSError:
        return set()


def journal_name(name: str) -> str:
    """Return the name of the journal of a session file."""
    return f".{name.removesuffix('.json')}.journal"


def _journals(names: list[str]) -> set[str]:
    return {name for name in names if name[0] == "." and name.endswith(".journal")}


def _state(name: str, journal: str, fd: int) -> State | None:
    """Return the state of a file in the directory `fd`, with that of its journal, if one is named."""
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None
    size, mtime_ns = status.st_size, status.st_mtime_ns
    if journal:
        try:
            status = os.stat(journal, dir_fd=fd, follow_symlinks=False)
            size, mtime_ns = size + status.st_size, max(mtime_ns, status.st_mtime_ns)
        except OSError:
            pass
    return to_bytes(name), size & _LARGEST, mtime_ns & _LARGEST


def digest(files: list[State]) -> bytes:
    """Hash the states of a directory's files, in listing order."""
    return hashlib.blake2b(b"".join([b"%b/%d/%d/" % file for file in files])).digest()
