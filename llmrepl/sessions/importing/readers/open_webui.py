"""Import chats of Open WebUI: the JSON of Export Chats, or webui.db.

Format: https://docs.openwebui.com/features/chat-conversations/data-controls/import-export

A chat is a tree of messages; the visible one is the path from the root to `currentId`. Reasoning and tool calls are in
the text as `<details>` blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.conversation import (
    Conversation,
    ImportedMessage,
    clean_text,
    local_time,
    positive_number,
    usage_of,
)
from llmrepl.sessions.importing.database import open_database, read_schema
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile, as_dict, as_list, parse_json
from llmrepl.sessions.importing.tree import path_to
from llmrepl.sessions.model import UsageRecord

NAME = "open-webui"
HELP = "exported chats or webui.db of Open WebUI"
_DETAILS = re.compile(r'<details type="(reasoning|tool_calls|code_interpreter)"[^>]*>.*?</details>\n?', re.S)


def detect(file: SourceFile) -> bool:
    """Whether the file holds chats with a history of messages, or is a database with chats."""
    if any(_history(fields) is not None for fields in file.sample):
        return True
    return {"id", "user_id", "title", "chat"} <= read_schema(file).get("chat", set())


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every chat. Raises ImportFileError if the file is damaged or holds no chats."""
    if file.is_json:
        entries = [entry for document in file.documents for entry in as_list(document) or [document]]
    else:
        entries = _read_database(file)
    for number, entry in enumerate(entries, 1):
        if _history(as_dict(entry)) is not None:
            yield _conversation(entry, now).to_session(now)
        else:
            yield Skipped(f"conversation {number}", "it has no 'history' of messages")


def _read_database(file: SourceFile) -> list[dict[str, Any]]:
    tables = read_schema(file)
    wanted = [name for name in ("id", "title", "chat", "created_at") if name in tables.get("chat", ())]
    if "chat" not in wanted:
        raise ImportFileError(file.name, "it is not a database of Open WebUI, or one of a version that is not known")
    entries = []
    with open_database(file) as db:
        for row in db.execute(f"SELECT {', '.join(wanted)} FROM chat ORDER BY rowid"):
            entry = dict(row)
            try:
                entry["chat"] = parse_json(clean_text(entry["chat"]).encode())
            except ValueError:
                entry["chat"] = None
            entries.append(entry)
    return entries


def _history(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Return the messages and the id of the last shown one, of an entry with or without `chat` around them."""
    history = as_dict((as_dict(entry.get("chat")) or entry).get("history"))
    return history if isinstance(history.get("messages"), dict) else None


def _conversation(entry: dict[str, Any], now: datetime) -> Conversation:
    chat, history = as_dict(entry.get("chat")) or entry, as_dict(_history(entry))
    models = [clean_text(model) for model in as_list(chat.get("models"))]
    found = Conversation(
        (NAME, clean_text(entry.get("id")) or clean_text(chat.get("id"))),
        title=clean_text(entry.get("title")) or clean_text(chat.get("title")) or None,
        model=next(filter(None, models), None),
        created_at=local_time(_seconds(entry.get("created_at") or chat.get("timestamp")), now),
    )
    system = clean_text(as_dict(chat.get("params")).get("system")) or clean_text(chat.get("system"))
    if system:
        found.lines.append(ImportedMessage("system", system))
    nodes = history["messages"]
    path = path_to(nodes, history.get("currentId"), "parentId", "childrenIds")
    for id in path:
        _take(as_dict(nodes[id]), found, now)
    found.left_out["other version"] += sum(
        bool(clean_text(as_dict(node).get("content"))) for id, node in nodes.items() if id not in set(path)
    )
    return found


def _take(message: dict[str, Any], found: Conversation, now: datetime) -> None:
    role = clean_text(message.get("role"))
    if role not in ("user", "assistant", "system"):
        found.left_out["tool message" if role == "tool" else "other message"] += 1
        return
    text = clean_text(message.get("content"))
    if role == "assistant":
        found.left_out["tool call"] += sum(block[1] != "reasoning" for block in _DETAILS.finditer(text))
        text = _DETAILS.sub("", text).strip("\n")
        text = clean_text(as_dict(message.get("merged")).get("content")) or text
    found.left_out["attachment"] += len(as_list(message.get("files")))
    usage = as_dict(message.get("usage")) or as_dict(message.get("info"))
    at = local_time(_seconds(message.get("timestamp")), now)
    model = clean_text(message.get("model")) or None
    if role == "assistant":
        cost = positive_number(usage.get("cost"))
        found.lines.append(ImportedMessage(role, text, at=at, model=model, usage=_usage(usage), cost=cost))
    else:
        found.lines.append(ImportedMessage(role, text, at=at))


def _usage(usage: dict[str, Any]) -> UsageRecord | None:
    """Read OpenAI's names of the counts, or Ollama's."""
    details = as_dict(usage.get("prompt_tokens_details"))
    return usage_of(
        usage.get("prompt_tokens"), usage.get("completion_tokens"), details.get("cached_tokens")
    ) or usage_of(usage.get("prompt_eval_count"), usage.get("eval_count"))


def _seconds(moment: object) -> object:
    """Older versions write milliseconds."""
    return moment / 1000 if isinstance(moment, int | float) and moment > 1e11 else moment
