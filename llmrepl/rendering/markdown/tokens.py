"""Block tokens of Markdown, and the quotes and lists that contain them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LIMIT = 1000
"""Paragraphs are split after this many characters, which bounds the text that is processed again."""

DEEPEST = 100
"""Maximum nesting of quotes and lists; deeper ones are treated as text."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A block quote."""

    serial: int


@dataclass(frozen=True, slots=True)
class Container:
    """A list: its items share `mark` (`-`, `+`, `*`, `.` or `)`); `number` is that of the latest item."""

    serial: int
    mark: str
    number: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the list `group`. `number` is None for a bullet. The text is indented by `width` columns."""

    serial: int
    group: int
    number: int | None
    mark: str
    width: int


Place = tuple[Quote | Item, ...]
"""The quotes and items that contain a block, outermost first."""

Kind = Literal["prose", "heading", "code", "html", "definition", "table", "rule", "empty"]


@dataclass(frozen=True, slots=True)
class BlockToken:
    """A block, or part of one: a line of code or HTML, a section of a paragraph. `empty` has nothing to show.

    `apart`: preceded by a blank line. `begins`, `ends`: the first, the last part. `detail`: the level of a heading (`1`
    to `6`) or the info string of code. The text of a table is its lines.
    """

    kind: Kind
    place: Place
    text: str = ""
    apart: bool = False
    begins: bool = True
    ends: bool = True
    detail: str = ""


def section_end(text: str) -> int:
    """Return where the first section of a long paragraph ends, preferably between words outside markup."""
    text = text[:LIMIT]
    words = [end for end in range(len(text) - 1, 0, -1) if text[end - 1] == " " and text[end] not in " \n"]
    half = [end for end in words if end >= len(text) // 2]
    closed = (end for end in half[:50] if _is_closed(text[:end]))
    return next(closed, None) or next(iter(words), len(text))


def _is_closed(text: str) -> bool:
    pairs = all(text.count(one) == text.count(other) for one, other in ("[]", "()"))
    return pairs and not any(text.count(mark) % 2 for mark in "`*_")
