"""Detect changed session files by name, size and mtime, without reading them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from llmrepl.sessions.index.sql import to_bytes, to_text
from llmrepl.sessions.names import ENDINGS

State = tuple[bytes, int, int]
"""Name, size and mtime_ns of a file."""


def file_states(directory: Path) -> Iterator[State]:
    """Yield the state of every session file; nothing if the directory cannot be read."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for name in os.listdir(fd):
            if name.endswith(ENDINGS) and name[0] != ".":
                try:
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield to_bytes(name), status.st_size, status.st_mtime_ns
    finally:
        os.close(fd)


def file_state(directory: Path, name: bytes) -> State | None:
    """Return the current state of one file, or None if it does not exist."""
    try:
        status = os.stat(directory / to_text(name), follow_symlinks=False)
    except OSError:
        return None
    return name, status.st_size, status.st_mtime_ns


def digest(files: list[State]) -> bytes:
    """Hash the states of a directory's files, in listing order."""
    return hashlib.blake2b(b"".join([b"%b/%d/%d/" % file for file in files])).digest()
