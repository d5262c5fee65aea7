"""A Markdown table on a terminal: a light rule below the head, nothing cut off, records where columns do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from llmrepl.rendering.markdown.block_starts import table_cells
from llmrepl.rendering.markdown.layout import Painter, cells, wrap

_GAP = 2
_NARROW = 6
"""The cells that a column should have at least on a screen too narrow for the table."""


class TableRows:
    """Draws tables on a console. `read` turns the Markdown of a cell into styled text."""

    def __init__(self, console: Console, painter: Painter, read: Callable[[str], Text]) -> None:
        self._console = console
        self._painter = painter
        self._read = read

    def rows(self, source: str, width: int) -> list[str]:
        """The painted rows of a table, which is given by its lines."""
        top, sides, *lines = source.split("\n")
        head = [self._read(cell) for cell in table_cells(top)]
        body = [[self._read(cell) for cell in table_cells(line)[: len(head)]] for line in lines]
        body = [row + [Text() for _ in head[len(row) :]] for row in body]
        widest = [max(cells(cell.plain) for cell in column) for column in zip(head, *body, strict=True)]
        room = width - _GAP * (len(head) - 1)
        if sum(widest) > room and room < _NARROW * len(head):
            return [self._painter.paint(row) for row in _records(head, body, width)]
        return self._columns(head, body, [_side(cell) for cell in table_cells(sides)], width)

    def _columns(
        self, head: list[Text], body: list[list[Text]], sides: list[Literal["left", "center", "right"]], width: int
    ) -> list[str]:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
        for name, side in zip(head, sides, strict=True):
            table.add_column(name, justify=side, overflow="fold")
        for row in body:
            table.add_row(*row)
        options = self._console.options.update(width=width, height=None)
        return [self._painter.paint_segments(_bare(line)) for line in self._console.render_lines(table, options)]


def _records(head: list[Text], body: list[list[Text]], width: int) -> Iterator[Text]:
    """Each row of a table as lines `name: value`, without empty cells, and with a blank line between two rows."""
    for number, row in enumerate(body):
        if number:
            yield Text()
        for name, value in zip(head, row, strict=True):
            if not value:
                continue
            label = name.copy()
            label.stylize("bold")
            yield from wrap(Text.assemble(label, ": ", value), width)


def _side(cell: str) -> Literal["left", "center", "right"]:
    """Where the text of a column goes, by the colons of the dashes below its head."""
    if cell.endswith(":"):
        return "center" if cell.startswith(":") else "right"
    return "left"


def _bare(line: list[Segment]) -> list[Segment]:
    """A row without the blanks at its end."""
    while line and line[-1].text.isspace():
        line.pop()
    if line:
        line[-1] = Segment(line[-1].text.rstrip(" "), line[-1].style)
    return line
