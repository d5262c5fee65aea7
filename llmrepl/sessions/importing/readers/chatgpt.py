"""Import ChatGPT data exports: `conversations.json`, or the `.zip` that contains it.

A conversation is a tree of messages, `mapping`; the visible one is the path from `current_node` to the root. OpenAI
documents how to get an export but not its format; this reads exports since 2023.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.canvas import Canvas
from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile, as_dict, as_list, parse_json
from llmrepl.sessions.importing.tree import path_to

NAME = "chatgpt"
HELP = "ChatGPT data export, as .zip or conversations.json"
_TEXTS = ("text", "multimodal_text", "code")
_MARKUP = re.compile("\ue200([^\ue200-\ue202]*)(?:\ue202([^\ue200\ue201]*))?\ue201")
_MARKS = re.compile("[\ue200-\ue206]")
_LABELED = ("url", "link_title")
_REASONING = ("thoughts", "reasoning_recap")


def detect(file: SourceFile) -> bool:
    """Whether the file holds conversations with a `mapping` of messages."""
    return any(isinstance(fields.get("mapping"), dict) for fields in file.sample)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation of an export. Raises ImportFileError if the file is not one."""
    document, *others = file.documents
    if isinstance(document, ValueError):
        raise ImportFileError(file.name, str(document))
    if isinstance(document, dict) and isinstance(document.get("mapping"), dict):
        document = [document, *others]
    if not isinstance(document, list):
        raise ImportFileError(file.name, "it is not a list of conversations")
    for number, entry in enumerate(document, 1):
        if isinstance(entry, dict) and isinstance(entry.get("mapping"), dict):
            yield _conversation(entry, now).to_session(now)
        else:
            yield Skipped(f"conversation {number}", "it has no 'mapping' of messages")


def _conversation(entry: dict[str, Any], now: datetime) -> Conversation:
    id = clean_text(entry.get("conversation_id")) or clean_text(entry.get("id"))
    if not id:
        id = hashlib.sha256("\n".join(sorted(entry["mapping"])).encode("utf-8", "surrogatepass")).hexdigest()
    found = Conversation(
        (NAME, id),
        title=clean_text(entry.get("title")) or None,
        model=_model(entry.get("default_model_slug")),
        created_at=local_time(entry.get("create_time"), now),
    )
    nodes: dict[str, Any] = entry["mapping"]
    path = path_to(nodes, entry.get("current_node"), "parent", "children")
    canvas = Canvas()
    for id in path:
        _take(as_dict(as_dict(nodes[id]).get("message")), found, canvas, now)
    on_path = set(path)
    elsewhere = (as_dict(as_dict(node).get("message")) for id, node in nodes.items() if id not in on_path)
    if others := sum(bool(_role(message) and _texts(message)) for message in elsewhere):
        found.left_out["other version"] = others
    return found


def _take(message: dict[str, Any], found: Conversation, canvas: Canvas, now: datetime) -> None:
    kind = as_dict(message.get("content")).get("content_type")
    metadata = as_dict(message.get("metadata"))
    role, texts = _role(message), _texts(message)
    if not message or metadata.get("is_visually_hidden_from_conversation") is True or kind in _REASONING:
        return
    recipient = clean_text(message.get("recipient"))
    if role == "assistant" and recipient.startswith("canmore.") and (shown := canvas.take(_call(message))):
        found.lines.append(ImportedMessage(role, shown, at=local_time(message.get("create_time"), now)))
    elif role is None or message.get("recipient", "all") != "all":
        found.left_out["tool message"] += 1
    elif kind not in _TEXTS:
        found.left_out["other message"] += 1
    else:
        if files := sum(not text for text in texts):
            found.left_out["non-text part"] += files
        model = _model(metadata.get("model_slug")) if role == "assistant" else None
        text = "\n".join(text for text in texts if text)
        found.lines.append(ImportedMessage(role, text, at=local_time(message.get("create_time"), now), model=model))


def _role(message: dict[str, Any]) -> str | None:
    role = as_dict(message.get("author")).get("role")
    return role if isinstance(role, str) and role in ("user", "assistant", "system") else None


def _texts(message: dict[str, Any]) -> list[str]:
    """Return the text of each part of a message; empty for a part without text."""
    content = as_dict(message.get("content"))
    parts = [content.get("text")] if content.get("content_type") == "code" else as_list(content.get("parts"))
    texts = (clean_text(part if isinstance(part, str) else as_dict(part).get("text")) for part in parts if part != "")
    return [_MARKS.sub("", _MARKUP.sub(_label, text)) for text in texts]


def _label(markup: re.Match[str]) -> str:
    """Return the text that is shown for a link or an entity, nothing for a citation."""
    kind, fields = markup[1], (markup[2] or "").split("\ue202")
    if kind in _LABELED:
        return fields[0]
    if kind != "entity":
        return ""
    try:
        names = [name for name in as_list(parse_json(fields[0].encode())) if isinstance(name, str)]
    except ValueError:
        return ""
    return names[1] if len(names) > 1 else ""


def _call(message: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a tool call, or nothing if it is not understood."""
    try:
        return as_dict(parse_json(clean_text(as_dict(message.get("content")).get("text")).encode()))
    except ValueError:
        return {}


def _model(slug: object) -> str | None:
    return f"openai/{clean_text(slug)}" if clean_text(slug) else None
