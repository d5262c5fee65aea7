"""Markdown on a terminal: blocks as painted rows, and a document that grows by pieces of text.

Text that is there and text that comes are drawn by the same code in the same order, so that they come out the same.
"""

from __future__ import annotations

import copy
import re

from rich.console import Console
from rich.text import Text

from llmrepl.formatting import escape_controls
from llmrepl.rendering.markdown.blocks import Scanner
from llmrepl.rendering.markdown.code import Highlighter
from llmrepl.rendering.markdown.inline import Env, inline
from llmrepl.rendering.markdown.layout import Painter, cells, wrap
from llmrepl.rendering.markdown.tables import TableRows
from llmrepl.rendering.markdown.tokens import LIMIT, BlockToken, Item, Place, Quote

_HEADINGS = {"1": "bold underline"}
_BULLETS = "•◦▪"
_BAR = "▌ "
_UNDECIDED = re.compile(r"[-+*_#`~|:=>\s]*(\d{1,9}[.)]?)?|\|.*")
"""The beginning of a line that does not say yet what the line will be."""


class Page:
    """Draws pieces in order. It remembers where the last one was, the end of a cut paragraph, and the state of code."""

    def __init__(self, console: Console, style: str = "") -> None:
        self._console = console
        self._style = style
        self._painter = Painter(console)
        self._before: Place | None = None
        self._carry = Text()
        self._code = Highlighter("")

    def fork(self) -> Page:
        """A page on which to try what may come."""
        return copy.copy(self)

    def rows(self, piece: BlockToken, env: Env) -> list[str]:
        """The rows that a piece adds; `env` has the link definitions so far. The width is asked now."""
        width = self._console.width
        lead, rest = self._margins(piece.place, width)
        if piece.kind == "empty" and lead.plain == rest.plain:
            return []
        gap = self._gap(piece, width) if piece.begins else []
        content = self._content(piece, env, max(width - cells(rest.plain), 1))
        if content:
            self._before = piece.place
        margins = [self._painter.paint(lead), *[self._painter.paint(rest)] * (len(content) - 1)]
        return gap + [margin + row for margin, row in zip(margins, content, strict=False)]

    def _content(self, piece: BlockToken, env: Env, width: int) -> list[str]:
        paint = self._painter.paint
        if piece.kind == "prose":
            return [paint(row) for row in self._prose(piece, env, width)]
        if piece.kind == "heading":
            text = inline(piece.text, env, self._style)
            text.stylize(_HEADINGS.get(piece.detail, "bold"))
            return [paint(row) for row in wrap(text, width)]
        if piece.kind == "code":
            if piece.begins:
                self._code = Highlighter(piece.detail)
            line = self._code.line(piece.text)
            line.style = self._style
            return [paint(line)]
        if piece.kind == "html":
            return [paint(row) for row in wrap(Text(piece.text, self._style), width)]
        if piece.kind == "table":
            tables = TableRows(self._console, self._painter, lambda cell: inline(cell, env, self._style))
            return tables.rows(piece.text, width)
        return [paint(Text("─" * width if piece.kind == "rule" else "", "dim"))]

    def _prose(self, piece: BlockToken, env: Env, width: int) -> list[Text]:
        """The rows of a paragraph; the last one of a section waits for what comes after it."""
        text = inline(piece.text.strip() if piece.ends else piece.text, env, self._style)
        if self._carry:
            text = self._carry.copy().append_text(text)
        rows = wrap(text, width)
        self._carry = Text()
        if not piece.ends:
            self._carry = rows.pop()
            if text.plain.endswith(" "):
                self._carry = self._carry + Text(" ")
        return rows

    def _gap(self, piece: BlockToken, width: int) -> list[str]:
        """A blank row before a block, but not in a list that has no blank line there."""
        before, place = self._before, piece.place
        if before is None:
            return []
        shared = sum(1 for depth in range(min(len(before), len(place))) if before[: depth + 1] == place[: depth + 1])
        inside = place[shared - 1] if shared else None
        ours, theirs = (*place, None)[shared], (*before, None)[shared]
        siblings = isinstance(ours, Item) and isinstance(theirs, Item) and ours.group == theirs.group
        if (isinstance(inside, Item) or siblings) and not piece.apart:
            return []
        _, margin = self._margins(place[:shared], width)
        margin.rstrip()
        return [self._painter.paint(margin)]

    def _margins(self, place: Place, width: int) -> tuple[Text, Text]:
        """What stands left of the first row of a block, with the markers of items that begin, and of the others."""
        lead, rest = Text(style=self._style), Text(style=self._style)
        bullets = 0
        for depth, container in enumerate(place, 1):
            if isinstance(container, Quote):
                marker = blank = _BAR
            else:
                marker = f"{container.number}{container.mark} "
                if container.number is None:
                    marker = f"{_BULLETS[min(bullets, 2)]} "
                    bullets += 1
                blank = " " * len(marker)
            begins = self._before is None or self._before[:depth] != place[:depth]
            lead.append(marker if begins else blank, None if blank.isspace() and not begins else "dim")
            rest.append(blank, None if blank.isspace() else "dim")
        most = width // 2
        return (lead, rest) if len(rest) <= most else (lead[len(lead) - most :], rest[len(rest) - most :])


class MarkdownStream:
    """A Markdown text as it comes. What is put in has line ends `\\n` and is harmless already."""

    def __init__(self, console: Console, style: str = "") -> None:
        self._scanner = Scanner()
        self._page = Page(console, style)
        self._line: list[str] = []
        self._length = 0
        self._in_line = False
        self._waits = False

    def feed(self, text: str) -> list[str]:
        """Take more text; returns the rows that are finished."""
        first, *others = text.split("\n")
        rows = self._grow(first)
        for part in others:
            rows += self._end_line()
            rows += self._grow(part)
        return rows

    def end(self) -> list[str]:
        """The text is over; returns the last rows."""
        rows = self._end_line() if self._line else []
        return rows + self._draw(self._scanner.end())

    def open_rows(self) -> list[str]:
        """How that looks which may still change."""
        if self._scanner.in_lines:
            return []
        scanner, page = self._scanner.fork(), self._page.fork()
        tail = "" if self._waits else "".join(self._line)
        pieces = [] if _UNDECIDED.fullmatch(tail.strip()) else scanner.line(tail)
        return [row for piece in pieces + scanner.guess() for row in page.rows(piece, scanner.env)]

    def _draw(self, pieces: list[BlockToken]) -> list[str]:
        return [row for piece in pieces for row in self._page.rows(piece, self._scanner.env)]

    def _grow(self, part: str) -> list[str]:
        """Take a part of a line. One of a paragraph that gets too long is not kept until its end."""
        if self._in_line:
            return self._draw(self._scanner.more(part)) if part else []
        if part:
            self._line.append(part)
            self._length += len(part)
        if self._length < LIMIT or self._waits:
            return []
        line = "".join(self._line)
        trial = self._scanner.fork()
        pieces = trial.line(line[:LIMIT])
        if not trial.in_prose:
            self._waits = True
            return []
        self._scanner, self._line, self._in_line = trial, [], True
        return self._draw(pieces) + self._draw(trial.more(line[LIMIT:]))

    def _end_line(self) -> list[str]:
        line, in_line = "".join(self._line), self._in_line
        self._line, self._length, self._in_line, self._waits = [], 0, False, False
        return [] if in_line else self._draw(self._scanner.line(line))


def drawable(console: Console) -> bool:
    """Whether a console is a terminal on which rows can be drawn again, in Unicode."""
    return console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only


def render(text: str, console: Console) -> str:
    """A whole Markdown text as it looks on a console, to be written to the console's file; as it is off a terminal."""
    text = escape_controls(text.replace("\r\n", "\n"))
    if not drawable(console):
        return text if text.endswith("\n") or not text else text + "\n"
    document = MarkdownStream(console)
    return "".join(f"{row}\n" for row in document.feed(text) + document.end())
