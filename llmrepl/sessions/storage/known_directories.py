"""The sessions directories that were ever used: a line each in a text file that only grows."""

from __future__ import annotations

import os
from pathlib import Path

from llmrepl.system.files import private_mkdir


def read_known(file: Path) -> list[Path]:
    """The directories in `file`, each once, in the order they were first used; none if it cannot be read."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return []
    return [Path(os.fsdecode(line)) for line in dict.fromkeys(lines) if line.startswith(b"/")]


def add_known(file: Path, directory: Path) -> None:
    """Add a directory, unless it is there or `file` cannot be written."""
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
