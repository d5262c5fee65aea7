"""Replies as plain text: off a terminal, with NO_COLOR on a dumb one, and in scripts. No escape codes, nothing cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrepl.commands.results import Cell, Column, Document, Group, Note, Panel, Result, Table
from llmrepl.formatting import escape_controls, escape_name


def results(reply: Result) -> str:
    """What belongs on stdout, with its line end; empty if there is no result."""
    if isinstance(reply, Document):
        return _line(escape_controls(reply.text))
    if isinstance(reply, Table):
        return table(reply)
    if isinstance(reply, Panel):
        return _line(f"{escape_name(reply.title)}\n{escape_controls(reply.text)}") + "\n"
    if isinstance(reply, Group):
        return "".join(results(part) for part in reply.parts)
    return ""


def notices(reply: Result) -> str:
    """What belongs on stderr, with its line end."""
    if isinstance(reply, Note):
        return _line(escape_controls(reply.text))
    if isinstance(reply, Table) and not reply.rows and reply.empty:
        return _line(escape_controls(reply.empty))
    if isinstance(reply, Group):
        return "".join(notices(part) for part in reply.parts)
    return ""


def table(reply: Table) -> str:
    """Rows of cells separated by blanks; figures bare, blanks inside a cell of a name made visible."""
    rows = [[_cell(value, column) for value, column in zip(row, reply.columns, strict=True)] for row in reply.rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(reply.columns))]
    return "".join(_aligned(row, widths, reply.columns) for row in rows)


def cell(value: Cell, kind: str) -> str:
    """A value without units and commas, as a script wants it; unknown is `-`."""
    if value is None or value == "":
        return "-"
    if kind == "usd":
        return f"{value:.10f}".rstrip("0").rstrip(".") or "0" if isinstance(value, float) else str(value)
    if kind == "date":
        return str(value)[:16]
    return escape_name(str(value))


def _cell(value: Cell, column: Column) -> str:
    text = cell(value, column.kind)
    return text if column.kind == "text" else text.replace(" ", "\\x20")


def _aligned(row: Sequence[str], widths: Iterable[int], columns: Sequence[Column]) -> str:
    cells = [
        text.rjust(width) if column.kind in ("count", "usd", "seconds") else text.ljust(width)
        for text, width, column in zip(row, widths, columns, strict=True)
    ]
    return " ".join(cells).rstrip() + "\n"


def _line(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"
