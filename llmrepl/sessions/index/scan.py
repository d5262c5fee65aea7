"""Read session rows from the files themselves: slow for many files, but always current."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from llmrepl.sessions.index import search
from llmrepl.sessions.index.fingerprints import journal_name
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
    except OSError as error:
        return Row(path.name, damaged=files.reason(error)), None
    return parse(path.name, raw, records, status.st_mtime)


def read_listed(directory: Path, name: str, journals: set[str]) -> tuple[Row, dict[str, Any] | None]:
    """Like `read`, with fewer system calls for a dated session without a journal; `journals` are the directory's."""
    if journal_name(name) not in journals:
        try:
            raw = files.read_regular(f"{directory}/{name}", MAX_SESSION_BYTES)
        except OSError:
            return read(directory / name)
        row, data = parse(name, raw, [], math.nan)
        if not math.isnan(row.epoch):
            return row, data
    return read(directory / name)


def parse(name: str, raw: bytes, records: list[dict[str, Any]], mtime: float) -> tuple[Row, dict[str, Any] | None]:
    """Parse the bytes of a session file and apply its journal's `records`; the data is None if it is damaged.

    `mtime`, in seconds since 1970, dates a session that has no date.
    """
    try:
        data = decode_json(raw)
        if records and isinstance(data.get("turns"), list):
            data = replay(data, records) or data
    except packed.PackingError as why:
        return Row(name, epoch=mtime, damaged=str(why)), None
    except (ValueError, RecursionError):
        return Row(name, epoch=mtime, damaged="not a complete session"), None
    if not isinstance(data.get("model"), str) or not isinstance(data.get("turns"), list):
        return Row(name, epoch=mtime, damaged="not a session"), None
    return row_from_json(name, data, mtime), data


def decode_json(raw: bytes) -> dict[str, Any]:
    """Decode the JSON object in plain or gzip bytes. Raises ValueError or RecursionError."""
    raw = packed.unpack(raw)
    packed.check_values(raw)
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:  # stricter than Python's parser: no byte order mark, NaN or lone surrogates
        data = json.loads(raw.decode("utf-8-sig"))
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data


def encode(values: tuple[Any, ...]) -> str:
    """Encode the values of a row as JSON."""
    try:
        return orjson.dumps(values).decode()
    except TypeError:  # lone surrogates, or turn groups, which are named tuples
        return json.dumps(values)


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
