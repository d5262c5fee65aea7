"""Import Claude.ai data exports: the `.zip`, or its `conversations.json`, a list of objects with `chat_messages`.

Anthropic documents how to get an export but not its format; this reads exports since 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile, as_dict, as_list

NAME = "claude.ai"
HELP = "Claude.ai data export, as .zip or conversations.json"
_ROLES = {"human": "user", "assistant": "assistant"}


def detect(file: SourceFile) -> bool:
    """Whether the file holds conversations with `chat_messages`."""
    return any("chat_messages" in fields for fields in file.sample)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation of an export. Raises ImportFileError if the file is not one."""
    for document in file.documents:
        if isinstance(document, ValueError):
            raise ImportFileError(file.name, str(document))
        for number, entry in enumerate(document if isinstance(document, list) else [document], 1):
            if clean_text(as_dict(entry).get("uuid")) and isinstance(entry.get("chat_messages"), list):
                yield _conversation(entry, now).to_session(now)
            else:
                yield Skipped(f"conversation {number}", "it has no 'chat_messages'")


def _conversation(entry: dict[str, Any], now: datetime) -> Conversation:
    found = Conversation(
        (NAME, clean_text(entry["uuid"])),
        title=clean_text(entry.get("name")) or None,
        model=clean_text(entry.get("model")) or None,
        created_at=local_time(entry.get("created_at"), now),
    )
    for message in map(as_dict, entry["chat_messages"]):
        role = _ROLES.get(clean_text(message.get("sender")))
        if role is None:
            found.left_out["other message"] += 1
            continue
        at = local_time(message.get("created_at"), now)
        texts = [_text(message, found), *_attachments(message, found)]
        found.lines.append(ImportedMessage(role, "\n\n".join(text for text in texts if text), at=at))
    return found


def _text(message: dict[str, Any], found: Conversation) -> str:
    """Return the text of a message with its artifacts, without reasoning; older exports have only `text`."""
    if not isinstance(message.get("content"), list) or not message["content"]:
        return clean_text(message.get("text"))
    texts = []
    for part in map(as_dict, message["content"]):
        kind = part.get("type")
        if kind == "text":
            texts.append(clean_text(part.get("text")))
        elif kind == "tool_use" and (artifact := clean_text(as_dict(part.get("input")).get("content"))):
            texts.append(artifact)
        elif kind == "tool_use":
            found.left_out["tool call"] += 1
        elif kind == "tool_result":
            found.left_out["tool message"] += 1
        elif kind not in ("thinking", "redacted_thinking"):
            found.left_out["non-text part"] += 1
    return "\n\n".join(text for text in texts if text)


def _attachments(message: dict[str, Any], found: Conversation) -> list[str]:
    """Return the text of each attachment under its name; attachments without text are counted, each once."""
    texts, names, unread = [], set(), []
    for attachment in map(as_dict, as_list(message.get("attachments"))):
        name = clean_text(attachment.get("file_name"))
        if content := clean_text(attachment.get("extracted_content")):
            texts.append(f"{name}:\n{content}" if name else content)
            names.add(name)
        else:
            unread.append(name)
    unread += [clean_text(as_dict(file).get("file_name")) for file in as_list(message.get("files"))]
    found.left_out["attachment"] += sum(name not in names for name in unread)
    return texts
