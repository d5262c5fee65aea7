"""Events of Google's Interactions API, which some Gemini servers send where OpenAI's Responses are asked for.

Source: ai.google.dev/api/interactions-api.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmrepl.providers.base import Event, ReasoningDelta, TextDelta
from llmrepl.providers.protocols.base import TOOLS, StreamState, picture, texts, whole_number

_STATUSES = {"completed": "stop", "incomplete": "length", "max_tokens": "length", "requires_action": "tool_calls"}


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read an event; unknown kinds are ignored."""
    kind = texts(data.get("event_type"))
    if kind.endswith(".delta") and isinstance(delta := data.get("delta"), dict):
        return _delta(delta, reply)
    if kind == "interaction.completed" and isinstance(interaction := data.get("interaction"), dict):
        status = texts(interaction.get("status"))
        if isinstance(usage := interaction.get("usage"), dict):
            reply.count(_counts(usage))
        if status == "failed":
            reply.error = interaction.get("error") or {"message": "the interaction failed"}
        reply.reason, reply.ended = _STATUSES.get(status, status or "stop"), True
    return ()


def _delta(delta: dict[str, Any], reply: StreamState) -> list[Event]:
    match delta.get("type"):
        case "text":
            return [TextDelta(texts(delta.get("text")))]
        case "thought" | "thought_summary":
            content = delta.get("content")
            return [
                ReasoningDelta(texts(content.get("text")) if isinstance(content, dict) else texts(delta.get("text")))
            ]
        case "image":
            return picture(texts(delta.get("data")), texts(delta.get("mime_type")))
        case "function_call":
            return reply.note(TOOLS)
    return []


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Convert the counts: thoughts are separate from the output."""
    written, thought = whole_number(usage.get("total_output_tokens")), whole_number(usage.get("total_thought_tokens"))
    return {
        "prompt_tokens": usage.get("total_input_tokens"),
        "completion_tokens": None if written is None else written + (thought or 0),
        "total_tokens": usage.get("total_tokens"),
        "cached_tokens": usage.get("total_cached_tokens"),
        "reasoning_tokens": thought,
    }
