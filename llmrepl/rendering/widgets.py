"""Replies on a terminal, through rich: tables and panels as the guide shows them, fitted to the width."""

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
    """A console on a stream that is a terminal. No markup, emoji codes or links are ever read out of text."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def drawn(reply: Result, terminal: IO[str]) -> str:
    """The results in a reply as they are written to `terminal`."""
    screen = console(terminal)
    with screen.capture() as capture:
        _results(reply, screen)
    return capture.get()


def draw_notes(reply: Result, terminal: IO[str]) -> None:
    """Write what a reply says beside its results."""
    screen = console(terminal)
    for part in _parts(reply):
        if isinstance(part, Note):
            screen.print(Text(escape_controls(part.text)))
        elif isinstance(part, Table) and (part.caption if part.rows else part.empty):
            screen.print(Text(escape_controls(part.caption if part.rows else part.empty)))


def _parts(reply: Result) -> Iterator[Result]:
    if isinstance(reply, Group):
        for part in reply.parts:
            yield from _parts(part)
    else:
        yield reply


def _results(reply: Result, screen: Console) -> None:
    for part in _parts(reply):
        if isinstance(part, Document):
            screen.print(Text(escape_controls(part.text)))
        elif isinstance(part, Panel):
            screen.print(
                RichPanel(Text(escape_controls(part.text)), title=Text(escape_name(part.title)), box=box.ROUNDED)
            )
            screen.print()
        elif isinstance(part, Table) and part.rows:
            screen.print(_table(part))


def shown(value: Cell, kind: str) -> str:
    """A value as a person reads it."""
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
        grid.add_column(column.title, justify=_side(column), no_wrap=_whole(column), overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(shown(v, c.kind)) for v, c in zip(row, table.columns, strict=True)))
    return grid


def _side(column: Column) -> Literal["left", "right"]:
    return "right" if column.kind in _RIGHT else "left"


def _whole(column: Column) -> bool:
    """Figures stay whole; names and texts are folded, so that a narrow terminal cuts nothing off."""
    return column.kind in (*_RIGHT, "date")
