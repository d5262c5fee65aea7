"""Import conversations from other programs: one table of sources, with a module for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing import chatgpt, claude_ai, coding_agents, llm_logs, openai_jsonl, sharegpt, transcript
from llmrepl.sessions.importing.documents import as_dict, as_list, read_documents
from llmrepl.sessions.importing.found import FoundConversation, Skipped


@dataclass(frozen=True, slots=True)
class Source:
    """A program to import from: its file reader and one line of help."""

    read: Callable[[Path, datetime], Iterator[FoundConversation | Skipped]]
    help: str


SOURCES = {
    llm_logs.NAME: Source(llm_logs.read, "logs.db of simonw's llm"),
    chatgpt.NAME: Source(chatgpt.read, "ChatGPT data export, as .zip or conversations.json"),
    claude_ai.NAME: Source(claude_ai.read, "Claude.ai data export, conversations.json"),
    coding_agents.CLAUDE_CODE: Source(coding_agents.read_claude_code, "transcript of Claude Code"),
    coding_agents.CODEX: Source(coding_agents.read_codex, "transcript of Codex"),
    coding_agents.GEMINI_CLI: Source(coding_agents.read_gemini_cli, "transcript of Gemini CLI"),
    sharegpt.NAME: Source(sharegpt.read, "ShareGPT JSON or JSONL"),
    openai_jsonl.NAME: Source(openai_jsonl.read, "JSON or JSONL with OpenAI messages"),
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


def describe_source(path: Path, source: str | None) -> str:
    """Return the help of a source, detected if it is None. Raises as `detect_source`."""
    return SOURCES[source or detect_source(path)].help


def detect_source(path: Path) -> str:
    """Detect the source from the content of a file. Raises UsageError, or LLMError for JSON that cannot be read."""
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
    if start.startswith((b"[", b"{", b"\x1f\x8b")):
        if found := _detect_json(path):
            return found
        why = "it has no 'mapping', 'chat_messages', 'conversations', 'messages' or 'sessionId'"
        raise LLMError(
            f"{shown} looks like nothing that can be imported: {why}", f"name its source: {', '.join(SOURCES)}"
        )
    raise UsageError(f"{shown} looks like nothing that can be imported", f"name its source: {', '.join(SOURCES)}")


def _detect_json(path: Path) -> str | None:
    for number, document in enumerate(read_documents(path)):
        if openai_jsonl.is_message_list(document):
            return openai_jsonl.NAME
        elements = as_list(document) or [document]
        for element in elements[:_LOOKED_AT]:
            fields = as_dict(element)
            for source, signs in _FIELDS:
                if signs(fields):
                    return source
        if number >= _LOOKED_AT:
            break
    return None


_LOOKED_AT = 50
"""Number of elements or lines that are looked at to detect a source."""

_FIELDS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    (chatgpt.NAME, lambda fields: isinstance(fields.get("mapping"), dict)),
    (claude_ai.NAME, lambda fields: "chat_messages" in fields),
    (sharegpt.NAME, lambda fields: isinstance(fields.get("conversations"), list)),
    (coding_agents.CODEX, lambda fields: fields.get("type") == "session_meta" and "payload" in fields),
    (coding_agents.GEMINI_CLI, lambda fields: "sessionId" in fields and isinstance(fields.get("messages"), list)),
    (
        coding_agents.CLAUDE_CODE,
        lambda fields: "sessionId" in fields and "uuid" in fields and isinstance(fields.get("message"), dict),
    ),
    (openai_jsonl.NAME, lambda fields: "messages" in (as_dict(fields.get("body")) or fields)),
)

_SIGNS = (
    (b"SQLite format 3\0", llm_logs.NAME),
    (b"PK", chatgpt.NAME),
    (b"# Chat Session", transcript.NAME),
    (b"Session: ", transcript.NAME),
)
