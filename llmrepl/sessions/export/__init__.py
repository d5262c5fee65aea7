"""A session as text for elsewhere: one table of formats, and a file for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmrepl.errors import UsageError
from llmrepl.sessions.export import csv_table as table
from llmrepl.sessions.export import html as page
from llmrepl.sessions.export import json_file as session_json
from llmrepl.sessions.export import jsonl as chat_jsonl
from llmrepl.sessions.export import markdown, text
from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a session: `ending` of its files, and one line of `help`."""

    render: Callable[[Session, ExportOptions], str]
    ending: str
    help: str


FORMATS = {
    "txt": Format(text.render, ".txt", "plain text, each turn with its tokens, cost and time"),
    "md": Format(markdown.render, ".md", "Markdown, the statistics of each turn folded away"),
    "csv": Format(table.render, ".csv", "a table, one row a message, safe to open in a spreadsheet"),
    "json": Format(session_json.render, ".json", "the session file itself"),
    "html": Format(page.render, ".html", "one page to look at or print, which runs and loads nothing"),
    "jsonl": Format(chat_jsonl.render, ".jsonl", "what the model is shown, as one line of OpenAI messages"),
}
"""The formats by name."""


def export(session: Session, format: str, *, name: str, raw_csv: bool = False) -> str:
    """`session`, known to the user as `name`, in one of FORMATS. Raises UsageError for any other.

    Turns that failed or were taken back are there with a mark, except in jsonl, which is what the model is shown.
    `raw_csv` leaves cells that a spreadsheet would run as formulas as they are.
    """
    if format not in FORMATS:
        raise UsageError(f"there is no export format '{format}'", f"choose one of {', '.join(FORMATS)}")
    return FORMATS[format].render(session, ExportOptions(name=name, raw_csv=raw_csv))
