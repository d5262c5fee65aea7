"""Import JSON and JSONL with OpenAI messages: fine-tuning files, batch requests, and the jsonl export.

Formats: https://platform.openai.com/docs/guides/supervised-fine-tuning and …/docs/guides/batch
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict, as_list, parse_json

NAME = "openai"
HELP = "JSON or JSONL with OpenAI messages"
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def detect(file: SourceFile) -> bool:
    """Whether the file holds `messages` with roles and contents, or is a list of such messages."""
    if file.is_json and is_message_list(file.documents[0]):
        return True
    return any(_is_request(fields) for fields in file.sample)


def _is_request(fields: dict[str, Any]) -> bool:
    body = as_dict(fields.get("body")) or fields
    messages = as_list(body.get("messages"))
    return bool(messages) and all("role" in as_dict(message) for message in messages)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield a conversation from each line, identified by the line's hash. Raises ImportFileError."""
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            document = as_dict(parse_json(line))
        except ValueError as error:
            yield Skipped(where, str(error))
            continue
        body = as_dict(document.get("body")) or document
        if not isinstance(body.get("messages"), list):
            yield Skipped(where, "it has no 'messages'")
            continue
        item = _conversation(body, hashlib.sha256(line.strip()).hexdigest()).to_session(now)
        yield item if isinstance(item, FoundConversation) else Skipped(where, item.why)


def _lines(file: SourceFile) -> list[bytes]:
    """Return the lines of JSONL, or the elements of a JSON file as such lines. Raises ImportFileError."""
    document, *others = file.documents
    if others or isinstance(document, ValueError):
        return file.raw.split(b"\n")
    if isinstance(document, dict) and b"\n" not in file.raw.strip():
        return [file.raw]
    if is_message_list(document):
        document = {"messages": document}
    elements = document if isinstance(document, list) else [document]
    return [json.dumps(element).encode() for element in elements]


def is_message_list(document: object) -> bool:
    """Whether a JSON document is the list of messages itself, without the object around it."""
    messages = [as_dict(element) for element in as_list(document)]
    return bool(messages) and all("role" in fields and "content" in fields for fields in messages)


def _conversation(body: dict[str, Any], id: str) -> Conversation:
    found = Conversation((NAME, id), model=clean_text(body.get("model")) or None)
    for message in body["messages"]:
        fields = as_dict(message)
        role = _ROLES.get(clean_text(fields.get("role")))
        if role is None:
            found.left_out["tool message" if fields.get("role") in ("tool", "function") else "other message"] += 1
            continue
        if fields.get("tool_calls") or fields.get("function_call"):
            found.left_out["tool call"] += 1
        found.lines.append(ImportedMessage(role, _text(fields.get("content"), found)))
    return found


def _text(content: object, found: Conversation) -> str:
    if not isinstance(content, list):
        return clean_text(content)
    texts = []
    for part in as_list(content):
        text = part if isinstance(part, str) else as_dict(part).get("text")
        if isinstance(text, str):
            texts.append(clean_text(text))
        else:
            found.left_out["non-text part"] += 1
    return "\n".join(texts)
