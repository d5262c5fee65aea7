"""What the transcripts of coding agents have in common: one conversation per file, a record per line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from llmrepl.formatting import escape_name
from llmrepl.sessions.importing.conversation import Conversation, clean_text
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict

_CALLS = frozenset(
    "tool_use server_tool_use function_call functionCall custom_tool_call local_shell_call web_search_call".split()
)
_RESULTS = frozenset("tool_result function_call_output functionResponse custom_tool_call_output".split())
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_TEXTS = ("text", "input_text", "output_text")

Take = Callable[[dict[str, Any], Conversation, datetime], str]
"""Adds what a record holds to a conversation, and returns the conversation's id if the record has it."""


def read_records(file: SourceFile, now: datetime, name: str, take: Take) -> FoundConversation | Skipped:
    """Read a transcript of `name`; damaged lines are counted. Raises ImportFileError."""
    found = Conversation((name, ""))
    for record in file.documents:
        if isinstance(record, ValueError):
            found.left_out["damaged line"] += 1
        elif id := take(as_dict(record), found, now):
            found.origin = (name, found.origin[1] or id)
    return found.to_session(now)


def read_text(content: object, found: Conversation) -> str:
    """Return the text of a message, and count its parts of other kinds."""
    if not isinstance(content, list):
        return clean_text(content)
    texts = []
    for part in content:
        fields = {"type": "text", "text": part} if isinstance(part, str) else as_dict(part)
        if fields.get("type", "text") in _TEXTS and isinstance(fields.get("text"), str):
            texts.append(clean_text(fields["text"]))
        else:
            count_part(fields, found)
    return "\n\n".join(text for text in texts if text)


def count_part(fields: dict[str, Any], found: Conversation) -> None:
    """Count a part without text by its kind, which is a key in parts of Gemini; reasoning is not counted."""
    kind = next((key for key in ("functionCall", "functionResponse") if key in fields), fields.get("type"))
    if kind in _CALLS:
        found.left_out["tool call"] += 1
    elif kind in _RESULTS:
        found.left_out["tool message"] += 1
    elif kind not in _THOUGHTS:
        found.left_out["non-text part"] += 1


def count_unknown(kind: object, found: Conversation, known: frozenset[str]) -> None:
    """Count a record of a kind that is not known here, such as one of a later version."""
    if isinstance(kind, str) and kind and kind not in known:
        found.left_out[f"unknown record '{escape_name(kind[:40])}'"] += 1
