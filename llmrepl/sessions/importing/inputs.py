"""The files to import from: one file, those in a directory, or those in a zip archive."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile
from llmrepl.sessions.storage import session_file

MAX_FILES = 100_000
"""Number of files in a directory or archive that are looked at."""

_ENDINGS = (".json", ".jsonl", ".yaml", ".yml", ".md", ".txt", ".db", ".sqlite", ".sqlite3", ".gz", ".zip")
_EXPORTED = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")


Report = Callable[[int, int], None]
"""Called with the number of files that were read, and of all files."""


def find_files(path: Path, report: Report) -> Iterator[SourceFile]:
    """Yield the file at `path`, or those in the directory or archive there whose names end as those of a source do.

    An archive with a conversations.json is an export, of which only that is yielded. Symbolic links in a directory are
    not followed. Raises UsageError if there is nothing, ImportFileError for an archive that cannot be read.
    """
    if os.path.isdir(path):
        paths = list(islice(_walk(path), MAX_FILES))
        for number, file in enumerate(paths):
            report(number, len(paths))
            yield from _members(file) if zipfile.is_zipfile(file) else (SourceFile(file),)
        report(len(paths), len(paths))
    elif not os.path.isfile(path):
        raise UsageError(f"There is no file {escape_name(path.name)}.", "Name the file or directory to import")
    elif not os.access(path, os.R_OK):
        raise UsageError(f"{escape_name(path.name)} cannot be read", "repair that, or import another file")
    elif zipfile.is_zipfile(path):
        yield from _members(path)
    else:
        yield SourceFile(path)


def is_single(path: Path) -> bool:
    """Whether `path` is one file that is no archive."""
    return os.path.isfile(path) and not zipfile.is_zipfile(path)


def _walk(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if name.lower().endswith(_ENDINGS) and path.is_file() and not path.is_symlink():
                yield path


def _members(path: Path) -> Iterator[SourceFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
            chosen = [name for name in names if _EXPORTED.fullmatch(name)]
            chosen = chosen or [name for name in names if name.lower().endswith(_ENDINGS)]
            if not chosen:
                raise ImportFileError(path.name, "there is no conversations.json in it, nor another file to import")
            for name in chosen[:MAX_FILES]:
                with archive.open(name) as member:
                    raw = member.read(session_file.MAX_BYTES + 1)
                if len(raw) > session_file.MAX_BYTES:
                    raise ImportFileError(path.name, f"it unpacks to more than {session_file.MAX_BYTES >> 20} MiB")
                yield SourceFile(path, name, raw)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ImportFileError(path.name, "the archive is damaged") from error
    except RuntimeError as error:  # an unknown compression; a password
        raise ImportFileError(path.name, "the archive is packed in a way that cannot be read") from error
