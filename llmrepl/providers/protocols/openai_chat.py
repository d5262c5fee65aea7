"""OpenAI's chat completions API and its dialects.

Source: platform.openai.com/docs/api-reference/chat, openrouter.ai/docs, and the documentation of vLLM, llama.cpp,
DeepSeek (`reasoning_content`), Groq and OpenRouter (`reasoning`), Perplexity (`search_results`), xAI, Mistral.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

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
    picture_of_url,
    texts,
    whole_number,
)
from llmrepl.providers.protocols.citations import of_annotations, of_search
from llmrepl.providers.protocols.model_rows import model_of
from llmrepl.providers.transport import frames
from llmrepl.providers.usage_counts import reported_cost
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Message

_REASONING = re.compile(r"(openai/)?(o\d|gpt-5(?!.*chat))")
_REASONS = {
    "function_call": "tool_calls",
    "max_tokens": "length",
    "model_length": "length",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "sensitive": "content_filter",
}
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def headers(key: str | None) -> Mapping[str, str]:
    """Return the header for the key."""
    return {"authorization": f"Bearer {key}"} if key else {}


def path(model: str, stream: bool) -> str:
    """Return the path of the endpoint."""
    return "/chat/completions"


def body(request: Request, vendor: Vendor) -> tuple[dict[str, Any], list[str]]:
    """Build the request body; OpenAI's reasoning models take neither temperature nor top_p."""
    options, left_out = request.options, []
    sent: dict[str, Any] = {"model": request.model, "messages": _messages(request, vendor), "stream": options.stream}
    if options.stream and vendor.asks_usage:
        sent["stream_options"] = {"include_usage": True}
    if vendor.own_cost:
        sent["usage"] = {"include": True}
    if options.max_tokens is not None:
        sent[vendor.max_tokens] = options.max_tokens
    for name, value in (("temperature", options.temperature), ("top_p", options.top_p)):
        if value is None:
            continue
        if vendor.name == "openai" and _REASONING.match(request.model):
            left_out.append(f"{request.model} takes no {name}; it was left out")
        else:
            sent[name] = value
    return sent, left_out


def _messages(request: Request, vendor: Vendor) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    if request.system:
        sent.append({"role": "system", "content": request.system})
    sent += [{"role": message.role, "content": _content(message, vendor)} for message in request.messages]
    if vendor.own_cost and request.model.startswith("anthropic/"):
        for item in {id(found): found for found in (sent[0], sent[-1])}.values():
            _cache(item)
    return sent


def _content(message: Message, vendor: Vendor) -> str | list[dict[str, Any]]:
    if not message.attachments:
        return message.content
    return [
        *(_part(attachment, vendor) for attachment in message.attachments),
        {"type": "text", "text": message.content},
    ]


def _part(attachment: Attachment, vendor: Vendor) -> dict[str, Any]:
    if is_text(attachment):
        return {"type": "text", "text": as_text(attachment)}
    url = f"data:{attachment.media_type};base64,{as_base64(attachment)}"
    if attachment.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if attachment.media_type == "application/pdf" and vendor.pdf:
        return {"type": "file", "file": {"filename": attachment.name, "file_data": url}}
    raise cannot_send(attachment, vendor)


def _cache(message: dict[str, Any]) -> None:
    """Mark what Claude caches up to here (OpenRouter forwards the mark)."""
    if isinstance(message["content"], str):
        message["content"] = [{"type": "text", "text": message["content"]}]
    message["content"][-1]["cache_control"] = {"type": "ephemeral"}


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read a chunk of a stream (`delta`) or a complete response (`message`); only the first choice counts."""
    groq = data.get("x_groq")
    for place in (groq if isinstance(groq, dict) else {}, data):
        if isinstance(usage := place.get("usage"), dict):
            reply.count(_counts(usage))
    if "citations" in data or "search_results" in data:
        reply.cite(of_search(data))
    events: list[Event] = []
    for choice in dicts(data.get("choices")):
        if choice.get("index"):
            continue
        _said(choice, reply, events)
        if isinstance(usage := choice.get("usage"), dict):
            reply.count(_counts(usage))
        if choice.get("error"):
            reply.error = choice
        if reason := texts(choice.get("finish_reason")):
            reply.reason = "refusal" if reply.refused and reason == "stop" else _REASONS.get(reason, reason)
    return events


def _said(choice: dict[str, Any], reply: StreamState, events: list[Event]) -> None:
    """Read a choice. Perplexity repeats the message so far beside each delta, so only new text counts."""
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(delta, str):
        delta = {"content": delta}
    before = reply.parts.get("length", 0)
    text = ""
    if isinstance(delta, dict):
        text = _text(delta.get("content"), events)
        if len(delta) > 1 or not text:
            _rest(delta, reply, events)
    if not text and isinstance(message, dict):
        text = _text(message.get("content"), events)
        if "delta" in choice:
            text = text[before:]
        if not before:
            _rest(message, reply, events)
    if not text and not isinstance(message, dict):
        text = texts(choice.get("text"))
    if text:
        reply.parts["length"] = before + len(text)
        thoughts = sum(isinstance(event, ReasoningDelta) for event in events)
        events.insert(thoughts, TextDelta(text))


def _text(content: object, events: list[Event]) -> str:
    """Return the text of `content`; Mistral's reasoning models send a list of parts."""
    if isinstance(content, str):
        return content
    for part in dicts(content):
        if part.get("type") == "thinking":
            events.extend(ReasoningDelta(texts(inner.get("text"))) for inner in dicts(part.get("thinking")))
    return "".join(texts(part.get("text")) for part in dicts(content) if part.get("type") == "text")


def _rest(said: dict[str, Any], reply: StreamState, events: list[Event]) -> None:
    """Read everything but the content of a delta or message."""
    if thought := _thought(said):
        events.insert(0, ReasoningDelta(thought))
    if refusal := texts(said.get("refusal")):
        reply.refused = True
        events.append(TextDelta(refusal))
    for image in dicts(said.get("images")):
        url = image.get("image_url")
        events += picture_of_url(texts(url.get("url")) if isinstance(url, dict) else texts(url))
    reply.cite(of_annotations(said.get("annotations")))
    if said.get("tool_calls") or said.get("function_call"):
        events += reply.note(TOOLS)


def _thought(said: dict[str, Any]) -> str:
    """Return the reasoning, whose key differs by vendor, or which is only in OpenRouter's details."""
    plain = next((thought for name in _THOUGHTS if (thought := texts(said.get(name)))), "")
    details = dicts(said.get("reasoning_details"))
    return plain or "".join(texts(part.get("text")) or texts(part.get("summary")) for part in details)


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Convert a usage object; cached and reasoning tokens have several names."""
    read = _details(usage, "prompt_tokens_details", "prompt_token_details")
    written = _details(usage, "completion_tokens_details")
    cached = (read.get("cached_tokens"), *(usage.get(name) for name in _CACHED))
    media = (read.get("audio_tokens"), written.get("audio_tokens"), written.get("image_tokens"))
    return {
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "cached_tokens": next((count for count in cached if count), None),
        "cache_write_tokens": read.get("cache_write_tokens") or usage.get("cache_creation_input_tokens"),
        "reasoning_tokens": written.get("reasoning_tokens") or usage.get("reasoning_tokens"),
        "media_tokens": sum(whole_number(count) or 0 for count in media) or None,
        "cost": reported_cost(usage),
    }


_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens")


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((details for name in names if isinstance(details := usage.get(name), dict)), {})


def models(page: Any) -> list[ModelInfo]:
    """Parse the model list: `{"data": […]}`, `{"models": […]}` or just the array."""
    rows = page
    if isinstance(page, dict):
        rows = page.get("data") if isinstance(page.get("data"), list) else page.get("models")
    named = ({**row, "id": row.get("id") or row.get("name")} for row in dicts(rows))
    return [model_of(row) for row in named if texts(row["id"])]


PROTOCOL = Protocol(path, headers, body, frames.sse, read, "/models", models, think_tags=True)
