"""Replies on a terminal, through rich: tables and panels as the guide shows them, fitted to the width."""

from __future__ import annotations

from typing import IO, Literal

from rich import box
from rich.console import Console
from rich.panel import Panel as RichPanel
from rich.table import Table as RichTable
from rich.text import Text

from llmrepl.commands.replies import Cell, Column, Document, Note, Panel, Reply, Several, Table
from llmrepl.messages import money, safe, safe_name

_RIGHT = ("count", "usd", "seconds")


def console(file: IO[str]) -> Console:
    """A console on a stream that is a terminal. No markup, emoji codes or links are ever read out of text."""
    return Console(file=file, markup=False, emoji=False, highlight=False, soft_wrap=False)


def draw(reply: Reply, out: Console, err: Console) -> None:
    """Draw a reply: results on `out`, notes on `err`."""
    if isinstance(reply, Several):
        for part in reply.parts:
            draw(part, out, err)
    elif isinstance(reply, Note):
        err.print(Text(safe(reply.text)))
    elif isinstance(reply, Document):
        out.print(Text(safe(reply.text)))
    elif isinstance(reply, Panel):
        out.print(RichPanel(Text(safe(reply.text)), title=Text(safe_name(reply.title)), box=box.ROUNDED))
        out.print()
    elif isinstance(reply, Table):
        _table(reply, out, err)


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


def _table(reply: Table, out: Console, err: Console) -> None:
    if not reply.rows:
        err.print(Text(safe(reply.empty)))
        return
    drawn = RichTable(title=Text(safe_name(reply.title)) if reply.title else None, box=box.HEAVY_HEAD)
    for column in reply.columns:
        drawn.add_column(column.title, justify=_side(column), no_wrap=_whole(column), overflow="fold")
    for row in reply.rows:
        drawn.add_row(*(Text(shown(v, c.kind)) for v, c in zip(row, reply.columns, strict=True)))
    out.print(drawn)
    if reply.caption:
        err.print(Text(safe(reply.caption)))


def _side(column: Column) -> Literal["left", "right"]:
    return "right" if column.kind in _RIGHT else "left"


def _whole(column: Column) -> bool:
    """Figures stay whole; names and texts are folded, so that a narrow terminal cuts nothing off."""
    return column.kind in (*_RIGHT, "date")
