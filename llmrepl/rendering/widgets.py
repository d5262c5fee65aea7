"""Tables and panels with rich, fitted to the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Literal

from rich import box
from rich.console import Console
from rich.panel import Panel as RichPanel
from rich.table import Table as RichTable
from rich.text import Text

from llmrepl.commands.results import Cell, Column, Document, Group, Note, Panel, Result, Table
from llmrepl.formatting import escape_controls, escape_name, format_usd

_RIGHT = ("count", "usd", "seconds")


def console(file: IO[str]) -> Console:
    """Create a console for a terminal stream, without markup, emoji codes or links."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def render_results(result: Result, terminal: IO[str]) -> str:
    """Render the results as they are written to `terminal`."""
    screen = console(terminal)
    with screen.capture() as capture:
        _results(result, screen)
    return capture.get()


def draw_notes(result: Result, terminal: IO[str]) -> None:
    """Write notes and captions to `terminal`."""
    screen = console(terminal)
    for part in _parts(result):
        if isinstance(part, Note):
            screen.print(Text(escape_controls(part.text)))
        elif isinstance(part, Table) and (part.caption if part.rows else part.empty):
            screen.print(Text(escape_controls(part.caption if part.rows else part.empty)))


def _parts(result: Result) -> Iterator[Result]:
    if isinstance(result, Group):
        for part in result.parts:
            yield from _parts(part)
    else:
        yield result


def _results(result: Result, screen: Console) -> None:
    for part in _parts(result):
        if isinstance(part, Document):
            screen.print(Text(escape_controls(part.text)))
        elif isinstance(part, Panel):
            screen.print(
                RichPanel(Text(escape_controls(part.text)), title=Text(escape_name(part.title)), box=box.ROUNDED)
            )
            screen.print()
        elif isinstance(part, Table) and part.rows:
            screen.print(_table(part))


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


def _table(table: Table) -> RichTable:
    grid = RichTable(title=Text(escape_name(table.title)) if table.title else None, box=box.HEAVY_HEAD)
    for column in table.columns:
        grid.add_column(column.title, justify=_justify(column), no_wrap=_is_unbreakable(column), overflow="fold")
    for number, row in enumerate(table.rows):
        first, *others = (display_cell(v, c.kind) for v, c in zip(row, table.columns, strict=True))
        grid.add_row(Text(f"★ {first}" if number in table.starred else first), *map(Text, others))
    return grid


def _justify(column: Column) -> Literal["left", "right"]:
    return "right" if column.kind in _RIGHT else "left"


def _is_unbreakable(column: Column) -> bool:
    """Whether the column must not wrap: figures and dates. Names and texts wrap instead of being truncated."""
    return column.kind in (*_RIGHT, "date")
