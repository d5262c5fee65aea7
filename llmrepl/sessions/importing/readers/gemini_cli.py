"""Import transcripts of Gemini CLI: one JSON object, or since 2026 JSONL. https://github.com/google-gemini/gemini-cli

A line of JSONL is a message, which replaces an earlier one with its id, `$set` with values for the conversation, which
may be all of its messages, or `$rewindTo`, the first message that is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.coding_agents import count_unknown, read_text
from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time, usage_of
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict, as_list
from llmrepl.sessions.model import UsageRecord

NAME = "gemini-cli"
HELP = "transcript of Gemini CLI"
_CONTEXT = "<session_context>"
_NOTICES = frozenset(("info", "warning", "error", "help", "about", "stats", "quit"))


def detect(file: SourceFile) -> bool:
    """Whether the file describes a session of Gemini CLI."""
    return any(
        "sessionId" in fields and "startTime" in fields and ("projectHash" in fields or "messages" in fields)
        for fields in file.sample
    )


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation. Raises ImportFileError."""
    found = Conversation((NAME, ""))
    about: dict[str, Any] = {}
    messages: dict[str, dict[str, Any]] = {}
    for document in file.documents:
        if isinstance(document, ValueError):
            found.left_out["damaged line"] += 1
        else:
            _replay(as_dict(document), about, messages)
    found.title = clean_text(about.get("summary")) or None
    found.created_at = local_time(about.get("startTime"), now)
    found.origin = (NAME, clean_text(about.get("sessionId")))
    for message in messages.values():
        _take(message, found, now)
    yield found.to_session(now)


def _replay(record: dict[str, Any], about: dict[str, Any], messages: dict[str, dict[str, Any]]) -> None:
    """Update the messages by id, and what is known about the conversation, by a record."""
    if isinstance(first := record.get("$rewindTo"), str):
        ids = list(messages)
        for id in ids[ids.index(first) :] if first in messages else ids:
            del messages[id]
    elif "id" in record:
        _put(record, messages)
    else:
        values = as_dict(record.get("$set")) or record
        start = about.get("startTime")
        about.update((key, value) for key, value in values.items() if key != "messages")
        about["startTime"] = start or about.get("startTime")
        if "messages" in values:
            messages.clear()
            for message in map(as_dict, as_list(values["messages"])):
                _put(message, messages)


def _put(message: dict[str, Any], messages: dict[str, dict[str, Any]]) -> None:
    id = message.get("id")
    messages[id if isinstance(id, str) else f"#{len(messages)}"] = message


def _take(message: dict[str, Any], found: Conversation, now: datetime) -> None:
    kind = clean_text(message.get("type"))
    role = {"user": "user", "gemini": "assistant"}.get(kind)
    if role is None:
        if kind in _NOTICES:
            found.left_out["notice"] += 1
        else:
            count_unknown(kind or "without a type", found, frozenset())
        return
    found.left_out["tool call"] += len(as_list(message.get("toolCalls")))
    text = read_text(message.get("content"), found)
    if role == "user" and text.startswith(_CONTEXT):
        return
    model = clean_text(message.get("model")) if role == "assistant" else ""
    found.lines.append(
        ImportedMessage(
            role,
            text,
            at=local_time(message.get("timestamp"), now),
            model=f"gemini/{model}" if model else None,
            usage=_usage(as_dict(message.get("tokens"))),
        )
    )


def _usage(tokens: dict[str, Any]) -> UsageRecord | None:
    """Count reasoning as part of the reply, and tool results as part of the prompt."""
    counts = {name: tokens.get(name) or 0 for name in ("input", "output", "thoughts", "tool", "cached")}
    if "input" not in tokens or not all(isinstance(count, int) for count in counts.values()):
        return None
    return usage_of(counts["input"] + counts["tool"], counts["output"] + counts["thoughts"], counts["cached"])
