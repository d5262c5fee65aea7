"""Export a session: one table of formats, with a module for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.export import csv_table as table
from llmrepl.sessions.export import html as page
from llmrepl.sessions.export import json_file as session_json
from llmrepl.sessions.export import jsonl as chat_jsonl
from llmrepl.sessions.export import markdown, text
from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session


@dataclass(frozen=True, slots=True)
class Format:
    """An export format: its renderer, file extension and one line of help."""

    render: Callable[[Session, ExportOptions], str]
    ending: str
    help: str


FORMATS = {
    "txt": Format(text.render, ".txt", "plain text, with tokens, cost and time of each turn"),
    "md": Format(markdown.render, ".md", "Markdown, with collapsed statistics for each turn"),
    "csv": Format(table.render, ".csv", "a table with one row per message, safe to open in a spreadsheet"),
    "json": Format(session_json.render, ".json", "the session file itself"),
    "html": Format(page.render, ".html", "a self-contained page without scripts, to view or print"),
    "jsonl": Format(chat_jsonl.render, ".jsonl", "the context as one line of OpenAI messages"),
}
"""The formats by name."""


def export(session: Session, format: str, *, name: str, raw_csv: bool = False) -> str:
    """Render `session`, called `name`, in one of FORMATS. Raises UsageError for an unknown format.

    Failed and undone turns are included with a mark, except in jsonl, which has only the context. `raw_csv` does not
    escape cells that a spreadsheet could run as formulas.
    """
    check_format(format)
    return FORMATS[format].render(session, ExportOptions(name=name, raw_csv=raw_csv))


def check_format(format: str) -> None:
    """Raise UsageError for an unknown format."""
    if format not in FORMATS:
        what = f"There is no export format '{escape_name(format)}'."
        raise UsageError(what, f"llm export FORMAT takes {', '.join(FORMATS)}")
