"""The folders in a sessions directory for what was put away, out of which everything comes back."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from llmrepl.sessions.names import session_names
from llmrepl.system import files

TRASH, ARCHIVE = ".trash", "archive"


def move_to_folder(path: Path, name: str) -> Path:
    """Move a file of a sessions directory into its folder `name` and return where it is; nothing there is overwritten.

    A move that was cut short between its two steps is finished. Raises OSError; then the file is where it was.
    """
    folder = ensure_folder(path.parent / name)
    for target in candidate_paths(path.name, folder):
        try:
            files.rename_new(path, target)
        except FileExistsError:
            if not _two_names(path, target):
                continue
            os.unlink(path)
        files.fsync_dir(folder)
        files.fsync_dir(path.parent)
        return target
    raise AssertionError("the names do not end")


def list_removed(directory: Path) -> list[Path]:
    """The files in the archive and the trash of a sessions directory, which could be brought back."""
    places = (directory / ARCHIVE, directory / TRASH)
    return sorted(place / name for place in places for name in session_names(place))


def ensure_folder(folder: Path) -> Path:
    """The folder, made if it is missing. Raises OSError, also for a link: what is put away stays in the directory."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"{folder.name} is a symbolic link", str(folder))
    files.private_mkdir(folder)
    return folder


def candidate_paths(name: str, folder: Path) -> Iterator[Path]:
    """Where a file may go in a folder: under its own name, then with a number, without end."""
    stem, _, ending = name.partition(".json")
    yield folder / name
    for number in count(2):
        yield folder / f"{stem}.{number}.json{ending}"


def _two_names(one: Path, other: Path) -> bool:
    """Whether these are two names of one file, of which one can go."""
    here, there = os.lstat(one), os.lstat(other)
    return os.path.samestat(here, there) and here.st_nlink > 1
