"""OpenAI's chat completions API and its dialects.

Source: platform.openai.com/docs/api-reference/chat, openrouter.ai/docs, and the documentation of vLLM, llama.cpp,
DeepSeek (`reasoning_content`), Groq and OpenRouter (`reasoning`), Perplexity (`search_results`), xAI, Mistral.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from llmrepl.providers.base import Event, ReasoningDelta, Request, TextDelta
from llmrepl.providers.protocols.base import (
    TOOLS,
    Fetch,
    ModelInfo,
    Protocol,
    StreamState,
    as_base64,
    as_text,
    cannot_send,
    dicts,
    is_text,
    own_items,
    picture_of_url,
    texts,
    whole_number,
)
from llmrepl.providers.protocols.citations import of_search
from llmrepl.providers.protocols.model_rows import model_of, token_count
from llmrepl.providers.transport import frames
from llmrepl.providers.usage_counts import reported_cost
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Message

_REASONING = re.compile(r"(openai/)?(o\d|gpt-5(?!.*chat))")
_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "complete": "stop",
    "completed": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "sensitive": "content_filter",
    "safety": "content_filter",
}
"""Finish reasons in lower case, and ours."""

_THOUGHTS = """reasoning_content reasoning thinking reasoning_text thinking_content reasoning_summary thought thoughts
    reasoningContent""".split()


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
    sent += [_message(message, request.model, vendor) for message in request.messages]
    if vendor.own_cost and request.model.startswith("anthropic/"):
        for item in {id(found): found for found in (sent[0], sent[-1])}.values():
            _cache(item)
    return sent


def _message(message: Message, model: str, vendor: Vendor) -> dict[str, Any]:
    """Convert a message; OpenRouter takes back the reasoning of the same model."""
    sent: dict[str, Any] = {"role": message.role, "content": _content(message, vendor)}
    if vendor.own_cost and (items := own_items(message, vendor, model)):
        sent["reasoning_details"] = items
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
    _count(reply, groq if isinstance(groq, dict) else {}, data)
    reply.cite(of_search(data))
    events: list[Event] = []
    for choice in dicts(data.get("choices")):
        if choice.get("index") not in (None, 0, "0", ""):
            continue
        _said(choice, reply, events)
        delta = choice.get("delta")
        _count(reply, choice, delta if isinstance(delta, dict) else {})
        reply.cite(of_search(choice))
        if choice.get("error"):
            reply.error = choice
        if reason := texts(choice.get("finish_reason")):
            reason = _REASONS.get(reason.lower(), reason)
            reply.reason = "refusal" if reply.refused and reason == "stop" else reason
            reply.items = signed_details(reply)
    return events


def _count(reply: StreamState, *places: dict[str, Any]) -> None:
    """Read the usage in any of `places`; llama.cpp has its counts in `timings`."""
    for place in places:
        if isinstance(usage := place.get("usage"), dict):
            reply.count(counts(usage))
        elif isinstance(timings := place.get("timings"), dict) and not reply.counts.get("prompt_tokens"):
            cached = whole_number(timings.get("cache_n")) or 0
            fresh = whole_number(timings.get("prompt_n"))
            timed = {"prompt_tokens": None if fresh is None else fresh + cached, "cached_tokens": cached}
            reply.count({**timed, "completion_tokens": timings.get("predicted_n")})


def _said(choice: dict[str, Any], reply: StreamState, events: list[Event]) -> None:
    """Read a choice. Some servers repeat the message so far beside the deltas or at the end; only new text counts."""
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(delta, str):
        delta = {"content": delta}
    text = ""
    if isinstance(delta, dict):
        text = _text(delta.get("content"), events)
        if len(delta) > 1 or not text:
            text = _rest(delta, reply, events) or text
    if not text and isinstance(message, dict):
        before, check = reply.parts.get("said", (0, 0))
        text = _text(message.get("content"), events)
        if before and crc32(text[:before].encode("utf-8", "replace")) == check:
            text = text[before:]
        if not before:
            text = _rest(message, reply, events) or text
    if not text and not isinstance(message, dict):
        text = texts(choice.get("text"))
    if text:
        before, check = reply.parts.get("said", (0, 0))
        reply.parts["said"] = before + len(text), crc32(text.encode("utf-8", "replace"), check)
        thoughts = sum(isinstance(event, ReasoningDelta) for event in events)
        events.insert(thoughts, TextDelta(text))


def _text(content: object, events: list[Event]) -> str:
    """Return the text of `content`, which may be a list of parts with reasoning (Mistral, Databricks) and images."""
    if isinstance(content, str):
        return content
    found = ""
    for part in [content] if isinstance(content, dict) else dicts(content):
        kind = part.get("type", "text")
        if kind in ("thinking", "reasoning"):
            events.extend(ReasoningDelta(thought) for thought in (_thought_of(part),) if thought)
        elif kind in ("text", "output_text"):
            found += texts(part.get("text"))
        elif kind in ("image_url", "output_image"):
            events += _image(part.get("image_url"))
    return found


def _rest(said: dict[str, Any], reply: StreamState, events: list[Event]) -> str:
    """Read everything but the content of a delta or message; return text that is elsewhere."""
    if thought := _thought(said, reply):
        events.insert(0, ReasoningDelta(thought))
    if refusal := texts(said.get("refusal")):
        reply.refused = True
        events.append(TextDelta(refusal))
    for image in dicts(said.get("images")):
        events += _image(image.get("image_url"))
    reply.cite(of_search(said))
    if said.get("tool_calls") or said.get("function_call"):
        events += reply.note(TOOLS)
    audio = said.get("audio")
    return texts(audio.get("transcript")) if isinstance(audio, dict) else ""


def _image(url: object) -> list[Event]:
    return picture_of_url(texts(url.get("url")) if isinstance(url, dict) else texts(url))


def _thought(said: dict[str, Any], reply: StreamState) -> str:
    """Return the reasoning: its key differs by vendor, and OpenRouter and LiteLLM may only send parts of it."""
    details = dicts(said.get("reasoning_details"))
    reply.parts.setdefault("details", []).extend(details)
    plain = next((thought for name in _THOUGHTS if (thought := _thought_of(said.get(name)))), "")
    return plain or "".join(map(_thought_of, details or dicts(said.get("thinking_blocks"))))


def _thought_of(value: object) -> str:
    """Return the text of a piece of reasoning: a string, an object with a text, or a list of these."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("text", "thinking", "summary", "content") if value.get(name)), "")
    if isinstance(value, list):
        return "".join(map(_thought_of, value[:_MOST_PARTS]))
    return texts(value)


_MOST_PARTS = 1000


def signed_details(reply: StreamState) -> list[dict[str, Any]]:
    """Join OpenRouter's reasoning details; none unless a part is signed or encrypted, so that it can be sent back.

    Source: openrouter.ai/docs/use-cases/reasoning-tokens (preserving reasoning blocks).
    """
    joined: dict[tuple[str, str], dict[str, Any]] = {}
    pieces: dict[tuple[str, str], dict[str, list[str]]] = {}
    for detail in reply.parts.get("details", ()):
        place = str(detail.get("index")), texts(detail.get("type"))
        item, texts_of = joined.setdefault(place, {}), pieces.setdefault(place, {})
        for name, value in detail.items():
            if name in ("text", "summary", "data") and isinstance(value, str):
                texts_of.setdefault(name, []).append(value)
            elif value is not None:
                item[name] = value
    found = [{**item, **{name: "".join(parts) for name, parts in pieces[at].items()}} for at, item in joined.items()]
    return found if any(item.get("signature") or item.get("data") for item in found) else []


def counts(usage: dict[str, Any]) -> dict[str, Any]:
    """Convert a usage object; all counts have several names."""
    read = _details(usage, "prompt_tokens_details", "prompt_token_details", "input_tokens_details")
    written = _details(usage, "completion_tokens_details", "output_tokens_details")
    cached = (read.get("cached_tokens"), *(usage.get(name) for name in _CACHED))
    media = (read.get("audio_tokens"), written.get("audio_tokens"), written.get("image_tokens"))
    return {
        "prompt_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "completion_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
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


def add_details(found: list[ModelInfo], fetch: Fetch) -> list[ModelInfo]:
    """Add the context with which llama.cpp (`/props`) or LM Studio (`/api/v0/models`) runs a model."""
    props = fetch("/props", None)
    settings = props.get("default_generation_settings") if isinstance(props, dict) else None
    if isinstance(settings, dict) and (window := token_count(settings.get("n_ctx"))):
        return [replace(info, context_window=window) for info in found]
    listed = {info.id: info for info in models(fetch("/api/v0/models", None))}
    return [listed.get(info.id, info) for info in found]


PROTOCOL = Protocol(path, headers, body, frames.sse, read, "/models", models, think_tags=True, add_details=add_details)
