"""Markdown as terminal rows, complete or streaming.

Both use the same code in the same order, so the result is identical.
"""

from __future__ import annotations

import copy
import re

from rich.console import Console
from rich.text import Text

from llmrepl.formatting import escape_controls
from llmrepl.rendering.markdown.blocks import Scanner
from llmrepl.rendering.markdown.code import Highlighter
from llmrepl.rendering.markdown.inline import Env, render_inline
from llmrepl.rendering.markdown.layout import Painter, cell_width, wrap
from llmrepl.rendering.markdown.tables import TableRows
from llmrepl.rendering.markdown.tokens import LIMIT, BlockToken, Item, Place, Quote

_HEADINGS = {"1": "bold underline"}
_BULLETS = "•◦▪"
_BAR = "▌ "
_UNDECIDED = re.compile(r"[-+*_#`~|:=>\s]*(\d{1,9}[.)]?)?|\|.*")
"""The beginning of a line whose block kind is not yet clear."""


class Page:
    """Renders block tokens in order, tracking the previous position, unfinished paragraphs and the state of code."""

    def __init__(self, console: Console, style: str = "") -> None:
        self._console = console
        self._style = style
        self._painter = Painter(console)
        self._before: Place | None = None
        self._carry = Text()
        self._code = Highlighter("")

    def fork(self) -> Page:
        """Copy the page to try what may come."""
        return copy.copy(self)

    def rows(self, token: BlockToken, env: Env) -> list[str]:
        """Return the rows that a token adds at the current width; `env` has the link definitions so far."""
        width = self._console.width
        lead, rest = self._margins(token.place, width)
        if token.kind == "empty" and lead.plain == rest.plain:
            return []
        gap = self._gap(token, width) if token.begins else []
        content = self._content(token, env, max(width - cell_width(rest.plain), 1))
        if content:
            self._before = token.place
        margins = [self._painter.paint(lead), *[self._painter.paint(rest)] * (len(content) - 1)]
        return gap + [margin + row for margin, row in zip(margins, content, strict=False)]

    def _content(self, token: BlockToken, env: Env, width: int) -> list[str]:
        paint = self._painter.paint
        if token.kind == "prose":
            return [paint(row) for row in self._prose(token, env, width)]
        if token.kind == "heading":
            text = render_inline(token.text, env, self._style)
            text.stylize(_HEADINGS.get(token.detail, "bold"))
            return [paint(row) for row in wrap(text, width)]
        if token.kind == "code":
            label = []
            if token.begins:
                self._code = Highlighter(token.detail)
                language = token.detail.split()[0] if token.detail.strip() else ""
                label = [paint(row) for row in wrap(Text(language, "dim"), width)] if language else []
            line = self._code.line(token.text)
            line.style = self._style
            return [*label, paint(line)]
        if token.kind == "html":
            return [paint(row) for row in wrap(Text(token.text, self._style), width)]
        if token.kind == "definition":  # of links; shown, since a link before it could only be drawn as it is written
            return [paint(row) for row in wrap(Text(token.text, "dim"), width)]
        if token.kind == "table":
            tables = TableRows(self._console, self._painter, lambda cell: render_inline(cell, env, self._style))
            return tables.rows(token.text, width)
        return [paint(Text("─" * width if token.kind == "rule" else "", "dim"))]

    def _prose(self, token: BlockToken, env: Env, width: int) -> list[Text]:
        """Return the rows of a paragraph; the last row of a section waits for the next one."""
        text = render_inline(token.text.strip() if token.ends else token.text, env, self._style)
        if self._carry:
            text = self._carry.copy().append_text(text)
        rows = wrap(text, width)
        self._carry = Text()
        if not token.ends:
            self._carry = rows.pop()
            if text.plain.endswith(" "):
                self._carry = self._carry + Text(" ")
        return rows

    def _gap(self, token: BlockToken, width: int) -> list[str]:
        """Return a blank row before a block, except in a tight list."""
        before, place = self._before, token.place
        if before is None:
            return []
        shared = sum(1 for depth in range(min(len(before), len(place))) if before[: depth + 1] == place[: depth + 1])
        inside = place[shared - 1] if shared else None
        ours, theirs = (*place, None)[shared], (*before, None)[shared]
        siblings = isinstance(ours, Item) and isinstance(theirs, Item) and ours.group == theirs.group
        if (isinstance(inside, Item) or siblings) and not token.apart:
            return []
        _, margin = self._margins(place[:shared], width)
        margin.rstrip()
        return [self._painter.paint(margin)]

    def _margins(self, place: Place, width: int) -> tuple[Text, Text]:
        """Return the left margins of the first row, with markers of new items, and of the other rows."""
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
    """A Markdown text that arrives in chunks. Input must have `\\n` line ends and escaped control characters."""

    def __init__(self, console: Console, style: str = "") -> None:
        self._scanner = Scanner()
        self._page = Page(console, style)
        self._line: list[str] = []
        self._length = 0
        self._in_line = False
        self._waits = False

    def feed(self, text: str) -> list[str]:
        """Add text; return the finished rows."""
        first, *others = text.split("\n")
        rows = self._add_part(first)
        for part in others:
            rows += self._end_line()
            rows += self._add_part(part)
        return rows

    def end(self) -> list[str]:
        """End the text; return the last rows."""
        rows = self._end_line() if self._line else []
        return rows + self._draw(self._scanner.end())

    def open_rows(self) -> list[str]:
        """Return the rows that may still change."""
        if self._scanner.in_lines:
            return []
        scanner, page = self._scanner.fork(), self._page.fork()
        tail = "" if self._waits else "".join(self._line)
        tokens = [] if _UNDECIDED.fullmatch(tail.strip()) else scanner.line(tail)
        return [row for token in tokens + scanner.close_tentatively() for row in page.rows(token, scanner.env)]

    def _draw(self, tokens: list[BlockToken]) -> list[str]:
        return [row for token in tokens for row in self._page.rows(token, self._scanner.env)]

    def _add_part(self, part: str) -> list[str]:
        """Add part of a line. A long line of a paragraph is processed before its end."""
        if self._in_line:
            return self._draw(self._scanner.add_text(part)) if part else []
        if part:
            self._line.append(part)
            self._length += len(part)
        if self._length < LIMIT or self._waits:
            return []
        line = "".join(self._line)
        trial = self._scanner.fork()
        tokens = trial.line(line[:LIMIT])
        if not trial.in_prose:
            self._waits = True
            return []
        self._scanner, self._line, self._in_line = trial, [], True
        return self._draw(tokens) + self._draw(trial.add_text(line[LIMIT:]))

    def _end_line(self) -> list[str]:
        line, in_line = "".join(self._line), self._in_line
        self._line, self._length, self._in_line, self._waits = [], 0, False, False
        return [] if in_line else self._draw(self._scanner.line(line))


def can_redraw(console: Console) -> bool:
    """Whether the console is a Unicode terminal that can move the cursor."""
    return console.is_terminal and not console.is_dumb_terminal and not console.options.ascii_only


def render(text: str, console: Console) -> str:
    """Render a complete text for the console's file; unchanged if that is not a terminal."""
    text = escape_controls(text.replace("\r\n", "\n"))
    if not can_redraw(console):
        return text if text.endswith("\n") or not text else text + "\n"
    document = MarkdownStream(console)
    return "".join(f"{row}\n" for row in document.feed(text) + document.end())
