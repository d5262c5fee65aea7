"""Where a text stands in the messages of a session, whatever its case. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

AROUND = 40
"""How many characters of the message a hit shows before and after the text."""


@dataclass(slots=True)
class Hit:
    """A message that contains the text: in the session `name`, whose date is `epoch`, in the turn numbered from 1.

    The message around the first place: `before`, the text as it stands there, and `after`, each on one line.
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
        """The message around the text, on one line."""
        return f"{self.before}{self.match}{self.after}".strip()


def messages(data: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Turn number, role and text of every message in a session's JSON data; each part of a message by itself."""
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


def contains(data: dict[str, Any], wanted: str) -> bool:
    """Whether a message of the session has `wanted` in it."""
    wanted = wanted.lower()
    return any(wanted in text.lower() for _, _, text in messages(data))


def find_hits(name: str, data: dict[str, Any], wanted: str) -> Iterator[Hit]:
    """A hit for each message that has `wanted` in it, in the order they were said."""
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
    """Where in `text` the character is that stands at `lowered` in `text.lower()`, where some are two."""
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
    """`text` with every run of blanks and line ends as one blank."""
    words = " ".join(text.split())
    return f"{' ' if text[:1].isspace() else ''}{words}{' ' if words and text[-1:].isspace() else ''}"
