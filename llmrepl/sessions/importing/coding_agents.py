"""Import transcripts of Claude Code, Codex and Gemini CLI: one conversation per file.

Claude Code and Codex write JSONL, a record per line; Gemini CLI writes one JSON object. Tool calls and their results
are counted, reasoning is not text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.documents import as_dict, as_list, read_documents
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.model import UsageRecord

CLAUDE_CODE = "claude-code"
CODEX = "codex"
GEMINI_CLI = "gemini-cli"
_CALLS = ("tool_use", "function_call", "custom_tool_call", "local_shell_call", "web_search_call")
_RESULTS = ("tool_result", "function_call_output", "custom_tool_call_output")
_TEXTS = ("text", "input_text", "output_text")


def read_claude_code(path: Path, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation of a transcript of Claude Code. Raises LLMError if the file cannot be read."""
    yield _read(path, now, CLAUDE_CODE, _claude_code)


def read_codex(path: Path, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation of a transcript of Codex. Raises LLMError if the file cannot be read."""
    item = _read(path, now, CODEX, _codex)
    yield item if isinstance(item, FoundConversation) else _read(path, now, CODEX, _codex_events)


def read_gemini_cli(path: Path, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation of a transcript of Gemini CLI. Raises LLMError if the file cannot be read."""
    yield _read(path, now, GEMINI_CLI, _gemini_cli)


_Take = Callable[[dict[str, Any], Conversation, datetime], str]


def _read(path: Path, now: datetime, name: str, take: _Take) -> FoundConversation | Skipped:
    found = Conversation((name, ""))
    id, damaged = "", 0
    for record in read_documents(path):
        if isinstance(record, ValueError):
            damaged += 1
        else:
            named = take(as_dict(record), found, now)
            id = id or named
    found.left_out["damaged line"] = damaged
    texts = "\n".join(line.text for line in found.lines)
    found.origin = (name, id or hashlib.sha256(texts.encode()).hexdigest())
    return found.to_session(now)


def _claude_code(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    if record.get("type") == "summary":
        found.title = clean_text(record.get("summary")) or found.title
    message = as_dict(record.get("message"))
    role = clean_text(message.get("role"))
    if record.get("type") not in ("user", "assistant") or role not in ("user", "assistant"):
        return ""
    if record.get("isMeta") is True:
        return ""
    if record.get("isSidechain") is True:
        found.left_out["subagent message"] += 1
        return ""
    at = local_time(record.get("timestamp"), now)
    model = clean_text(message.get("model")) if role == "assistant" else ""
    if text := _text(message.get("content"), found):
        found.lines.append(ImportedMessage(role, text, at=at, model=f"anthropic/{model}" if model else None))
    return clean_text(record.get("sessionId"))


def _codex(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    payload, kind = as_dict(record.get("payload")), record.get("type")
    if kind == "session_meta":
        found.created_at = local_time(payload.get("timestamp"), now)
        return clean_text(payload.get("id"))
    if kind == "turn_context":
        found.model = f"openai/{clean_text(payload.get('model'))}" if clean_text(payload.get("model")) else found.model
    if kind != "response_item":
        return ""
    role = clean_text(payload.get("role"))
    if payload.get("type") == "message" and role in ("user", "assistant"):
        text = _text(payload.get("content"), found)
        if text and not (role == "user" and text.startswith(("<environment_context>", "<user_instructions>"))):
            at, model = local_time(record.get("timestamp"), now), found.model if role == "assistant" else None
            found.lines.append(ImportedMessage(role, text, at=at, model=model))
    else:
        _count(payload, found)
    return ""


def _codex_events(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    """Take the messages from events, for transcripts that have no response items."""
    payload = as_dict(record.get("payload"))
    role = {"user_message": "user", "agent_message": "assistant"}.get(clean_text(payload.get("type")))
    if record.get("type") != "event_msg" or role is None:
        return _codex(record, found, now)
    at, model = local_time(record.get("timestamp"), now), found.model if role == "assistant" else None
    found.lines.append(ImportedMessage(role, clean_text(payload.get("message")), at=at, model=model))
    return ""


def _gemini_cli(record: dict[str, Any], found: Conversation, now: datetime) -> str:
    found.created_at = local_time(record.get("startTime"), now)
    for message in map(as_dict, as_list(record.get("messages"))):
        role = {"user": "user", "gemini": "assistant"}.get(clean_text(message.get("type")))
        if role is None:
            found.left_out["other message"] += 1
            continue
        found.left_out["tool call"] += len(as_list(message.get("toolCalls")))
        model = clean_text(message.get("model"))
        at = local_time(message.get("timestamp"), now)
        found.lines.append(
            ImportedMessage(
                role,
                _text(message.get("content"), found),
                at=at,
                model=f"gemini/{model}" if model and role == "assistant" else None,
                usage=_gemini_usage(as_dict(message.get("tokens"))),
            )
        )
    return clean_text(record.get("sessionId"))


def _gemini_usage(tokens: dict[str, Any]) -> UsageRecord | None:
    read, written, total = (tokens.get(name) for name in ("input", "output", "total"))
    if isinstance(read, int) and isinstance(written, int) and isinstance(total, int):
        return UsageRecord(prompt_tokens=read, completion_tokens=written, total_tokens=total)
    return None


def _text(content: object, found: Conversation) -> str:
    if not isinstance(content, list):
        return clean_text(content)
    texts = []
    for part in content:
        fields = {"type": "text", "text": part} if isinstance(part, str) else as_dict(part)
        if fields.get("type", "text") in _TEXTS and isinstance(fields.get("text"), str):
            texts.append(clean_text(fields["text"]))
        else:
            _count(fields, found)
    return "\n\n".join(text for text in texts if text)


def _count(fields: dict[str, Any], found: Conversation) -> None:
    kind = fields.get("type")
    if kind in _CALLS:
        found.left_out["tool call"] += 1
    elif kind in _RESULTS:
        found.left_out["tool message"] += 1
    elif kind not in ("thinking", "redacted_thinking", "reasoning"):
        found.left_out["non-text part"] += 1
