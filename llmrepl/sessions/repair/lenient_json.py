"""Parse truncated, corrupted or invalid JSON as far as possible."""

from __future__ import annotations

import json
import re
from typing import Any

from llmrepl.formatting import valid_text

DEEPEST = 190
"""Maximum nesting; the result must fit into a session."""

_TOKEN = re.compile(
    r"""[\s\0]*(?:(?P<mark>[{}\[\],:])|"(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)(?P<closed>"?)"""
    r"""|(?P<word>[^\s\0{}\[\],:"]+)|(?P<rest>.))""",
    re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?")
_ESCAPE = re.compile(r"""\\(?:(?P<valid>["\\/bfnrt]|u[0-9a-fA-F]{4})|.?)""", re.DOTALL)


class LenientReader:
    """Parses one value from `text[start:end]`. `complete` is False if anything was missing or invalid."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.complete = True
        self.value: Any = None
        self._text = text
        self._stack: list[Any] = []
        self._keys: list[str | None] = []
        self.stopped = self._read(start, end)

    def _read(self, at: int, end: int) -> int:
        """Consume tokens until the value is closed or the text ends; return the end position."""
        while at < end and (found := _TOKEN.match(self._text, at, end)):
            at = found.end()
            if (mark := found["mark"]) is not None:
                if self._mark(mark):
                    return at
            elif found["text"] is not None:
                self.complete = self.complete and bool(found["closed"])
                self._string(found["text"])
            elif found["word"] is not None:
                self._word(found["word"])
            else:
                self.complete = False
        self.complete = False
        return at

    def _mark(self, mark: str) -> bool:
        """Handle a bracket, comma or colon; return whether the outermost value is closed."""
        if mark in "{[":
            if len(self._stack) >= DEEPEST:
                self.complete = False
                return True
            container: Any = {} if mark == "{" else []
            self._put(container)
            self._stack.append(container)
            self._keys.append(None)
        elif mark in "}]" and self._stack:
            self._stack.pop()
            self._keys.pop()
        return not self._stack

    def _string(self, raw: str) -> None:
        text = unescape(raw)
        if self._stack and isinstance(self._stack[-1], dict) and self._keys[-1] is None:
            self._keys[-1] = text
        else:
            self._put(text)

    def _word(self, word: str) -> None:
        if word in _WORDS:
            self._put(_WORDS[word])
        elif _NUMBER.fullmatch(word):
            number = float(word)
            exact = number.is_integer() and abs(number) < 1 << 53 and word.lstrip("-").isdigit()
            self._put(int(word) if exact else number if abs(number) != float("inf") else None)
        elif word in ("NaN", "Infinity", "-Infinity") or word.lstrip("-").isdigit():
            self._put(None)
        else:
            self.complete = False

    def _put(self, value: Any) -> None:
        if not self._stack:
            self.value = value
        elif isinstance(self._stack[-1], list):
            self._stack[-1].append(value)
        elif (key := self._keys[-1]) is not None:
            self._stack[-1].setdefault(key, value)
            self._keys[-1] = None


def unescape(raw: str) -> str:
    """Decode the contents of a JSON string, dropping incomplete or unknown escapes."""
    try:
        text: str = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        cleaned = _ESCAPE.sub(lambda found: found[0] if found["valid"] else "", raw)
        text = json.loads(f'"{cleaned}"', strict=False)
    return valid_text(text)
