"""Read session rows from the files themselves: slow for many files, but always current."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrepl.sessions.index import search
from llmrepl.sessions.index.query import Row, row_from_json
from llmrepl.sessions.names import session_names
from llmrepl.sessions.storage import packed
from llmrepl.sessions.storage.journal_records import replay
from llmrepl.sessions.storage.reader import read_with_journal
from llmrepl.system import files
from llmrepl.system.limits import MAX_SESSION_BYTES, MAX_TURNS


def exists(directory: Path, name: str) -> bool:
    """Whether `directory` has a file of this name; an empty name is none."""
    return bool(name) and os.path.lexists(directory / name)


def rows(directory: Path, contains: str | None = None) -> Iterator[Row]:
    """Yield a row for each session in `directory`, damaged ones with the reason.

    `contains` drops sessions that do not have this text in a message, ignoring case.
    """
    for name in session_names(directory):
        row = read_row(directory / name, contains)
        if row:
            yield row


def read_row(path: Path, contains: str | None = None) -> Row | None:
    """Read the row of one file; None if it does not contain `contains`."""
    row, data = read(path)
    return row if contains is None or data is None or search.contains(data, contains) else None


def read(path: Path) -> tuple[Row, dict[str, Any] | None]:
    """Read the row and the JSON data of one file; the data is None if the file is damaged.

    Never raises for bad contents, and never blocks on a FIFO.
    """
    try:
        status = os.stat(path, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return Row(path.name, damaged="not a regular file"), None
        raw, records = read_with_journal(path, MAX_SESSION_BYTES)
        data = decode_json(raw)
        if records and isinstance(data.get("turns"), list):
            data = replay(data, records) or data
    except OSError as error:
        return Row(path.name, damaged=files.reason(error)), None
    except packed.PackingError as why:
        return Row(path.name, epoch=status.st_mtime, damaged=str(why)), None
    except (ValueError, RecursionError):
        return Row(path.name, epoch=status.st_mtime, damaged="not a complete session"), None
    if not isinstance(data.get("model"), str) or not isinstance(data.get("turns"), list):
        return Row(path.name, epoch=status.st_mtime, damaged="not a session"), None
    return row_from_json(path.name, data, status.st_mtime), data


def decode_json(raw: bytes) -> dict[str, Any]:
    """Decode the JSON object in plain or gzip bytes. Raises ValueError or RecursionError."""
    raw = packed.unpack(raw)
    packed.check_values(raw)
    data = json.loads(raw.decode("utf-8-sig"))
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data


def origin(path: Path) -> tuple[str, str, int] | None:
    """Return source, id and number of messages of an import; None for a file that is no imported session.

    The number is that at the time of the import, MAX_TURNS if it is unknown.
    """
    try:
        meta = decode_json(files.read_regular(path, MAX_SESSION_BYTES)).get("meta")
    except (OSError, ValueError, RecursionError):
        return None
    found = meta.get("origin") if isinstance(meta, dict) else None
    source, id = (found.get("source"), found.get("id")) if isinstance(found, dict) else (None, None)
    number = found.get("messages") if isinstance(found, dict) else None
    known = number if isinstance(number, int) else MAX_TURNS
    return (source, id, known) if isinstance(source, str) and isinstance(id, str) else None
