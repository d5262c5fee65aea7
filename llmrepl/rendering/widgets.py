"""Tables and panels with rich, fitted to the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Literal

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel as RichPanel
from rich.table import Table as RichTable
from rich.text import Text

from llmrepl.commands.results import Chart, Column, Document, Group, Note, Panel, Result, ShownTurn, Table, Transcript
from llmrepl.formatting import escape_controls, escape_name
from llmrepl.rendering.chart import chart_rows
from llmrepl.rendering.markdown.document import render
from llmrepl.rendering.table_fit import FIGURES, RECORDS_BELOW, fit_records, fit_table

PROMPT, WIDEST_CHART = "You: ", 100


def console(file: IO[str]) -> Console:
    """Create a console for a terminal stream, without markup, emoji codes or links."""
    return Console(file=file, markup=False, emoji=False, highlight=False)


def render_results(result: Result, terminal: IO[str], *, markdown: bool = True) -> str:
    """Render the results as they are written to `terminal`; replies in a transcript as Markdown, or as they are."""
    screen = console(terminal)
    return "".join(_render(part, screen, markdown) for part in _parts(result))


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


def _render(part: Result, screen: Console, markdown: bool) -> str:
    if isinstance(part, Transcript):
        return "\n".join(_render_turn(turn, screen, markdown) for turn in part.turns)
    with screen.capture() as capture:
        if isinstance(part, Document):
            screen.print(Text(escape_controls(part.text)))
        elif isinstance(part, Chart):
            width = min(screen.width, WIDEST_CHART)
            screen.print(Text("\n".join(chart_rows(part, width, ascii_only=screen.options.ascii_only))))
        elif isinstance(part, Panel):
            screen.print(
                RichPanel(Text(escape_controls(part.text)), title=Text(escape_name(part.title)), box=box.ROUNDED)
            )
            screen.print()
        elif isinstance(part, Table) and part.rows:
            draw_table(part, screen)
    return capture.get()


def _render_turn(turn: ShownTurn, screen: Console, markdown: bool) -> str:
    """Render a turn in the voices of the transcript."""
    with screen.capture() as capture:
        screen.print(Text(escape_controls(turn.label), "dim"))
    head = capture.get() + render_prompt(turn.question, screen)
    if not turn.reply:
        return head
    return head + (render(turn.reply, screen) if markdown else escape_controls(turn.reply).rstrip("\n") + "\n")


def render_prompt(text: str, screen: Console) -> str:
    """Render a prompt as it stands in the transcript: the label in color, further lines indented."""
    first, *others = escape_controls(text).split("\n")
    with screen.capture() as capture:
        screen.print(Text.assemble((PROMPT, "bold cyan"), first))
        for line in others:
            screen.print(Padding(Text(line), (0, 0, 0, len(PROMPT))))
    return capture.get()


def draw_table(table: Table, screen: Console) -> None:
    """Draw rows in a table that fits the console, or as records on a narrow one."""
    if screen.width < RECORDS_BELOW and len(table.columns) > 1:
        _records(table, screen)
    else:
        screen.print(_table(table, screen.width))


def _table(table: Table, width: int) -> RichTable:
    fitted = fit_table(table, width)
    grid = RichTable(title=Text(escape_name(table.title)) if table.title else None, box=box.HEAVY_HEAD)
    for column, cells in zip(fitted.columns, fitted.widths, strict=True):
        grid.add_column(column.title, justify=_justify(column), width=cells, no_wrap=column.kind != "text")
    for row, subtitle in zip(fitted.rows, fitted.subtitles, strict=True):
        first, *others = (Text(cell, overflow="fold") for cell in row)
        grid.add_row(first.append(subtitle, "dim"), *others)
    return grid


def _records(table: Table, screen: Console) -> None:
    if table.title:
        screen.print(Text(escape_name(table.title)))
    for head, subtitle, lines in fit_records(table, screen.width):
        screen.print(Text(head).append(subtitle, "dim"))
        for line in lines:
            screen.print(Padding(Text(line), (0, 0, 0, 2)))


def _justify(column: Column) -> Literal["left", "right"]:
    return "right" if column.kind in FIGURES else "left"
