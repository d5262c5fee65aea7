"""Gemini's streamGenerateContent, v1beta. Source: ai.google.dev/api/generate-content, /gemini-api/docs/thinking."""

from __future__ import annotations

import re
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
    picture,
    texts,
    whole_number,
)
from llmrepl.providers.protocols.citations import of_gemini
from llmrepl.providers.protocols.model_rows import lifecycle, token_count
from llmrepl.providers.transport import frames
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Message

_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "tool_calls",
    "UNEXPECTED_TOOL_CALL": "tool_calls",
    "TOO_MANY_TOOL_CALLS": "tool_calls",
}
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_THINKS = re.compile(r"gemini-(?!1(?!\d)|2\.0|.*(image|tts|live|audio|embedding))")
"""Models that are asked for their thoughts: all but the first ones. One that refuses is not asked again."""
_SPEAKS = re.compile(r"-tts\b|native-audio")
"""Names of models that generate content, but only speech."""
_KINDS = ("image/", "audio/", "video/")


def headers(key: str | None) -> Mapping[str, str]:
    """Return the header for the key, which is never in the URL because URLs are logged."""
    return {"x-goog-api-key": key} if key else {}


def path(model: str, stream: bool) -> str:
    """Return the path of the endpoint."""
    kind, _, name = model.rpartition("/")
    where = f"{kind if kind == 'tunedModels' else 'models'}/{quote(name, safe='')}"
    return f"/v1beta/{where}:streamGenerateContent?alt=sse" if stream else f"/v1beta/{where}:generateContent"


def body(request: Request, vendor: Vendor) -> tuple[dict[str, Any], list[str]]:
    """Build the request body; models that may reason are asked to include thoughts."""
    options = request.options
    sent: dict[str, Any] = {"contents": [_content(message, request.model, vendor) for message in request.messages]}
    if request.system:
        sent["systemInstruction"] = {"parts": [{"text": request.system}]}
    config: dict[str, Any] = {
        "temperature": options.temperature,
        "topP": options.top_p,
        "maxOutputTokens": options.max_tokens,
    }
    config = {name: value for name, value in config.items() if value is not None}
    if _THINKS.match(request.model.rpartition("/")[2]):
        config["thinkingConfig"] = {"includeThoughts": True}
    if config:
        sent["generationConfig"] = config
    return sent, []


def _content(message: Message, model: str, vendor: Vendor) -> dict[str, Any]:
    """Convert a message; the signature of a model's thoughts follows its reply, as it came."""
    parts = [_part(attachment, vendor) for attachment in message.attachments]
    role = "model" if message.role == "assistant" else "user"
    return {"role": role, "parts": [*parts, {"text": message.content}, *own_items(message, vendor, model)]}


def _part(attachment: Attachment, vendor: Vendor) -> dict[str, Any]:
    if is_text(attachment):
        return {"text": as_text(attachment)}
    if attachment.media_type.startswith(_KINDS) or (attachment.media_type == "application/pdf" and vendor.pdf):
        return {"inlineData": {"mimeType": attachment.media_type, "data": as_base64(attachment)}}
    raise cannot_send(attachment, vendor)


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read a chunk of a stream or a complete response, which have the same shape. Only the first candidate counts."""
    if "candidates" not in data and isinstance(data.get("response"), dict):  # wrapped by Google's gateways
        data = data["response"]
    _usage(data.get("usageMetadata"), reply)
    feedback = data.get("promptFeedback")
    if isinstance(feedback, dict) and texts(feedback.get("blockReason")):
        reply.reason = "content_filter"
        reply.explanation = (
            texts(feedback.get("blockReasonMessage")) or f"the prompt was blocked ({feedback['blockReason']})"
        )
    events: list[Event] = list(_status(data.get("modelStatus"), reply))
    for candidate in dicts(data.get("candidates")):
        if candidate.get("index"):
            continue
        content = candidate.get("content")
        for part in dicts(content.get("parts")) if isinstance(content, dict) else ():
            events += _said(part, reply)
        reply.cite(of_gemini(candidate))
        reason = texts(candidate.get("finishReason"))
        if reason and reason != _UNSPECIFIED:
            reply.reason = _REASONS.get(reason, reason.lower())
            if reply.reason != "stop":
                reply.explanation = texts(candidate.get("finishMessage"))
    return events


def _status(status: object, reply: StreamState) -> list[Event]:
    """Report a model that is about to end (ai.google.dev/api/generate-content, ModelStatus)."""
    if not isinstance(status, dict) or status.get("modelStage") not in ("LEGACY", "DEPRECATED", "RETIRED"):
        return []
    ends = texts(status.get("retirementTime"))[:10]
    words = texts(status.get("message")) or f"this model is {status['modelStage'].lower()}"
    return reply.note(f"Google: {words.rstrip('.')}{f' (until {ends})' if ends else ''}.")


def _said(part: dict[str, Any], reply: StreamState) -> list[Event]:
    if signature := texts(part.get("thoughtSignature")):
        reply.items = [{"text": "", "thoughtSignature": signature}]
    if text := texts(part.get("text")):
        return [ReasoningDelta(text) if part.get("thought") else TextDelta(text)]
    if "functionCall" in part:
        return reply.note(TOOLS)
    data = part.get("inlineData") or part.get("inline_data")
    if isinstance(data, dict) and not part.get("thought"):
        return picture(texts(data.get("data")), texts(data.get("mimeType")) or texts(data.get("mime_type")))
    return []


def _usage(usage: object, reply: StreamState) -> None:
    """Convert the counts: thoughts are separate from candidates, tool input from the prompt."""
    if not isinstance(usage, dict):
        return
    prompt, by_tools = usage.get("promptTokenCount"), whole_number(usage.get("toolUsePromptTokenCount"))
    if by_tools and (tokens := whole_number(prompt)):
        prompt = tokens + by_tools
    thoughts, written = usage.get("thoughtsTokenCount"), usage.get("candidatesTokenCount")
    completion = written if thoughts is None else thoughts if written is None else None
    if completion is None and isinstance(written, int) and isinstance(thoughts, int):
        completion = written + thoughts
    heard = _by_modality(usage.get("promptTokensDetails"), ("AUDIO",))
    drawn = _by_modality(usage.get("candidatesTokensDetails"), ("IMAGE", "AUDIO", "VIDEO"))
    reply.count(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": usage.get("totalTokenCount"),
            "cached_tokens": usage.get("cachedContentTokenCount"),
            "reasoning_tokens": thoughts,
            "media_tokens": heard + drawn or None,
        }
    )


def _by_modality(details: object, kinds: tuple[str, ...]) -> int:
    """Add up the tokens of some modalities."""
    return sum(whole_number(row.get("tokenCount")) or 0 for row in dicts(details) if row.get("modality") in kinds)


def models(page: Any) -> list[ModelInfo]:
    """Parse a page of the model list. Models without `generateContent` are not for chat."""
    rows = dicts(page.get("models")) if isinstance(page, dict) else []
    return [_model(row) for row in rows if texts(row.get("name"))]


def _model(row: dict[str, Any]) -> ModelInfo:
    ends, deprecated, retired = lifecycle(row)
    name, methods = row["name"].removeprefix("models/"), row.get("supportedGenerationMethods")
    return ModelInfo(
        name,
        texts(row.get("displayName")),
        token_count(row.get("inputTokenLimit")),
        ends=ends,
        deprecated=deprecated,
        chat=None if not isinstance(methods, list) else "generateContent" in methods and not _SPEAKS.search(name),
        max_output=token_count(row.get("outputTokenLimit")),
        retired=retired,
        efforts=() if row.get("thinking") is False else None,
    )


def next_page(page: Any) -> str | None:
    """Return the path of the next page, or None."""
    token = texts(page.get("nextPageToken")) if isinstance(page, dict) else ""
    return f"/v1beta/models?pageSize=1000&pageToken={quote(token, safe='')}" if token else None


PROTOCOL = Protocol(
    path, headers, body, frames.sse, read, "/v1beta/models?pageSize=1000", models, next_page, suffix="/v1beta"
)
