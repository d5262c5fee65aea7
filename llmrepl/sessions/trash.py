"""The trash: a folder in the sessions directory, out of which everything comes back."""

from __future__ import annotations

from pathlib import Path

from llmrepl.sessions import files

FOLDER = ".trash"


def to_trash(path: Path) -> Path:
    """Move a file of a sessions directory to its trash and return where it is; nothing there is overwritten.

    Raises OSError; then the file is where it was.
    """
    folder = path.parent / FOLDER
    files.private_mkdir(folder)
    stem, _, ending = path.name.partition(".json")
    number = 1
    while True:
        target = folder / (path.name if number == 1 else f"{stem}.{number}.json{ending}")
        try:
            files.rename_new(path, target)
        except FileExistsError:
            number += 1
            continue
        files.fsync_dir(folder)
        files.fsync_dir(path.parent)
        return target
