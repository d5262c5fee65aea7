"""Results as plain text, for pipes, scripts and dumb terminals: no escape codes, nothing truncated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmrepl.commands.results import Cell, Chart, Column, Document, Group, Note, Panel, Result, Table, Transcript
from llmrepl.formatting import escape_controls, escape_name

CHART_WIDTH = 72


def format_results(result: Result) -> str:
    """Format what belongs on stdout, with a line end; empty if there is no result."""
    if isinstance(result, Document):
        return _line(escape_controls(result.text))
    if isinstance(result, Table):
        return format_table(result)
    if isinstance(result, Chart):
        from llmrepl.rendering.chart import chart_rows

        return "".join(f"{row}\n" for row in chart_rows(result, CHART_WIDTH))
    if isinstance(result, Transcript):
        turns = ("\n".join(filter(None, (t.label, f"You: {t.question}", t.reply))) for t in result.turns)
        return _line(escape_controls("\n\n".join(turns)).rstrip())
    if isinstance(result, Panel):
        return _line(f"{escape_name(result.title)}\n{escape_controls(result.text)}") + "\n"
    if isinstance(result, Group):
        return "".join(format_results(part) for part in result.parts)
    return ""


def format_notices(result: Result) -> str:
    """Format what belongs on stderr, with a line end."""
    if isinstance(result, Note):
        return _line(escape_controls(result.text))
    if isinstance(result, Table) and not result.rows and result.empty:
        return _line(escape_controls(result.empty))
    if isinstance(result, Group):
        return "".join(format_notices(part) for part in result.parts)
    return ""


def format_table(result: Table) -> str:
    """Format rows as aligned columns without units; spaces in names are escaped as `\\x20`."""
    rows = [[_cell(value, column) for value, column in zip(row, result.columns, strict=True)] for row in result.rows]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(result.columns))]
    return "".join(_align(row, widths, result.columns) for row in rows)


def format_cell(value: Cell, kind: str) -> str:
    """Format a value without units and separators, for scripts; `-` if unknown."""
    if value is None or value == "":
        return "-"
    if kind == "usd":
        return f"{value:.10f}".rstrip("0").rstrip(".") or "0" if isinstance(value, float) else str(value)
    if kind == "date":
        return str(value)[:16]
    return escape_name(str(value))


def _cell(value: Cell, column: Column) -> str:
    text = format_cell(value, column.kind)
    return text if column.kind == "text" else text.replace(" ", "\\x20")


def _align(row: Sequence[str], widths: Iterable[int], columns: Sequence[Column]) -> str:
    cells = [
        text.rjust(width) if column.kind in ("count", "usd", "seconds") else text.ljust(width)
        for text, width, column in zip(row, widths, columns, strict=True)
    ]
    return " ".join(cells).rstrip() + "\n"


def _line(text: str) -> str:
    return text if text.endswith("\n") or not text else text + "\n"
