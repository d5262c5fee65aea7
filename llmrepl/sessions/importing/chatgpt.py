"""Import ChatGPT data exports: `conversations.json`, or the `.zip` that contains it.

A conversation is a tree of messages, `mapping`; the visible one is the path from `current_node` to the root. OpenAI
documents how to get an export but not its format; this reads exports since 2023.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.documents import as_dict, as_list, import_error, parse_json, read_file
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.storage import session_file

NAME = "chatgpt"
_MEMBER = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_TEXTS = ("text", "multimodal_text", "code")
_MARKUP = re.compile("\ue200([^\ue200-\ue202]*)(?:\ue202([^\ue200\ue201]*))?\ue201")
_MARKS = re.compile("[\ue200-\ue206]")
_LABELED = ("url", "link_title")
_CANVAS = ("canmore.create_textdoc", "canmore.update_textdoc")
_REASONING = ("thoughts", "reasoning_recap")


def read(path: Path, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation of an export. Raises LLMError if the file is not one."""
    for raw in _documents(path):
        try:
            document = parse_json(raw)
        except ValueError as error:
            raise import_error(path, str(error)) from error
        if isinstance(document, dict) and isinstance(document.get("mapping"), dict):
            document = [document]
        if not isinstance(document, list):
            raise import_error(path, "it is not a list of conversations")
        for number, entry in enumerate(document, 1):
            if isinstance(entry, dict) and isinstance(entry.get("mapping"), dict):
                yield _conversation(entry, now).to_session(now)
            else:
                yield Skipped(f"conversation {number}", "it has no 'mapping' of messages")


def _documents(path: Path) -> Iterator[bytes]:
    if not (os.path.isfile(path) and zipfile.is_zipfile(path)):
        yield read_file(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
            if not members:
                raise import_error(path, "there is no conversations.json in it")
            for name in members:
                with archive.open(name) as member:
                    raw = member.read(session_file.MAX_BYTES + 1)
                if len(raw) > session_file.MAX_BYTES:
                    raise import_error(path, f"it unpacks to more than {session_file.MAX_BYTES >> 20} MiB")
                yield raw
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise import_error(path, "the archive is damaged") from error
    except RuntimeError as error:  # an unknown compression; a password
        raise import_error(path, "the archive is packed in a way that cannot be read") from error


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
    path = _path(nodes, entry.get("current_node"))
    for id in path:
        _take(as_dict(as_dict(nodes[id]).get("message")), found, now)
    on_path = set(path)
    elsewhere = (as_dict(as_dict(node).get("message")) for id, node in nodes.items() if id not in on_path)
    if others := sum(bool(_role(message) and _texts(message)) for message in elsewhere):
        found.left_out["other version"] = others
    return found


def _path(nodes: dict[str, Any], current: object) -> list[str]:
    """Return the ids from the root to `current`, or to the last leaf if `current` is missing."""
    if not isinstance(current, str) or current not in nodes:
        known = {id: as_dict(node) for id, node in nodes.items()}
        leaves = [id for id, node in known.items() if node.get("message") and not as_list(node.get("children"))]
        current = leaves[-1] if leaves else None
    path: list[str] = []
    seen: set[str] = set()
    while isinstance(current, str) and current in nodes and current not in seen:
        seen.add(current)
        path.append(current)
        current = as_dict(nodes[current]).get("parent")
    return path[::-1]


def _take(message: dict[str, Any], found: Conversation, now: datetime) -> None:
    kind = as_dict(message.get("content")).get("content_type")
    metadata = as_dict(message.get("metadata"))
    role, texts = _role(message), _texts(message)
    if not message or metadata.get("is_visually_hidden_from_conversation") is True or kind in _REASONING:
        return
    if role == "assistant" and message.get("recipient") in _CANVAS and (canvas := _canvas(message)):
        found.lines.append(ImportedMessage(role, canvas, at=local_time(message.get("create_time"), now)))
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


def _canvas(message: dict[str, Any]) -> str:
    """Return the text of a new or rewritten canvas, or nothing if the call is not understood."""
    try:
        call = as_dict(parse_json(clean_text(as_dict(message.get("content")).get("text")).encode()))
    except ValueError:
        return ""
    updates = [as_dict(update) for update in as_list(call.get("updates"))]
    if len(updates) == 1 and updates[0].get("pattern") == ".*":
        return clean_text(updates[0].get("replacement"))
    return clean_text(call.get("content"))


def _model(slug: object) -> str | None:
    return f"openai/{clean_text(slug)}" if clean_text(slug) else None
