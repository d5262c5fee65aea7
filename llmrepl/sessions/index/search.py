"""Find text in the messages of a session, ignoring case. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

AROUND = 40
"""Characters of context that a hit shows on each side."""

_BETWEEN = "\ufffd"
"""Separates messages in the indexed text, and replaces characters that SQLite cannot store."""

_NOT_HELD = re.compile("[\0\ud800-\udfff\ufffd-\uffff]")


@dataclass(slots=True)
class Hit:
    """A message that contains the text, in turn `turn` (from 1) of session `name`, dated `epoch`.

    `before`, `match` and `after` are the first occurrence with its context, each on one line.
    """

    name: str
    turn: int
    role: str
    before: str
    match: str
    after: str
    epoch: float = 0.0

    @property
    def snippet(self) -> str:
        """The match with its context, on one line."""
        return f"{self.before}{self.match}{self.after}".strip()


def messages(data: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Yield turn number, role and text of every text part in a session's JSON data."""
    for number, turn in enumerate(data["turns"], 1):
        said = turn.get("messages") if isinstance(turn, dict) else None
        for message in said if isinstance(said, list) else []:
            if not isinstance(message, dict):
                continue
            content = message.get("content")
            for part in content if isinstance(content, list) else [content]:
                text = part.get("text") if isinstance(part, dict) else part
                if isinstance(text, str):
                    yield number, str(message.get("role") or ""), text


def can_index(text: str) -> bool:
    """Whether the index can store every character of a text."""
    return not _NOT_HELD.search(text)


def searchable_text(data: dict[str, Any]) -> str:
    """Join all messages of a session; a final separator makes every character start a trigram."""
    joined = _BETWEEN.join([text for _, _, text in messages(data)])
    return _NOT_HELD.sub(_BETWEEN, joined.lower()) + _BETWEEN + _BETWEEN


def contains(data: dict[str, Any], wanted: str) -> bool:
    """Whether a message of the session contains `wanted`."""
    wanted = wanted.lower()
    return any(wanted in text.lower() for _, _, text in messages(data))


def find_hits(name: str, data: dict[str, Any], wanted: str) -> Iterator[Hit]:
    """Yield a hit for each message that contains `wanted`, in order."""
    wanted = wanted.lower()
    for turn, role, text in messages(data):
        lowered = text.lower()
        at = lowered.find(wanted)
        if at >= 0:
            start, end = at, at + len(wanted)
            if len(lowered) != len(text):
                start, end = _place(text, start), _place(text, end)
            yield Hit(name, turn, role, *_around(text, start, end))


def _place(text: str, lowered: int) -> int:
    """Map an offset in `text.lower()` to one in `text`, where lower-casing may lengthen characters."""
    reached = 0
    for at, char in enumerate(text):
        if reached >= lowered:
            return at
        reached += len(char.lower())
    return len(text)


def _around(text: str, start: int, end: int) -> tuple[str, str, str]:
    first, last = max(0, start - AROUND), end + AROUND
    before = ("…" if first else "") + _one_line(text[first:start])
    after = _one_line(text[end:last]) + ("…" if last < len(text) else "")
    return before, _one_line(text[start:end]), after


def _one_line(text: str) -> str:
    """Collapse every run of whitespace to one space."""
    words = " ".join(text.split())
    return f"{' ' if text[:1].isspace() else ''}{words}{' ' if words and text[-1:].isspace() else ''}"
