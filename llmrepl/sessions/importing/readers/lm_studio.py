"""Import conversations of LM Studio: `*.conversation.json` in ~/.lmstudio/conversations.

LM Studio does not document the format; this reads files since version 0.3. A message has `versions`, one of which is
selected, and a reply has steps: blocks of text or reasoning, and the state of tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.coding_agents import count_part
from llmrepl.sessions.importing.conversation import (
    Conversation,
    ImportedMessage,
    clean_text,
    local_time,
    positive_number,
    usage_of,
)
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict, as_list

NAME = "lm-studio"
HELP = "conversation of LM Studio"
_SYSTEM = "llm.prediction.systemPrompt"
_SILENT = ("debugInfoBlock", "status")


def detect(file: SourceFile) -> bool:
    """Whether the file holds messages with versions."""
    return any(
        any("versions" in as_dict(message) for message in as_list(fields.get("messages"))) for fields in file.sample
    )


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation, usually one. Raises ImportFileError."""
    for number, document in enumerate(file.documents, 1):
        if isinstance(as_dict(document).get("messages"), list):
            yield _conversation(document, now).to_session(now)
        else:
            yield Skipped(f"conversation {number}", "it has no 'messages'")


def _conversation(document: dict[str, Any], now: datetime) -> Conversation:
    created = document.get("createdAt")
    used = as_dict(document.get("lastUsedModel"))
    found = Conversation(
        (NAME, ""),
        title=clean_text(document.get("name")) or None,
        model=_model(used.get("identifier") or used.get("indexedModelIdentifier")),
        created_at=local_time(created / 1000, now) if isinstance(created, int | float) else None,
    )
    fields = as_list(as_dict(document.get("perChatPredictionConfig")).get("fields"))
    settings = {clean_text(as_dict(one).get("key")): as_dict(one).get("value") for one in fields}
    if system := clean_text(settings.get(_SYSTEM) or document.get("systemPrompt")):
        found.lines.append(ImportedMessage("system", system))
    for message in map(as_dict, document["messages"]):
        versions = as_list(message.get("versions"))
        selected = message.get("currentlySelected")
        at = selected if isinstance(selected, int) and 0 <= selected < len(versions) else len(versions) - 1
        found.left_out["other version"] += max(0, len(versions) - 1)
        _take(as_dict(versions[at] if versions else None), found)
    return found


def _take(version: dict[str, Any], found: Conversation) -> None:
    role = clean_text(version.get("role"))
    if role not in ("user", "assistant", "system"):
        found.left_out["tool message" if role == "tool" else "other message"] += 1
    elif isinstance(version.get("steps"), list):
        for step in map(as_dict, version["steps"]):
            _take_step(step, role, found)
    else:
        found.lines.append(ImportedMessage(role, _text(version.get("content"), found)))


def _take_step(step: dict[str, Any], role: str, found: Conversation) -> None:
    if step.get("type") == "toolStatus":
        found.left_out["tool call"] += 1
    elif step.get("type") == "contentBlock" and as_dict(step.get("style")).get("type") != "thinking":
        info = as_dict(step.get("genInfo"))
        stats = as_dict(info.get("stats"))
        seconds = positive_number(stats.get("totalTimeSec"))
        found.lines.append(
            ImportedMessage(
                role,
                _text(step.get("content"), found),
                model=_model(info.get("identifier") or info.get("indexedModelIdentifier")),
                usage=usage_of(stats.get("promptTokensCount"), stats.get("predictedTokensCount")),
                latency_ms=None if seconds is None else seconds * 1000,
            )
        )
    elif step.get("type") not in ("contentBlock", *_SILENT):
        found.left_out["other part"] += 1


def _text(content: object, found: Conversation) -> str:
    if not isinstance(content, list):
        return clean_text(content)
    texts = []
    for part in map(as_dict, content):
        if part.get("type") == "text":
            texts.append(clean_text(part.get("text")))
        elif part.get("type") == "file":
            found.left_out["attachment"] += 1
        elif part.get("type") == "toolCallRequest":
            found.left_out["tool call"] += 1
        elif part.get("type") == "toolCallResult":
            found.left_out["tool message"] += 1
        else:
            count_part(part, found)
    return "\n".join(text for text in texts if text)


def _model(identifier: object) -> str | None:
    return f"lmstudio/{clean_text(identifier)}" if clean_text(identifier) else None
