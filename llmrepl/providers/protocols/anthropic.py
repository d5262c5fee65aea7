"""Anthropic's Messages API.

Source: docs.claude.com/en/api/messages, /en/docs/build-with-claude/streaming and /prompt-caching.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from llmrepl.providers.base import Event, ReasoningDelta, Request, TextDelta
from llmrepl.providers.protocols.base import (
    TOOLS,
    ModelInfo,
    Protocol,
    StreamState,
    as_base64,
    as_text,
    cannot_send,
    dicts,
    is_text,
    own_items,
    texts,
)
from llmrepl.providers.protocols.citations import of_claude
from llmrepl.providers.protocols.model_rows import effort_names, lifecycle, moment, supported, token_count
from llmrepl.providers.transport import frames
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Message

_VERSION = "2023-06-01"
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "model_context_window_exceeded": "length",
}
_MAX_TOKENS = (("claude-3-5", 8192), ("claude-3-7", 32000), ("claude-3", 4096), ("claude-2", 4096))
_MOST_TOKENS = 32000
_KEEP = {"type": "ephemeral"}


def headers(key: str | None) -> Mapping[str, str]:
    """Return the headers for key and API version."""
    return {"anthropic-version": _VERSION} | ({"x-api-key": key} if key else {})


def path(model: str, stream: bool) -> str:
    """Return the path of the endpoint."""
    return "/v1/messages"


def max_tokens(model: str) -> int:
    """Return the limit on the reply if neither the user nor the list sets one: 32,000, less for old models."""
    name = model.removeprefix("anthropic/")
    return next((tokens for start, tokens in _MAX_TOKENS if name.startswith(start)), _MOST_TOKENS)


def body(request: Request, vendor: Vendor) -> tuple[dict[str, Any], list[str]]:
    """Build the request body. System prompt and last message are marked for caching.

    The next turn then reads all of this one at the price of cached tokens.
    """
    options = request.options
    sent: dict[str, Any] = {
        "model": request.model,
        "max_tokens": options.max_tokens or options.longest or max_tokens(request.model),
        "messages": [
            {"role": message.role, "content": _content(message, request.model, vendor)}
            for message in request.messages
            if message.content or message.attachments
        ],
        "stream": options.stream,
    }
    if sent["messages"] and sent["messages"][-1]["role"] == "user":
        sent["messages"][-1]["content"][-1]["cache_control"] = _KEEP
    if request.system:
        sent["system"] = [{"type": "text", "text": request.system, "cache_control": _KEEP}]
    if options.temperature is not None:
        sent["temperature"] = options.temperature
    if options.top_p is not None:
        sent["top_p"] = options.top_p
    return sent, []


def _content(message: Message, model: str, vendor: Vendor) -> list[dict[str, Any]]:
    """Convert a message; the model's own signed thoughts come before its reply."""
    parts = [_part(attachment, vendor) for attachment in message.attachments]
    parts += own_items(message, vendor, model)
    return [*parts, {"type": "text", "text": message.content}] if message.content else parts


def _part(attachment: Attachment, vendor: Vendor) -> dict[str, Any]:
    if is_text(attachment):
        return {"type": "text", "text": as_text(attachment)}
    source = {"type": "base64", "media_type": attachment.media_type, "data": as_base64(attachment)}
    if attachment.media_type.startswith("image/"):
        return {"type": "image", "source": source}
    if attachment.media_type == "application/pdf" and vendor.pdf:
        return {"type": "document", "source": source}
    raise cannot_send(attachment, vendor)


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read a stream event or a complete message; unknown kinds, such as pings, are ignored."""
    kind = data.get("type")
    if kind == "content_block_delta":
        return _delta(data.get("delta"), reply)
    if kind == "content_block_start":
        return _block(data.get("content_block"), reply)
    if kind == "message_start" and isinstance(data.get("message"), dict):
        _usage(data["message"].get("usage"), reply)
    elif kind == "message_delta":
        _usage(data.get("usage"), reply)
        _stop(data.get("delta"), reply)
    elif kind == "message_stop":
        reply.ended = True
    elif kind == "message":
        _usage(data.get("usage"), reply)
        _stop(data, reply)
        return [event for block in dicts(data.get("content")) for event in _block(block, reply)]
    return ()


def _delta(delta: object, reply: StreamState) -> Iterable[Event]:
    if not isinstance(delta, dict):
        return ()
    reply.cite(of_claude(delta.get("citation")))
    if text := texts(delta.get("text")):
        return (TextDelta(text),)
    if thought := texts(delta.get("thinking")):
        reply.parts.setdefault("thoughts", []).append(thought)
        return (ReasoningDelta(thought),)
    if signature := texts(delta.get("signature")):
        _sign(signature, reply)
    return ()


def _sign(signature: str, reply: StreamState) -> None:
    """Keep the thoughts so far with their signature, to be sent back with the reply."""
    thoughts = "".join(reply.parts.pop("thoughts", ()))
    if not thoughts and reply.items and "signature" in reply.items[-1] and reply.parts.get("signing"):
        reply.items[-1]["signature"] += signature  # it came in pieces
        return
    reply.parts["signing"] = True
    reply.items.append({"type": "thinking", "thinking": thoughts, "signature": signature})


def _block(block: object, reply: StreamState) -> Iterable[Event]:
    """Read the start of a content block, which may contain text, or a complete block."""
    if not isinstance(block, dict):
        return ()
    reply.parts["signing"] = False
    if block.get("type") == "tool_use":
        return reply.note(TOOLS)
    if block.get("type") == "redacted_thinking" and texts(block.get("data")):
        reply.items.append({"type": "redacted_thinking", "data": block["data"]})
    for citation in dicts(block.get("citations")):
        reply.cite(of_claude(citation))
    events = list(_delta(block, reply))
    if events and texts(block.get("signature")):  # a complete block has both
        _sign(block["signature"], reply)
    return events


def _stop(said: object, reply: StreamState) -> None:
    if not isinstance(said, dict) or not (reason := texts(said.get("stop_reason"))):
        return
    reply.reason = _REASONS.get(reason, reason)
    details = said.get("stop_details")
    if isinstance(details, dict):
        reply.explanation = texts(details.get("explanation"))
        if model := texts(details.get("recommended_model")):
            said = f"{reply.explanation.rstrip('.')}. " if reply.explanation else ""
            reply.explanation = f"{said}It recommends the model {model}."


def _usage(usage: object, reply: StreamState) -> None:
    """Merge usage, which arrives in parts; `input_tokens` excludes tokens read from or written to the cache."""
    if not isinstance(usage, dict):
        return
    known = reply.parts.get("input_tokens")
    reply.parts.update({name: value for name, value in usage.items() if value is not None})
    if known and reply.parts["input_tokens"] == 0:  # some servers report the prompt only at the start
        reply.parts["input_tokens"] = known
    fresh, cached, written = (
        reply.parts.get(name, 0) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    try:
        prompt = fresh + cached + written if "input_tokens" in reply.parts else None
    except TypeError:
        prompt = fresh
    details = reply.parts.get("output_tokens_details")
    reply.counts = {
        "prompt_tokens": prompt,
        "completion_tokens": reply.parts.get("output_tokens"),
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": details.get("thinking_tokens") if isinstance(details, dict) else None,
    }


def models(page: Any) -> list[ModelInfo]:
    """Parse a page of the model list."""
    rows = dicts(page.get("data")) if isinstance(page, dict) else []
    return [_model(row) for row in rows if texts(row.get("id"))]


def _model(row: dict[str, Any]) -> ModelInfo:
    created, (ends, deprecated, retired) = moment(row.get("created_at")), lifecycle(row)
    said = row.get("capabilities")
    capabilities: dict[str, Any] = said if isinstance(said, dict) else {}
    return ModelInfo(
        row["id"],
        texts(row.get("display_name")),
        token_count(row.get("max_input_tokens")),
        created=None if created is None else int(created),
        ends=ends,
        deprecated=deprecated,
        max_output=token_count(row.get("max_tokens")),
        retired=retired,
        vision=supported(capabilities.get("image_input")),
        efforts=_efforts(capabilities),
    )


def _efforts(capabilities: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the efforts that a model takes: levels, or a number of tokens for those that only take a budget."""
    levels, thinking = capabilities.get("effort"), capabilities.get("thinking")
    if supported(levels):
        return effort_names([name for name, said in levels.items() if supported(said)]) if levels else None
    return () if supported(thinking) is False else None


def next_page(page: Any) -> str | None:
    """Return the path of the next page, or None."""
    last = texts(page.get("last_id")) if isinstance(page, dict) and page.get("has_more") else ""
    return f"/v1/models?limit=1000&after_id={quote(last, safe='')}" if last else None


PROTOCOL = Protocol(path, headers, body, frames.sse, read, "/v1/models?limit=1000", models, next_page, suffix="/v1")
