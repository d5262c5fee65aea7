"""Import conversations of gptme: conversation.jsonl, a message a line. https://gptme.org/docs

What tools answered has the role `system`; what gptme itself says to the model is marked `hide`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.conversation import (
    Conversation,
    ImportedMessage,
    clean_text,
    local_time,
    positive_number,
    usage_beside_cache,
)
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict, as_list
from llmrepl.sessions.model import UsageRecord

NAME = "gptme"
HELP = "conversation.jsonl of gptme"
_ROLES = ("user", "assistant", "system")


def detect(file: SourceFile) -> bool:
    """Whether the first line is a message with a role, a text and a time."""
    first = file.sample[0] if file.sample and not file.head.startswith(b"[") else {}
    return first.get("role") in _ROLES and isinstance(first.get("content"), str) and "timestamp" in first


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation. Raises ImportFileError."""
    found = Conversation((NAME, ""), title=file.folder if file.name == "conversation.jsonl" else None)
    begun = False
    for record in file.documents:
        if isinstance(record, ValueError):
            found.left_out["damaged line"] += 1
            continue
        message = as_dict(record)
        role, at = clean_text(message.get("role")), local_time(message.get("timestamp"), now, is_local=True)
        begun = begun or role == "user"
        if message.get("hide") is True:
            found.left_out["hidden message"] += 1
        elif role == "system" and begun:
            found.left_out["tool message"] += 1
        elif role not in _ROLES:
            found.left_out["other message"] += 1
        else:
            details = as_dict(message.get("metadata")) if role == "assistant" else {}
            usage = as_dict(details.get("usage"))
            found.left_out["attachment"] += len(as_list(message.get("files")))
            found.lines.append(
                ImportedMessage(
                    role,
                    clean_text(message.get("content")),
                    at=at,
                    model=clean_text(details.get("model")) or None,
                    usage=_usage(usage),
                    cost=positive_number(details.get("cost")),
                )
            )
    yield found.to_session(now)


def _usage(usage: dict[str, Any]) -> UsageRecord | None:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
    return usage_beside_cache(*(usage.get(name) for name in names))
