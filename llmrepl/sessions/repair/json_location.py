"""Locate faults in JSON text that Python's parser accepts, or rejects without a position."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any

DEEPEST = 200
"""Maximum nesting of objects and arrays; deeper data could be parsed but not serialized."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def find_violation(text: str) -> tuple[int, str] | None:
    """Return offset and reason of the first fault in `text`, or None.

    Faults are duplicate keys, NaN and infinities, numbers too large or too long, lone surrogates and deep nesting.
    """
    open_keys: list[set[str] | None] = []
    key_may_follow = False
    for found in _TOKEN.finditer(text):
        token = found[0]
        reason = None
        if token[0] == '"':
            keys = open_keys[-1] if open_keys and key_may_follow else None
            reason = _string(token, keys)
        elif token in ("{", "["):
            open_keys.append(set() if token == "{" else None)
            reason = "nested too deeply" if len(open_keys) > DEEPEST else None
        elif token in ("}", "]"):
            del open_keys[-1:]
        elif token not in (",", ":"):
            reason = _number(token)
        if reason:
            return found.start(), reason
        key_may_follow = token in ("{", ",")
    return None


def is_too_deep(data: dict[str, Any], deepest: int = DEEPEST) -> bool:
    """Whether JSON data is nested deeper than `deepest`."""
    level: list[dict[str, Any] | list[Any]] = [data]
    for _ in range(deepest):
        inner = (value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer))
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _string(token: str, keys: set[str] | None) -> str | None:
    try:
        text: str = json.loads(token, strict=False)
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half of a surrogate pair in a text"
    except json.JSONDecodeError:
        return None
    if keys is None:
        return None
    if text in keys:
        return f"the key '{text}' stands twice"
    keys.add(text)
    return None


def _number(token: str) -> str | None:
    if token in ("NaN", "Infinity", "-Infinity"):
        return f"{token} is not a number"
    if token.lstrip("-").isdecimal() and len(token.lstrip("-")) > sys.get_int_max_str_digits() > 0:
        return "a number with too many digits"
    try:
        return "a number too large" if math.isinf(float(token)) else None
    except ValueError:
        return None
