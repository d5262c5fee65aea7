"""OpenAI's Responses API, streamed and stateless, also of xAI, DeepSeek, Azure, OpenRouter and Bedrock.

Nothing is stored at the server: each request includes the conversation and the encrypted reasoning of earlier replies
by the same model. Source: platform.openai.com/docs/api-reference/responses and /responses-streaming.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmrepl.providers.base import Event, ReasoningDelta, Request, TextDelta
from llmrepl.providers.hints import only_text
from llmrepl.providers.protocols import interactions, openai_chat
from llmrepl.providers.protocols.base import (
    TOOLS,
    Protocol,
    StreamState,
    as_base64,
    as_text,
    cannot_send,
    dicts,
    is_text,
    own_items,
    picture,
    texts,
    whole_number,
)
from llmrepl.providers.protocols.citations import of_annotations, of_search
from llmrepl.providers.transport import frames
from llmrepl.providers.usage_counts import reported_cost
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Message

_LEAST_TOKENS = 16
_REASONS = {"max_output_tokens": "length", "max_tokens": "length"}
_STREAMED = ("text", "refusal", "reasoning_text", "reasoning_summary_text")
_SAME = {
    "reasoning": "reasoning_text",
    "reasoning_content": "reasoning_text",
    "reasoning_summary": "reasoning_summary_text",
}
"""Other names of streamed parts, of earlier versions and other servers."""
_CLOSING = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
_TOOL_CALLS = ("function_call", "custom_tool_call", "mcp_approval_request", "computer_call", "local_shell_call")


def path(model: str, stream: bool) -> str:
    """Return the path of the endpoint."""
    return "/responses"


def body(request: Request, vendor: Vendor) -> tuple[dict[str, Any], list[str]]:
    """Build the request body.

    Models that may reason are asked for a summary and for encrypted reasoning, which is sent back with the next prompt;
    text-only models reject both.
    """
    options = request.options
    sent: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message, request.model, vendor)],
        "stream": options.stream,
        "store": False,
    }
    if request.system:
        sent["instructions"] = request.system
    if not only_text(request.model):
        sent["include"] = ["reasoning.encrypted_content"]
        sent["reasoning"] = {"summary": "auto"}
    if options.max_tokens is not None:
        sent["max_output_tokens"] = max(_LEAST_TOKENS, options.max_tokens)
    for name, value in (("temperature", options.temperature), ("top_p", options.top_p)):
        if value is not None:
            sent[name] = value
    return sent, []


def _items(message: Message, model: str, vendor: Vendor) -> list[dict[str, Any]]:
    """Convert a message to input items; a reply follows the reasoning that led to it, if it is from the same model."""
    if message.role == "assistant":
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": message.content}]}
        return [*own_items(message, vendor, model), said]
    parts = [_part(attachment, vendor) for attachment in message.attachments]
    return [{"role": message.role, "content": [*parts, {"type": "input_text", "text": message.content}]}]


def _part(attachment: Attachment, vendor: Vendor) -> dict[str, Any]:
    if is_text(attachment):
        return {"type": "input_text", "text": as_text(attachment)}
    url = f"data:{attachment.media_type};base64,{as_base64(attachment)}"
    if attachment.media_type.startswith("image/"):
        return {"type": "input_image", "image_url": url}
    if attachment.media_type == "application/pdf" and vendor.pdf:
        return {"type": "input_file", "filename": attachment.name, "file_data": url}
    raise cannot_send(attachment, vendor)


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read a stream event or a complete response.

    Chat completions are accepted too, since some servers return them on every path, and Google's interactions. Unknown
    kinds are ignored.
    """
    if "choices" in data:
        return openai_chat.read(data, reply)
    if "event_type" in data:
        return interactions.read(data, reply)
    if data.get("object") == "response" and "type" not in data:
        return _close(data, reply)
    kind = texts(data.get("type"))
    if kind in _CLOSING:
        return _close(data["response"] if isinstance(data.get("response"), dict) else data, reply)
    head, _, last = kind.removeprefix("response.").removeprefix("output_").rpartition(".")
    if head == "content_part" and last == "done" and isinstance(part := data.get("part"), dict):
        head, data = texts(part.get("type")).removeprefix("output_"), {**part, **data}
    head = _SAME.get(head, head)
    if head in _STREAMED and last in ("delta", "done"):
        return _streamed(head, last, data, reply)
    if kind == "response.output_text.annotation.added":
        reply.cite(of_annotations([data.get("annotation")]))
    if kind == "response.output_item.done" and isinstance(data.get("item"), dict):
        reply.parts["items"] = True
        index = str(data.get("output_index"))
        return _item(data["item"], reply, {place[0] for place in reply.parts.get("came", ()) if place[1] == index})
    return ()


def _streamed(kind: str, last: str, data: dict[str, Any], reply: StreamState) -> list[Event]:
    """Read part of an item; its end repeats the whole part, which counts only if nothing was streamed."""
    index, part = data.get("output_index"), data.get("summary_index", data.get("content_index"))
    came = reply.parts.setdefault("came", set())
    place = (kind, str(index), str(part))
    if last == "done" and place in came:
        return []
    delta = data.get("delta") or data.get("refusal") or data.get("text")
    text = texts(delta.get("text") if isinstance(delta, dict) else delta)
    begins = kind == "reasoning_summary_text" and place not in came and any(one[0] == kind for one in came)
    came.add(place)
    return _said(kind, f"\n\n{text}" if begins and text else text, reply)


def _said(kind: str, text: str, reply: StreamState) -> list[Event]:
    """Return the event for text of a kind."""
    if not text:
        return []
    reply.refused = reply.refused or kind == "refusal"
    return [TextDelta(text)] if kind in ("text", "refusal") else [ReasoningDelta(text)]


def _item(item: dict[str, Any], reply: StreamState, came: set[str]) -> list[Event]:
    """Read a finished output item; `came` are the kinds of its text that were already streamed."""
    kind = texts(item.get("type"))
    if kind == "image_generation_call":
        return picture(texts(item.get("result")), f"image/{texts(item.get('output_format')) or 'png'}")
    if kind == "reasoning" and (
        encrypted := texts(item.get("encrypted_content"))
    ):  # the id refers to state that is not stored
        reasoning = {"type": "reasoning", "summary": dicts(item.get("summary")), "encrypted_content": encrypted}
        reply.items.append(reasoning)
    if kind not in ("message", "reasoning"):
        return reply.note(TOOLS) if kind in _TOOL_CALLS else []
    events: list[Event] = []
    if "reasoning_summary_text" not in came:
        summary = "\n\n".join(filter(None, (texts(part.get("text")) for part in dicts(item.get("summary")))))
        events += _said("reasoning_summary_text", summary, reply)
    for part in dicts(item.get("content")):
        reply.cite(of_annotations(part.get("annotations")))
        of = texts(part.get("type")).removeprefix("output_")
        if of in _STREAMED and of not in came:
            events += _said(of, texts(part.get("refusal")) or texts(part.get("text")), reply)
    return events


def _close(response: dict[str, Any], reply: StreamState) -> list[Event]:
    """Read the final response: status, usage, and output items that were not streamed."""
    if isinstance(usage := response.get("usage"), dict):
        reply.count(_counts(usage))
    reply.cite(of_search(response))
    if isinstance(error := response.get("error"), dict) and error:
        reply.error = error
        return []
    events: list[Event] = []
    if not reply.parts.get("items"):
        came = {place[0] for place in reply.parts.get("came", ())}
        events = [event for item in dicts(response.get("output")) for event in _item(item, reply, came)]
    status, details = texts(response.get("status")), response.get("incomplete_details")
    reason = texts(details.get("reason")) if isinstance(details, dict) else ""
    if status in ("failed", "cancelled"):
        reply.reason, reply.explanation = status, reason
    elif reason or status == "incomplete":
        reply.reason = _REASONS.get(reason, reason or status)
    elif TOOLS in reply.noted:
        reply.reason = "tool_calls"
    else:
        reply.reason = "refusal" if reply.refused else "stop"
    reply.ended = True
    return events


def _counts(usage: dict[str, Any]) -> dict[str, Any]:
    if "input_tokens" not in usage:
        return openai_chat.counts(usage)
    details, written = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    read_ones = details if isinstance(details, dict) else {}
    written_ones = written if isinstance(written, dict) else {}
    media = (read_ones.get("audio_tokens"), written_ones.get("audio_tokens"), written_ones.get("image_tokens"))
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "cached_tokens": read_ones.get("cached_tokens"),
        "cache_write_tokens": read_ones.get("cache_write_tokens"),
        "reasoning_tokens": written_ones.get("reasoning_tokens"),
        "media_tokens": sum(whole_number(count) or 0 for count in media) or None,
        "cost": reported_cost(usage),
    }


PROTOCOL = Protocol(path, openai_chat.headers, body, frames.sse, read, "/models", openai_chat.models, think_tags=True)
