"""Read JSON files of other programs with a size limit and clear errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrepl.errors import LLMError
from llmrepl.formatting import escape_name
from llmrepl.sessions.storage import session_file
from llmrepl.system import files


def read_file(path: Path) -> bytes:
    """Read a file, decompressing gzip. Raises LLMError."""
    try:
        return session_file.unpack(files.read_regular(Path(os.path.realpath(path)), session_file.MAX_BYTES))
    except OSError as error:
        raise import_error(path, files.reason(error)) from error
    except session_file.Unreadable as why:
        raise import_error(path, str(why)) from why


def read_documents(path: Path) -> Iterator[Any]:
    """Yield the JSON document of a file, or that of each line of JSONL; a ValueError for a line that is not JSON.

    Raises LLMError if the file cannot be read or no line is a JSON object either.
    """
    raw = read_file(path)
    try:
        yield parse_json(raw)
        return
    except ValueError as error:
        reason = str(error)
    damaged: list[ValueError] | None = []
    for line in filter(bytes.strip, raw.split(b"\n")):
        try:
            document = parse_json(line)
        except ValueError as error:
            document = error
        if damaged is not None:  # nothing but damage so far
            if not isinstance(document, dict):
                damaged.append(document if isinstance(document, ValueError) else ValueError("it is not an object"))
                continue
            yield from damaged
            damaged = None
        yield document
    if damaged is not None:
        raise import_error(path, reason)


def import_error(path: Path, why: str) -> LLMError:
    """Create the error for a file that cannot be imported."""
    return LLMError(f"nothing was imported from {escape_name(path.name)}: {why}", "import another file")


def parse_json(raw: bytes) -> Any:
    """Parse a JSON document. Raises ValueError with the reason."""
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("a byte that is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: it is not JSON") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError("a number with too many digits") from error


def as_dict(value: object) -> dict[str, Any]:
    """Return `value` if it is a JSON object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return `value` if it is a JSON array, otherwise an empty one."""
    return value if isinstance(value, list) else []
