"""The rows of a directory, read from the files themselves: slow for many, but always right."""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrepl.sessions import files
from llmrepl.sessions.names import session_names
from llmrepl.sessions.query import Row, row_of

MAX_BYTES = 1 << 30


def rows(directory: Path, contains: str | None = None) -> Iterator[Row]:
    """A row for each session in `directory`, a damaged or unreadable one with its reason.

    `contains` leaves out those in which no message has this text, whatever its case.
    """
    for name in session_names(directory):
        row = read_row(directory / name, contains)
        if row:
            yield row


def read_row(path: Path, contains: str | None = None) -> Row | None:
    """The row of one file, None if it does not contain `contains`.

    Nothing in the file can make this fail, and it never waits for a fifo.
    """
    try:
        status = os.stat(path, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return Row(path.name, damaged="not a regular file")
        data = decoded(files.read_regular(path, MAX_BYTES))
    except OSError as error:
        return Row(path.name, damaged=files.reason(error))
    except (ValueError, RecursionError, zlib.error):
        return Row(path.name, epoch=status.st_mtime, damaged="not a whole session")
    if not isinstance(data.get("model"), str) or not isinstance(data.get("turns"), list):
        return Row(path.name, epoch=status.st_mtime, damaged="not a session")
    if contains is not None and not any(contains.lower() in text.lower() for text in _texts(data)):
        return None
    return row_of(path.name, data, status.st_mtime)


def _texts(data: dict[str, Any]) -> Iterator[str]:
    """The texts of all messages."""
    for turn in data["turns"]:
        messages = turn.get("messages") if isinstance(turn, dict) else None
        for message in messages if isinstance(messages, list) else []:
            content = message.get("content") if isinstance(message, dict) else None
            for part in content if isinstance(content, list) else [content]:
                text = part.get("text") if isinstance(part, dict) else part
                if isinstance(text, str):
                    yield text


def decoded(raw: bytes) -> dict[str, Any]:
    """The JSON object in a file's bytes, plain or gzip. Raises ValueError, RecursionError or zlib.error."""
    if raw.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        raw = unpacker.decompress(raw, MAX_BYTES)
        if not unpacker.eof:
            raise ValueError("cut off")
    data = json.loads(raw.decode("utf-8-sig"))
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data
