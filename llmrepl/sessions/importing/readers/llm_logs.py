"""Import logs.db of simonw's llm: https://llm.datasette.io/en/stable/logging.html

Up to version 0.2x it stores `conversations` of `responses`; later versions store `threads`, each the tip of a chain of
`messages` made of `parts`, with usage in `turns`. An upgraded database has both; a thread that continues an older
conversation has its id and all of its messages.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.database import MAX_TEXT, open_database, read_schema
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile, as_dict, as_list, parse_json
from llmrepl.sessions.model import UsageRecord

NAME = "llm"
HELP = "logs.db of simonw's llm"
_MAX_TOKENS = 1 << 53
_OF_RESPONSES = (
    "id", "conversation_id", "model", "prompt", "system", "response", "duration_ms", "datetime_utc", "input_tokens",
    "output_tokens",
)  # fmt: skip


def detect(file: SourceFile) -> bool:
    """Whether the file is a log of llm."""
    tables = read_schema(file)
    return "_llm_migrations" in tables or _has_threads(tables) or _has_responses(tables)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation in the database. Raises ImportFileError if it is damaged or not a log of llm."""
    tables = read_schema(file)
    if not _has_threads(tables) and not _has_responses(tables):
        raise ImportFileError(file.name, "it is not a log of llm, or one of a version that is not known")
    with open_database(file) as db:
        seen: set[str] = set()
        for found in _threads(db, now) if _has_threads(tables) else ():
            seen.add(found.origin[1])
            yield found.to_session(now)
        for found in _conversations(db, now, set(tables)) if _has_responses(tables) else ():
            if found.origin[1] not in seen:
                yield found.to_session(now)


def _has_threads(tables: Collection[str]) -> bool:
    return {"threads", "turns", "messages", "parts", "fragments"} <= set(tables)


def _has_responses(tables: Collection[str]) -> bool:
    return {"conversations", "responses"} <= set(tables)


def _conversations(db: sqlite3.Connection, now: datetime, tables: set[str]) -> Iterator[Conversation]:
    """Read the older tables, in which a row of `responses` is a prompt and its reply."""
    names = {row["id"]: row["name"] for row in db.execute("SELECT id, name FROM conversations")}
    columns = [row["name"] for row in db.execute("PRAGMA table_info(responses)") if row["name"] in _OF_RESPONSES]
    rows = db.execute(
        f"SELECT {', '.join(columns)} FROM responses ORDER BY coalesce(conversation_id, id), datetime_utc, id"
    )
    extras = [
        (noun, dict(db.execute(f"SELECT response_id, count(*) FROM {table} GROUP BY response_id").fetchall()))
        for table, noun in (("prompt_attachments", "attachment"), ("tool_calls", "tool call"))
        if table in tables
    ]
    found: Conversation | None = None
    system = ""
    for row in map(dict, rows):
        id = clean_text(row.get("conversation_id")) or clean_text(row.get("id"))
        if found is None or found.origin[1] != id:
            if found:
                yield found
            found, system = Conversation((NAME, id), title=clean_text(names.get(row.get("conversation_id")))), ""
        text = _with_fragments(db, row, "system", tables)
        if text and text != system:
            found.lines.append(ImportedMessage("system", text))
            system = text
        at = local_time(row.get("datetime_utc"), now)
        found.lines.append(ImportedMessage("user", _with_fragments(db, row, "prompt", tables), at=at))
        found.lines.append(_reply(clean_text(row.get("response")), row, at))
        for noun, numbers in extras:
            found.left_out[noun] += numbers.get(row["id"], 0)
    if found:
        yield found


def _with_fragments(db: sqlite3.Connection, row: dict[str, Any], kind: str, tables: set[str]) -> str:
    """Return the prompt or system prompt as the model saw it: its fragments, then its own text."""
    texts = []
    if {f"{kind}_fragments", "fragments"} <= tables:
        query = (
            f"SELECT content FROM {kind}_fragments JOIN fragments ON fragments.id = fragment_id"
            ' WHERE response_id = ? ORDER BY "order"'
        )
        texts = _take_bounded(clean_text(fragment["content"]) for fragment in db.execute(query, (row["id"],)))
    own = clean_text(row.get(kind))
    return "\n".join([*texts, own] if own else texts)


def _take_bounded(texts: Iterable[str]) -> list[str]:
    """Collect texts up to MAX_TEXT, since fragments can repeat. Raises DataError as SQLite does for a long value."""
    collected, size = [], 0
    for text in texts:
        collected.append(text)
        size += len(text)
        if size > MAX_TEXT:
            raise sqlite3.DataError("a text is too long")
    return collected


def _threads(db: sqlite3.Connection, now: datetime) -> Iterator[Conversation]:
    wanted = "thread_id, tip_message_hash, model, duration_ms, datetime_utc, input_tokens, output_tokens"
    turns = {row["tip_message_hash"]: dict(row) for row in db.execute(f"SELECT {wanted} FROM turns")}
    by_thread = Counter(row["thread_id"] for row in turns.values())
    for thread in db.execute("SELECT id, name, tip_message_hash FROM threads ORDER BY id"):
        found = Conversation((NAME, clean_text(thread["id"])), title=clean_text(thread["name"]))
        chain = _chain(db, thread["tip_message_hash"])
        for message in chain:
            text = _text_of(db, message["hash"], found)
            role = message["role"]
            if role == "assistant":
                row = turns.get(message["hash"], {})
                found.lines.append(_reply(text, row, local_time(row.get("datetime_utc"), now)))
            elif role in ("user", "system"):
                found.lines.append(ImportedMessage(role, text))
            else:
                found.left_out["tool message"] += 1
        on_chain = (turns.get(message["hash"], {}).get("thread_id") for message in chain)
        found.left_out["other version"] += by_thread[thread["id"]] - sum(id == thread["id"] for id in on_chain)
        yield found


def _chain(db: sqlite3.Connection, tip: object) -> list[sqlite3.Row]:
    """Return the messages from the first to `tip`."""
    chain: list[sqlite3.Row] = []
    seen: set[object] = set()
    while tip is not None and tip not in seen:
        seen.add(tip)
        row = db.execute("SELECT hash, parent_hash, role FROM messages WHERE hash = ?", (tip,)).fetchone()
        if row is None:
            break
        chain.append(row)
        tip = row["parent_hash"]
    return chain[::-1]


def _text_of(db: sqlite3.Connection, message: object, found: Conversation) -> str:
    """Return the text of a message, with referenced fragments."""
    texts = []
    for part in db.execute(
        "SELECT type, text, payload FROM parts WHERE message_hash = ? ORDER BY position", (message,)
    ):
        if part["type"] == "text":
            texts.append(clean_text(part["text"]) or _resolve_text_ref(db, part["payload"]))
        elif part["type"] != "reasoning":
            noun = {"attachment": "attachment", "tool_call": "tool call"}.get(clean_text(part["type"]), "non-text part")
            found.left_out[noun] += 1
    return "\n".join(text for text in texts if text)


def _resolve_text_ref(db: sqlite3.Connection, payload: object) -> str:
    try:
        pieces = as_list(as_dict(parse_json(clean_text(payload).encode())).get("text_ref"))
    except ValueError:
        return ""
    return "".join(_take_bounded(_piece(db, as_dict(piece)) for piece in pieces))


def _piece(db: sqlite3.Connection, piece: dict[str, Any]) -> str:
    if not isinstance(piece.get("fragment"), int):
        return clean_text(piece.get("literal"))
    try:
        row = db.execute("SELECT content FROM fragments WHERE id = ?", (piece["fragment"],)).fetchone()
    except OverflowError:
        return ""
    return clean_text(row["content"]) if row else ""


def _reply(text: str, row: dict[str, Any], at: str | None) -> ImportedMessage:
    """Build a reply with model, usage and latency from a row of `responses` or `turns`."""
    read, written = _tokens(row.get("input_tokens")), _tokens(row.get("output_tokens"))
    usage = None
    if read is not None and written is not None:
        usage = UsageRecord(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
    took = row.get("duration_ms")
    return ImportedMessage(
        "assistant",
        text,
        at=at,
        model=clean_text(row.get("model")) or None,
        usage=usage,
        latency_ms=float(took) if isinstance(took, int) and 0 <= took < _MAX_TOKENS else None,
    )


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < _MAX_TOKENS else None
