"""Measures styled text, wraps it into rows, and paints it with escape codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, get_character_cell_size
from rich.console import COLOR_SYSTEMS, Console
from rich.segment import Segment
from rich.text import Text

_WIDE = "\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
_CLOSING = "\u3001\u3002\u300d\u300f\u3011\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
_UNITS = re.compile(f" +|[{_WIDE}][{_CLOSING}]*|[^ {_WIDE}]+")
"""Units that may start a row: a word, or a wide character with closing punctuation."""

_JOINER = "\u200d"

_LONGEST_CLUSTER = 32
"""Maximum characters of a grapheme cluster: the longest emoji has 12.

A longer cluster occupies a cell for each such part, so that text made only of marks is split into rows.
"""


class Painter:
    """Converts styled text to escape codes with the colors of a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colors = COLOR_SYSTEMS.get(console.color_system or "")

    def paint(self, text: Text) -> str:
        """Paint one row, without a line end."""
        if not text.spans:
            return self.paint_segments([Segment(text.plain, self._console.get_style(text.style))])
        return self.paint_segments(text.render(self._console))

    def paint_segments(self, segments: Iterable[Segment]) -> str:
        """Paint the segments of a rich renderable."""
        if self._colors is None:
            return "".join(text for text, _, _ in segments)
        painted = []
        for text, style, _ in segments:
            if style and self._console.no_color:
                style = style.without_color
            painted.append(style.render(text, color_system=self._colors) if style else text)
        return "".join(painted)


def cell_width(text: str) -> int:
    """Return the maximum width in cells: terminals differ in joining emoji and flags."""
    if text.isascii():
        return len(text)
    return max(cell_len(text), sum(2 if _is_tone(one) else get_character_cell_size(one) for one in text))


def wrap(text: Text, width: int) -> list[Text]:
    """Wrap text to rows of at most `width` cells, between words if possible; spaces at a break are dropped."""
    plain = text.plain
    if len(plain) <= width and plain.isascii() and "\n" not in plain:
        return [text]
    rows = list(_rows(plain, max(width, 2)))
    if not text.spans:
        return [Text(plain[start:end], text.style) for start, end in rows]
    return list(text.divide([offset for row in rows for offset in row]))[1::2]


def _rows(plain: str, width: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each row."""
    start = 0
    for line in plain.split("\n"):
        at, used, gap, end = start, 0, 0, start
        for unit in _UNITS.finditer(line):
            word = unit[0]
            if word[0] == " ":
                gap = len(word)
                continue
            size = max(cell_width(word), len(word) // _LONGEST_CLUSTER)
            if used + gap + size <= width:
                used += gap + size
            else:
                if end > at:
                    yield at, end
                at = start + unit.start()
                *full, used = _split_word(word, width) if size > width else (size,)
                for length in full:
                    yield at, at + length
                    at += length
                if size > width:
                    used = cell_width(plain[at : start + unit.end()])
            end, gap = start + unit.end(), 0
        yield at, end
        start += len(line) + 1


def _split_word(word: str, width: int) -> list[int]:
    """Return the lengths, in characters, of the parts of a word too long for a row. Grapheme clusters are not split."""
    lengths, length, used = [], 0, 0
    for cluster in clusters(word):
        size = max(cell_width(cluster), 1)
        if used + size > width and used:
            lengths.append(length)
            length, used = 0, 0
        length, used = length + len(cluster), used + size
    return [*lengths, length]


def clusters(word: str) -> Iterator[str]:
    """Yield characters with their marks, modifiers and joined emoji."""
    cluster = ""
    for character in word:
        modifies = get_character_cell_size(character) == 0 or _is_tone(character)
        flag = len(cluster) == 1 and all("\U0001f1e6" <= one <= "\U0001f1ff" for one in cluster + character)
        joined = (modifies or flag or cluster.endswith(_JOINER)) and len(cluster) < _LONGEST_CLUSTER
        if cluster and not joined:
            yield cluster
            cluster = ""
        cluster += character
    yield cluster


def _is_tone(character: str) -> bool:
    """Whether it is a skin tone, which modifies the preceding emoji or stands alone."""
    return "\U0001f3fb" <= character <= "\U0001f3ff"
