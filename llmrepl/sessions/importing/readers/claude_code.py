"""Import transcripts of Claude Code: JSONL, a record per line. https://docs.claude.com/en/docs/claude-code

A reply is written as a record for each of its parts, all with the same id and usage. Tool calls and their results are
counted, reasoning is not text.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.coding_agents import count_unknown, read_records, read_text
from llmrepl.sessions.importing.conversation import (
    Conversation,
    ImportedMessage,
    clean_text,
    local_time,
    usage_beside_cache,
)
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict
from llmrepl.sessions.model import UsageRecord

NAME = "claude-code"
HELP = "transcript of Claude Code"
_OTHER_RECORDS = frozenset(
    """agent-name ai-title attachment custom-title file-history-snapshot last-prompt mode permission-mode pr-link
    progress queue-operation summary system tag worktree-state""".split()
)


def detect(file: SourceFile) -> bool:
    """Whether a record is a message of a session, or all records belong to one."""
    return any(
        "sessionId" in fields and "uuid" in fields and isinstance(fields.get("message"), dict) for fields in file.sample
    )


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation. Raises ImportFileError."""
    previous = ""

    def take(record: dict[str, Any], found: Conversation, now: datetime) -> str:
        nonlocal previous
        id = clean_text(as_dict(record.get("message")).get("id")) if record.get("type") == "assistant" else ""
        _take(record, found, now, is_counted=bool(id) and id == previous)
        if record.get("type") in ("user", "assistant"):
            previous = id
        return clean_text(record.get("sessionId"))

    yield read_records(file, now, NAME, take)


def _take(record: dict[str, Any], found: Conversation, now: datetime, *, is_counted: bool) -> None:
    """Add a record; `is_counted` if its usage was that of the record before."""
    kind = record.get("type")
    found.version = clean_text(record.get("version")) or found.version
    if kind in ("summary", "ai-title", "custom-title"):
        titles = (clean_text(record.get(name)) for name in ("summary", "customTitle", "aiTitle", "title"))
        found.title = next((title for title in titles if title), found.title)
    message = as_dict(record.get("message"))
    role = clean_text(message.get("role"))
    if kind not in ("user", "assistant"):
        count_unknown(kind, found, _OTHER_RECORDS)
        return
    if role not in ("user", "assistant") or record.get("isMeta") is True:
        return
    if record.get("isSidechain") is True:
        found.left_out["subagent message"] += 1
        return
    model = clean_text(message.get("model")) if role == "assistant" else ""
    usage = None if is_counted else _usage(as_dict(message.get("usage")))
    if text := read_text(message.get("content"), found):
        at = local_time(record.get("timestamp"), now)
        name = f"anthropic/{model}" if model else None
        found.lines.append(ImportedMessage(role, text, at=at, model=name, usage=usage))
    elif usage:
        found.add_usage(usage)


def _usage(usage: dict[str, Any]) -> UsageRecord | None:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return usage_beside_cache(*(usage.get(name) for name in names))
