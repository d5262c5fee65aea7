"""Import transcripts of Codex: JSONL, a record per line. https://github.com/openai/codex

Messages are response items; a transcript without them has events. Tool calls and their results are counted, reasoning
is not text, and what Codex itself says to the model before the first prompt is not a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.coding_agents import count_part, count_unknown, read_records, read_text
from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time, usage_of
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict
from llmrepl.sessions.model import UsageRecord

NAME = "codex"
HELP = "transcript of Codex"
_KINDS = frozenset(
    "compacted event_msg ghost_snapshot response_item session_meta token_usage_record turn_context world_state".split()
)
_SPEAKERS = {"user_message": "user", "agent_message": "assistant"}
_CONTEXT = ("<environment_context>", "<user_instructions>", "# AGENTS.md instructions", "<INSTRUCTIONS>")


def detect(file: SourceFile) -> bool:
    """Whether the first record describes a session of Codex."""
    return any(fields.get("type") == "session_meta" and "payload" in fields for fields in file.sample)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation. Raises ImportFileError."""
    item = read_records(file, now, NAME, _take)
    yield item if isinstance(item, FoundConversation) else read_records(file, now, NAME, _take_event)


def _take(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    payload, kind = as_dict(record.get("payload")), record.get("type")
    if kind == "session_meta":
        found.created_at = found.created_at or local_time(payload.get("timestamp"), now)
        found.version = clean_text(payload.get("cli_version"))
        return clean_text(payload.get("id"))
    count_unknown(kind, found, _KINDS)
    if kind == "turn_context" and (model := clean_text(payload.get("model"))):
        found.model = f"openai/{model}"
    elif kind == "event_msg" and payload.get("type") == "token_count":
        info = as_dict(payload.get("info"))
        if info.get("total_token_usage") != found.counted:
            found.counted = info.get("total_token_usage")
            if usage := _usage(as_dict(info.get("last_token_usage"))):
                found.add_usage(usage)
    elif kind == "response_item":
        role = clean_text(payload.get("role"))
        if payload.get("type") != "message":
            count_part(payload, found)
        elif role in ("user", "assistant"):
            text = read_text(payload.get("content"), found)
            if text and not (role == "user" and text.startswith(_CONTEXT)):
                _add(role, text, record, found, now)
    return ""


def _take_event(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    """Take the messages from events, for transcripts that have no response items."""
    payload = as_dict(record.get("payload"))
    role = _SPEAKERS.get(clean_text(payload.get("type")))
    if record.get("type") != "event_msg" or role is None:
        return _take(record, found, now)
    _add(role, clean_text(payload.get("message")), record, found, now)
    return ""


def _add(role: str, text: str, record: dict[str, Any], found: Conversation, now: datetime) -> None:
    at, model = local_time(record.get("timestamp"), now), found.model if role == "assistant" else None
    found.lines.append(ImportedMessage(role, text, at=at, model=model))


def _usage(usage: dict[str, Any]) -> UsageRecord | None:
    return usage_of(usage.get("input_tokens"), usage.get("output_tokens"), usage.get("cached_input_tokens"))
