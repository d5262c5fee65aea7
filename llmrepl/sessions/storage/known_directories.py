"""The sessions directories ever used, one per line in an append-only text file."""

from __future__ import annotations

import os
from pathlib import Path

from llmrepl.system.files import private_mkdir


def read_known(file: Path) -> list[Path]:
    """Return the directories in `file` without duplicates, oldest first; empty if it cannot be read."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return []
    return [Path(os.fsdecode(line)) for line in dict.fromkeys(lines) if line.startswith(b"/")]


def add_known(file: Path, directory: Path) -> None:
    """Append a directory to `file` if it is missing. Errors are ignored."""
    line = os.fsencode(os.path.realpath(directory))
    if b"\n" in line or Path(os.fsdecode(line)) in read_known(file):
        return
    try:
        private_mkdir(file.parent)
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as lines:
            lines.write(line + b"\n")
    except OSError:
        return
