"""Read and write session files. Reading is strict and reports where a file is damaged."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from llmrepl.errors import DamagedError
from llmrepl.formatting import quote_for_shell, valid_data
from llmrepl.sessions.model import Session, Turn
from llmrepl.sessions.repair.json_location import find_violation, is_too_deep
from llmrepl.sessions.storage import packed
from llmrepl.system.limits import MAX_SESSION_BYTES, MAX_TURNS

MAX_BYTES = MAX_SESSION_BYTES
"""Maximum size of a session file, uncompressed."""

_HUGE_EXPONENT = re.compile(r"\d[eE]\+?\d{3}")


class Unreadable(ValueError):
    """Why bytes are not a session. `line` and `column` count from 1; 0 if there is no single position."""

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.reason}" if self.line else self.reason


def unpack(raw: bytes) -> bytes:
    """Decompress a file if it is gzip, regardless of its name. Raises Unreadable."""
    try:
        return packed.unpack(raw)
    except packed.PackingError as why:
        raise Unreadable(str(why)) from why


def decode(raw: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark. Raises Unreadable."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        raise Unreadable("a byte that is not UTF-8", before.count(b"\n") + 1, column) from error


def parse(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object strictly: no duplicate keys, NaN, lone surrogates or trailing document.

    Raises Unreadable with position and reason.
    """
    plain = unpack(raw)
    try:
        packed.check_values(plain)
    except packed.PackingError as why:
        raise Unreadable(str(why)) from why
    text = decode(plain)
    if not text.strip("\0 \t\r\n"):
        raise Unreadable("the file is empty" if not text else "the file holds no text")
    try:
        number = _finite if _HUGE_EXPONENT.search(text) else None
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_finite, parse_float=number)
        if "\\ud" in text.lower():
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        raise Unreadable("cut off" if cut else _lower_first(error.msg), error.lineno, error.colno) from error
    except RecursionError as error:
        raise _locate(text, "nested too deeply") from error
    except ValueError as error:
        raise _locate(text, str(error)) from error
    if not isinstance(data, dict):
        raise Unreadable("the file is JSON, but not a session")
    if is_too_deep(data):
        raise _locate(text, "nested too deeply")
    return data


def load(raw: bytes) -> Session:
    """Read a session from the bytes of a file. Raises Unreadable."""
    return session_from_json(parse(raw))


def session_from_json(data: dict[str, Any]) -> Session:
    """Validate JSON data as a session. Raises Unreadable."""
    for key, kind in (("model", str), ("turns", list)):
        if not isinstance(data.get(key), kind):
            raise Unreadable(f"'{key}' is missing" if key not in data else f"'{key}' is of the wrong type")
    if len(data["turns"]) > MAX_TURNS:
        raise Unreadable(f"it has more than {MAX_TURNS:,} turns")
    place = ""
    try:
        session = Session.model_validate({**data, "turns": []})
        for number, turn in enumerate(data["turns"]):  # one by one: pydantic would collect a problem of each
            place = f"turns.{number}."
            session.turns.append(Turn.model_validate(turn))
        return session
    except ValueError as error:  # pydantic's ValidationError
        raise Unreadable(_first_problem(error, place)) from error


def dump(session: Session) -> bytes:
    """Serialize a session: 2-space indent, unescaped UTF-8, known keys first in the documented order."""
    try:
        return session.model_dump_json(indent=2, exclude_unset=True).encode() + b"\n"
    except ValueError:  # a lone surrogate, which must not cost the words around it
        valid = Session.model_validate(valid_data(session.model_dump(exclude_unset=True)))
        return valid.model_dump_json(indent=2, exclude_unset=True).encode() + b"\n"


def damaged_error(name: str, why: Unreadable, readable_turns: int | None = None) -> DamagedError:
    """Create the error for a damaged file; `name` is the name the user knows it by."""
    what = f"{name} is damaged ({why}); nothing was changed"
    turns = "" if readable_turns is None else f" {readable_turns} turn{'' if readable_turns == 1 else 's'}"
    return DamagedError(
        what, f"'llm sessions recover {quote_for_shell(name)}' brings back{turns or ' what can be read'}"
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _locate(text: str, reason: str) -> Unreadable:
    """Create the error for `text` with the position of the fault."""
    found = find_violation(text)
    if found is None:
        return Unreadable(reason)
    at, reason = found
    return Unreadable(reason, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def _lower_first(message: str) -> str:
    return message[0].lower() + message[1:]


def _first_problem(error: ValueError, place: str) -> str:
    problems = error.errors() if hasattr(error, "errors") else []
    if not problems:
        return str(error)
    place = f"{place}{'.'.join(str(p) for p in problems[0]['loc'] if p not in ('str', 'list[any]'))}".rstrip(".")
    return f"{place}: {_lower_first(problems[0]['msg'])}"
