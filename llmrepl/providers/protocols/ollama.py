"""Ollama's /api/chat: newline-delimited JSON and its own counts. Source: github.com/ollama/ollama docs/api.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

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
    texts,
)
from llmrepl.providers.protocols.model_rows import effort_names, token_count
from llmrepl.providers.transport import frames
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Message


def headers(key: str | None) -> Mapping[str, str]:
    """Return the header for a key, for servers behind a gateway."""
    return {"authorization": f"Bearer {key}"} if key else {}


def path(model: str, stream: bool) -> str:
    """Return the path of the endpoint."""
    return "/api/chat"


def body(request: Request, vendor: Vendor) -> tuple[dict[str, Any], list[str]]:
    """Build the request body."""
    options = request.options
    messages = [{"role": "system", "content": request.system}] if request.system else []
    messages += [_message(message, vendor) for message in request.messages]
    settings = {"temperature": options.temperature, "top_p": options.top_p, "num_predict": options.max_tokens}
    settings = {name: value for name, value in settings.items() if value is not None}
    sent: dict[str, Any] = {"model": request.model, "messages": messages, "stream": options.stream}
    return (sent | {"options": settings} if settings else sent), []


def _message(message: Message, vendor: Vendor) -> dict[str, Any]:
    words, images = [], []
    for attachment in message.attachments:
        if is_text(attachment):
            words.append(as_text(attachment))
        elif attachment.media_type.startswith("image/"):
            images.append(as_base64(attachment))
        else:
            raise cannot_send(attachment, vendor)
    sent: dict[str, Any] = {"role": message.role, "content": "\n\n".join([*words, message.content])}
    return sent | {"images": images} if images else sent


def read(data: dict[str, Any], reply: StreamState) -> Iterable[Event]:
    """Read a line of a stream or a complete response, which have the same shape."""
    if data.get("done"):
        reply.ended = True
        reply.reason = texts(data.get("done_reason")) or "stop"
        reply.count({"prompt_tokens": data.get("prompt_eval_count"), "completion_tokens": data.get("eval_count")})
    said = data.get("message")
    if not isinstance(said, dict):
        return ()
    events: list[Event] = []
    if thought := texts(said.get("thinking")):
        events.append(ReasoningDelta(thought))
    if text := texts(said.get("content")):
        events.append(TextDelta(text))
    if said.get("tool_calls"):
        events += reply.note(TOOLS)
    return events


def models(page: Any) -> list[ModelInfo]:
    """Parse the list of installed models. Newer servers add what a model can do."""
    rows = dicts(page.get("models")) if isinstance(page, dict) else []
    return [_model(row) for row in rows if texts(row.get("name"))]


def _model(row: dict[str, Any]) -> ModelInfo:
    said, thinking = row.get("capabilities"), row.get("thinking")
    can = [name for name in said if isinstance(name, str)] if isinstance(said, list) and said else None
    details = row.get("details")
    window = details.get("context_length") if isinstance(details, dict) else None
    efforts = effort_names(thinking.get("values")) if isinstance(thinking, dict) else None
    return ModelInfo(
        row["name"],
        context_window=token_count(row.get("context_length")) or token_count(window),
        chat=None if can is None else "completion" in can,
        vision=None if can is None else "vision" in can,
        efforts=efforts if efforts is not None else () if can is not None and "thinking" not in can else None,
    )


def add_details(found: list[ModelInfo], fetch: Fetch) -> list[ModelInfo]:
    """Add the context with which loaded models run, and for older servers what each model can do."""
    page = fetch("/api/ps", None)
    loaded = dicts(page.get("models")) if isinstance(page, dict) else []
    windows = {texts(row.get("name")): token_count(row.get("context_length")) for row in loaded}
    shown: dict[str, ModelInfo] = {}
    for info in [info for info in found if info.chat is None][:_MOST_SHOWN]:
        row = fetch("/api/show", {"model": info.id})
        if not isinstance(row, dict):  # an old server
            break
        shown[info.id] = _shown(info.id, row)
    infos = (shown.get(info.id, info) for info in found)
    return [replace(info, context_window=windows.get(info.id) or info.context_window) for info in infos]


def _shown(name: str, row: dict[str, Any]) -> ModelInfo:
    """Read a model's page: the context that its file asks for, else the one that it was trained for."""
    facts = row.get("model_info")
    trained = [facts[key] for key in facts if key.endswith(".context_length")] if isinstance(facts, dict) else []
    asked = re.search(r"(?m)^num_ctx\s+(\d{1,9})$", texts(row.get("parameters")))
    window = int(asked[1]) if asked else next(iter(trained), None)
    return _model({**row, "name": name, "context_length": window})


_MOST_SHOWN = 50

PROTOCOL = Protocol(
    path, headers, body, frames.ndjson, read, "/api/tags", models, think_tags=True, add_details=add_details
)
