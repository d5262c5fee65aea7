"""The sessions directories ever used, one per line in an append-only text file."""

from __future__ import annotations

import os
from pathlib import Path

from llmrepl.system.files import append_private


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
        append_private(file, line + b"\n")
    except OSError:
        return
