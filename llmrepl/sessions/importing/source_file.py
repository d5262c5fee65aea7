"""A file to import from, on disk or in an archive, and the JSON in it: read once, with a limit and clear errors."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from llmrepl.errors import LLMError
from llmrepl.formatting import escape_name
from llmrepl.sessions.storage import session_file
from llmrepl.system import files

SAMPLE = 50
"""Number of JSON documents, or elements of a JSON list, that are looked at to detect the source of a file."""


class ImportFileError(LLMError):
    """A file that cannot be imported; `why` is the reason alone."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"nothing was imported from {escape_name(name)}: {why}", "import another file")
        self.why = why


class SourceFile:
    """A file to import from. `content` is given for a member of an archive, and `path` is the archive then."""

    def __init__(self, path: Path, member: str = "", content: bytes | None = None) -> None:
        self.path = path
        self.member = member
        self._content = content

    @property
    def name(self) -> str:
        """The name without directories."""
        return Path(self.member).name if self.member else self.path.name

    @property
    def folder(self) -> str:
        """The name of the directory that contains the file."""
        return Path(self.member).parent.name if self.member else Path(os.path.abspath(self.path)).parent.name

    @property
    def in_archive(self) -> bool:
        """Whether the file is a member of an archive."""
        return self._content is not None

    @cached_property
    def raw(self) -> bytes:
        """The bytes, decompressed if they are gzip. Raises ImportFileError."""
        try:
            if self._content is not None:
                return session_file.unpack(self._content)
            real = Path(os.path.realpath(self.path))
            return session_file.unpack(files.read_regular(real, session_file.MAX_BYTES))
        except OSError as error:
            raise ImportFileError(self.name, files.reason(error)) from error
        except session_file.Unreadable as why:
            raise ImportFileError(self.name, str(why)) from why

    @cached_property
    def head(self) -> bytes:
        """The first 4 KiB without a byte order mark and leading whitespace; empty if the file cannot be read."""
        if self._content is None:
            try:
                with open(self.path, "rb") as file:
                    start = file.read(4096)
            except OSError:
                return b""
        else:
            start = self._content[:4096]
        if start.startswith(b"\x1f\x8b"):
            start = self.raw[:4096]
        return start.removeprefix(b"\xef\xbb\xbf").lstrip()

    @cached_property
    def text(self) -> str:
        """The text. Raises ImportFileError for bytes that are not UTF-8."""
        try:
            return self.raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ImportFileError(self.name, "a byte that is not UTF-8") from error

    @cached_property
    def documents(self) -> list[Any]:
        """The JSON document, or that of each line of JSONL; a ValueError for a line that is not JSON.

        Raises ImportFileError if the file cannot be read or no line is a JSON object either.
        """
        try:
            return [parse_json(self.raw)]
        except ValueError as error:
            reason = str(error)
        documents = [_parse_line(line) for line in self.raw.split(b"\n") if line.strip()]
        first = next((at for at, document in enumerate(documents) if isinstance(document, dict)), None)
        if first is None:
            raise ImportFileError(self.name, reason)
        damaged = [
            document if isinstance(document, ValueError) else ValueError("it is not an object")
            for document in documents[:first]
        ]
        return [*damaged, *documents[first:]]

    @property
    def is_json(self) -> bool:
        """Whether the file begins as JSON or JSONL does."""
        return self.head.startswith((b"[", b"{"))

    @property
    def is_lines(self) -> bool:
        """Whether the file is JSONL of more than one line."""
        return self.is_json and len(self.documents) > 1

    @cached_property
    def sample(self) -> list[dict[str, Any]]:
        """The first objects: lines of JSONL, elements of a JSON list, or the JSON itself. Raises as `documents`."""
        if not self.is_json:
            return []
        documents = self.documents
        elements = documents[0] if len(documents) == 1 and isinstance(documents[0], list) else documents
        return [element for element in elements[:SAMPLE] if isinstance(element, dict)]


def _parse_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        return error


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
