"""Import conversations from other programs: one table of sources, with a module for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing import chatgpt, llm_logs, openai_jsonl, transcript
from llmrepl.sessions.importing.found import FoundConversation, Skipped


@dataclass(frozen=True, slots=True)
class Source:
    """A program to import from: its file reader and one line of help."""

    read: Callable[[Path, datetime], Iterator[FoundConversation | Skipped]]
    help: str


SOURCES = {
    llm_logs.NAME: Source(llm_logs.read, "logs.db of simonw's llm"),
    chatgpt.NAME: Source(chatgpt.read, "ChatGPT data export, as .zip or conversations.json"),
    openai_jsonl.NAME: Source(openai_jsonl.read, "JSONL with OpenAI messages, one conversation per line"),
    transcript.NAME: Source(transcript.read, "txt or md export of this program"),
}
"""The sources by name, as in `meta.origin.source` of a session."""


def read(path: Path, now: datetime, source: str | None = None) -> Iterator[FoundConversation | Skipped]:
    """Read the conversations in `path` from `source`, or from the source detected.

    `now` dates conversations without a date; times are in its time zone, or the system's if it has none. Raises
    UsageError if the source is unknown or cannot be detected, LLMError if the file cannot be read, even halfway
    through.
    """
    if source is not None and source not in SOURCES:
        raise UsageError(f"there is no source '{source}'", f"choose one of {', '.join(SOURCES)}")
    yield from SOURCES[source or detect_source(path)].read(path, now)


def detect_source(path: Path) -> str:
    """Detect the source from the first bytes of a file. Raises UsageError."""
    shown = escape_name(path.name)
    if not os.path.isfile(path):
        raise UsageError(f"there is no file {shown}", "name the file to import")
    try:
        with open(path, "rb") as file:
            start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        raise UsageError(f"{shown} cannot be read", "repair that, or import another file") from None
    for sign, source in _SIGNS:
        if start.startswith(sign):
            return source
    raise UsageError(f"{shown} looks like nothing that can be imported", f"name its source: {', '.join(SOURCES)}")


_SIGNS = (
    (b"SQLite format 3\0", llm_logs.NAME),
    (b"PK", chatgpt.NAME),
    (b"[", chatgpt.NAME),
    (b"{", openai_jsonl.NAME),
    (b"# Chat Session", transcript.NAME),
    (b"Session: ", transcript.NAME),
)
