"""The trash and archive folders of a sessions directory."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from llmrepl.sessions.names import session_names
from llmrepl.system import files

TRASH, ARCHIVE = ".trash", "archive"


def move_to_folder(path: Path, name: str) -> Path:
    """Move a file into the folder `name` beside it and return its new path. Never overwrites.

    Completes a move that was interrupted between link and unlink. Raises OSError; the file is then where it was.
    """
    folder = ensure_folder(path.parent / name)
    return files.move(path, candidate_paths(path.name, folder))


def list_removed(directory: Path) -> list[Path]:
    """Return the files in the archive and the trash of a sessions directory."""
    places = (directory / ARCHIVE, directory / TRASH)
    return sorted(place / name for place in places for name in session_names(place))


def ensure_folder(folder: Path) -> Path:
    """Create the folder if missing. Raises OSError, also if it is a symbolic link."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"{folder.name} is a symbolic link", str(folder))
    files.private_mkdir(folder)
    return folder


def candidate_paths(name: str, folder: Path) -> Iterator[Path]:
    """Yield paths for a file in a folder: its own name, then numbered ones, without end."""
    stem, _, ending = name.partition(".json")
    yield folder / name
    for number in count(2):
        yield folder / f"{stem}.{number}.json{ending}"
