"""Fits a table to a width in cells: columns go, names are shortened, and below 60 cells each row becomes a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llmrepl.commands.results import Cell, Column, Narrowing, Table
from llmrepl.formatting import escape_name, format_usd
from llmrepl.rendering.markdown.layout import cell_width, clusters

FIGURES = ("count", "usd", "seconds")
RECORDS_BELOW, FULL_FROM = 60, 100
_SMALLEST, _READABLE, _READABLE_IN_FULL = 8, 24, 16
"""Cells that a name keeps: at least, before columns go, and in later columns of a wide terminal before columns go."""

_ELLIPSIS = "…"
_SUFFIX = ".json"
_T = TypeVar("_T")


@dataclass
class FittedTable:
    """Formatted columns: their definitions, widths in cells, and cells. Subtitles follow the first cells."""

    columns: list[Column]
    widths: list[int]
    rows: list[list[str]]
    subtitles: list[str]


def display_cell(value: Cell, kind: str) -> str:
    """Format a value for display."""
    if value is None or value == "":
        return "unknown" if kind == "usd" else ""
    if kind == "usd" and isinstance(value, int | float):
        return format_usd(float(value))
    if kind == "count" and isinstance(value, int):
        return f"{value:,}"
    if kind == "seconds" and isinstance(value, int | float):
        return f"{value:.2f}s"
    if kind == "date":
        return str(value)[:16].replace("T", " ")
    return escape_name(str(value))


def fit_table(table: Table, width: int) -> FittedTable:
    """Fit a table with borders to `width` cells. Figures and dates stay, texts wrap, names are shortened."""
    steps = list(_narrowed(_Cells.of(table), table.narrowing))
    readable = (_READABLE, _READABLE_IN_FULL if width >= FULL_FROM else _READABLE)
    cells = next((cells for cells in steps if _framed(cells.least_widths(readable)) <= width), steps[-1])
    widths = cells.natural_widths()
    least = cells.least_widths(readable)
    if _framed(least) > width:
        least = cells.least_widths((_SMALLEST, _SMALLEST))
    for flexible in ("text", "name"):
        indexes = [i for i, column in enumerate(cells.columns) if column.kind == flexible]
        _shrink(widths, least, indexes, _framed(widths) - width)
    rows = cells.shortened(widths)
    subtitles = [""] * len(rows)
    if rows and table.subtitles and width >= FULL_FROM:
        wanted = max(
            cell_width(row[0]) + cell_width(_subtitle(t)) for row, t in zip(rows, table.subtitles, strict=True)
        )
        widths[0] = min(max(widths[0], wanted), widths[0] + max(0, width - _framed(widths)))
        firsts = [row[0] for row in rows]
        subtitles = [_fit_after(name, title, widths[0]) for name, title in zip(firsts, table.subtitles, strict=True)]
    return FittedTable(cells.columns, widths, rows, subtitles)


def _subtitle(title: str) -> str:
    return f"  {escape_name(title)}" if title else ""


def _fit_after(name: str, title: str, width: int) -> str:
    """Cut what follows a name to the space that it leaves; empty if that is too little to be read."""
    text, left = _subtitle(title), width - cell_width(name)
    if cell_width(text) <= left:
        return text
    return _head(text, left - 1) + _ELLIPSIS if left >= _SMALLEST + 2 else ""


def fit_records(table: Table, width: int) -> list[tuple[str, str, list[str]]]:
    """Fit each row to a first line, its subtitle, `width` cells at most, and the lines below, to be indented by two."""
    steps = list(_narrowed(_Cells.of(table), table.narrowing))
    cells = next((cells for cells in steps if all(len(r) <= 1 for r in _details(cells, width - 2))), steps[-1])
    heads = [row[0] for row in cells.rows]
    if cells.columns[0].kind in FIGURES:
        heads = [f"{cells.columns[0].title} {head}" for head in heads]
    elif cells.columns[0].kind == "name":
        heads = shorten_names(heads, width)
    titles = table.subtitles or [""] * len(heads)
    subtitles = [_fit_after(head, title, width) for head, title in zip(heads, titles, strict=True)]
    return list(zip(heads, subtitles, _details(cells, width - 2), strict=True))


def shorten_names(names: Sequence[str], width: int) -> list[str]:
    """Shorten names to `width` cells with an ellipsis so that different names stay different.

    The suffix .json goes first. Names that would look alike when cut in the middle are cut around their difference.
    """
    if any(cell_width(name) > width for name in names):
        names = [name.removesuffix(_SUFFIX) for name in names]
    short = {name: _cut_middle(name, width) for name in names}
    alike = Counter(short.values())
    for name, shown in short.items():
        if alike[shown] > 1:
            others = [other for other in short if other != name and _cut_middle(other, width) == shown]
            short[name] = _cut_around(name, max(_first_difference(name, other) for other in others), width)
    return [short[name] for name in names]


@dataclass
class _Cells:
    columns: list[Column]
    rows: list[list[str]]

    @classmethod
    def of(cls, table: Table) -> _Cells:
        rows = [[display_cell(v, c.kind) for v, c in zip(row, table.columns, strict=True)] for row in table.rows]
        for number in table.starred:
            rows[number][0] = f"★ {rows[number][0]}"
        return cls(list(table.columns), rows)

    def without(self, step: Narrowing) -> _Cells:
        index = next((i for i, column in enumerate(self.columns) if column.title == step.column), None)
        if index is None:
            return self
        if step.part == "column":
            return _Cells(_without(self.columns, index), [_without(row, index) for row in self.rows])
        return self.changed(index, lambda cell: cell.rpartition("/")[2] if step.part == "provider" else cell[:10])

    def without_suffix(self) -> _Cells:
        if self.columns[0].kind != "name":
            return self
        return self.changed(0, lambda cell: cell.removesuffix(_SUFFIX))

    def changed(self, index: int, change: Callable[[str], str]) -> _Cells:
        rows = [[change(cell) if i == index else cell for i, cell in enumerate(row)] for row in self.rows]
        return _Cells(self.columns, rows)

    def natural_widths(self) -> list[int]:
        titles = [cell_width(column.title) for column in self.columns]
        return [max([title, *(cell_width(row[i]) for row in self.rows)]) for i, title in enumerate(titles)]

    def least_widths(self, readable: tuple[int, int]) -> list[int]:
        """Return the least widths; the first column keeps `readable[0]` cells, other names and texts `readable[1]`."""
        widths = enumerate(zip(self.natural_widths(), self.columns, strict=True))
        fixed = (*FIGURES, "date")
        return [width if c.kind in fixed else min(width, readable[i > 0]) for i, (width, c) in widths]

    def shortened(self, widths: Sequence[int]) -> list[list[str]]:
        by_column = [
            shorten_names([row[i] for row in self.rows], widths[i])
            if column.kind == "name"
            else [row[i] for row in self.rows]
            for i, column in enumerate(self.columns)
        ]
        return [list(row) for row in zip(*by_column, strict=True)]


def _narrowed(cells: _Cells, steps: Sequence[Narrowing]) -> Iterator[_Cells]:
    yield cells
    cells = cells.without_suffix()
    yield cells
    for step in steps:
        cells = cells.without(step)
        yield cells


def _without(items: list[_T], index: int) -> list[_T]:
    return items[:index] + items[index + 1 :]


def _framed(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1


def _shrink(widths: list[int], least: Sequence[int], indexes: Sequence[int], excess: int) -> None:
    """Take `excess` cells from the columns at `indexes`, always from the widest that can give one."""
    while excess > 0 and (able := [i for i in indexes if widths[i] > least[i]]):
        widths[max(able, key=lambda i: widths[i])] -= 1
        excess -= 1


def _details(cells: _Cells, width: int) -> list[list[str]]:
    """Return the lines with the cells after the first, broken between cells."""
    money = sum(column.kind == "usd" for column in cells.columns) > 1
    details = []
    for row in cells.rows:
        lines: list[str] = []
        for value, column in list(zip(row, cells.columns, strict=True))[1:]:
            if not value:
                continue
            text = _cut_middle(value, width) if column.kind == "name" else _labeled(value, column, money)
            if lines and cell_width(f"{lines[-1]} · {text}") <= width:
                lines[-1] += f" · {text}"
            else:
                lines.append(text)
        details.append(lines)
    return details


def _labeled(value: str, column: Column, money: bool) -> str:
    if column.kind == "count":
        title = column.title.lower()
        return f"{value} {title.removesuffix('s') if value == '1' else title}"
    return f"{column.title} {value}" if column.kind == "usd" and money else value


def _cut_middle(name: str, width: int) -> str:
    if cell_width(name) <= width:
        return name
    tail = (width - 1) // 2
    return _head(name, width - 1 - tail) + _ELLIPSIS + _tail(name, tail)


def cut_line(text: str, width: int) -> str:
    """Cut a line to `width` cells; what is before the first ` · ` is shortened first."""
    if cell_width(text) <= width:
        return text
    start, dot, end = text.partition(" · ")
    kept = width - cell_width(dot + end)
    return _head(start, kept - 1) + _ELLIPSIS + dot + end if kept > _SMALLEST else _head(text, width - 1) + _ELLIPSIS


def _cut_around(name: str, at: int, width: int) -> str:
    """Show what begins at the character `at`, with some of the beginning."""
    rest = name[max(at - 1, 0) :]
    if cell_width(rest) <= width - 2:
        return _head(name, width - 1 - cell_width(rest)) + _ELLIPSIS + rest
    before = (width - 2) // 3
    return _head(name, before) + _ELLIPSIS + _head(rest, width - 2 - before) + _ELLIPSIS


def _first_difference(name: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), min(len(name), len(other)))


def _head(text: str, width: int) -> str:
    kept = ""
    for cluster in clusters(text):
        if cell_width(kept + cluster) > width:
            break
        kept += cluster
    return kept


def _tail(text: str, width: int) -> str:
    kept = ""
    for cluster in reversed(list(clusters(text))):
        if cell_width(cluster + kept) > width:
            break
        kept = cluster + kept
    return kept
