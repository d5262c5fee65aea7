"""Replies on a terminal, through rich: tables and panels as the guide shows them, fitted to the width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Literal

from rich import box
from rich.console import Console
from rich.panel import Panel as RichPanel
from rich.table import Table as RichTable
from rich.text import Text

from llmrepl.commands.results import Cell, Column, Document, Note, Panel, Reply, Several, Table
from llmrepl.formatting import money, safe, safe_name

_RIGHT = ("count", "usd", "seconds")


def console(file: IO[str]) -> Console:
    """A console on a stream that is a terminal. No markup, emoji codes or links are ever read out of text."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def drawn(reply: Reply, terminal: IO[str]) -> str:
    """The results in a reply as they are written to `terminal`."""
    screen = console(terminal)
    with screen.capture() as capture:
        _results(reply, screen)
    return capture.get()


def draw_notes(reply: Reply, terminal: IO[str]) -> None:
    """Write what a reply says beside its results."""
    screen = console(terminal)
    for part in _parts(reply):
        if isinstance(part, Note):
            screen.print(Text(safe(part.text)))
        elif isinstance(part, Table) and (part.caption if part.rows else part.empty):
            screen.print(Text(safe(part.caption if part.rows else part.empty)))


def _parts(reply: Reply) -> Iterator[Reply]:
    if isinstance(reply, Several):
        for part in reply.parts:
            yield from _parts(part)
    else:
        yield reply


def _results(reply: Reply, screen: Console) -> None:
    for part in _parts(reply):
        if isinstance(part, Document):
            screen.print(Text(safe(part.text)))
        elif isinstance(part, Panel):
            screen.print(RichPanel(Text(safe(part.text)), title=Text(safe_name(part.title)), box=box.ROUNDED))
            screen.print()
        elif isinstance(part, Table) and part.rows:
            screen.print(_table(part))


def shown(value: Cell, kind: str) -> str:
    """A value as a person reads it."""
    if value is None or value == "":
        return "unknown" if kind == "usd" else ""
    if kind == "usd" and isinstance(value, int | float):
        return money(float(value))
    if kind == "count" and isinstance(value, int):
        return f"{value:,}"
    if kind == "seconds" and isinstance(value, int | float):
        return f"{value:.2f}s"
    if kind == "date":
        return str(value)[:16].replace("T", " ")
    return safe_name(str(value))


def _table(table: Table) -> RichTable:
    grid = RichTable(title=Text(safe_name(table.title)) if table.title else None, box=box.HEAVY_HEAD)
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
