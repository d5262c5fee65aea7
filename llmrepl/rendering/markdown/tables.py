"""Renders Markdown tables, as records if the columns do not fit. Nothing is truncated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from llmrepl.rendering.markdown.block_starts import table_cells
from llmrepl.rendering.markdown.layout import Painter, cell_width, wrap

_GAP = 2
_NARROW = 6
"""Minimum average column width, in cells, before records are used."""


class TableRows:
    """Renders tables on a console. `read` converts the Markdown of a cell to styled text."""

    def __init__(self, console: Console, painter: Painter, read: Callable[[str], Text]) -> None:
        self._console = console
        self._painter = painter
        self._read = read

    def rows(self, source: str, width: int) -> list[str]:
        """Return the painted rows of a table, given as its source lines."""
        top, sides, *lines = source.split("\n")
        head = [self._read(cell) for cell in table_cells(top)]
        body = [[self._read(cell) for cell in table_cells(line)[: len(head)]] for line in lines]
        body = [row + [Text() for _ in head[len(row) :]] for row in body]
        widest = [
            max(cell_width(line) for cell in column for line in cell.plain.split("\n"))
            for column in zip(head, *body, strict=True)
        ]
        available = width - _GAP * (len(head) - 1)
        if sum(widest) > available and available < _NARROW * len(head):
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
    """Yield each row of a table as `name: value` lines, without empty cells, separated by blank lines."""
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
    """Return the alignment of a column from its delimiter."""
    if cell.endswith(":"):
        return "center" if cell.startswith(":") else "right"
    return "left"


def _bare(line: list[Segment]) -> list[Segment]:
    """Strip trailing spaces."""
    while line and line[-1].text.isspace():
        line.pop()
    if line:
        line[-1] = Segment(line[-1].text.rstrip(" "), line[-1].style)
    return line
