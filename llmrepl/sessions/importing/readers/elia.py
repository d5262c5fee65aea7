"""Import elia.sqlite of elia: chats of messages. https://github.com/darrenburns/elia"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.database import open_database, read_schema
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile

NAME = "elia"
HELP = "elia.sqlite of elia"
_CHAT = {"id", "model", "title", "started_at"}
_MESSAGE = {"id", "chat_id", "role", "content", "timestamp", "model"}


def detect(file: SourceFile) -> bool:
    """Whether the file is a database with chats and their messages."""
    tables = read_schema(file)
    return "started_at" in tables.get("chat", ()) and "chat_id" in tables.get("message", ())


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every chat, archived ones too. Raises ImportFileError if it is damaged or not a database of elia."""
    tables = read_schema(file)
    if not (tables.get("chat", set()) >= _CHAT and tables.get("message", set()) >= _MESSAGE):
        raise ImportFileError(file.name, "it is not a database of elia, or one of a version that is not known")
    with open_database(file) as db:
        for chat in db.execute("SELECT id, model, title, started_at FROM chat ORDER BY id").fetchall():
            begun = clean_text(chat["started_at"])
            found = Conversation(
                (NAME, f"{chat['id']} {begun}"),
                title=clean_text(chat["title"]) or None,
                model=clean_text(chat["model"]) or None,
                created_at=local_time(begun, now),
            )
            query = "SELECT role, content, timestamp, model FROM message WHERE chat_id = ? ORDER BY timestamp, id"
            for message in db.execute(query, (chat["id"],)):
                role = clean_text(message["role"])
                if role not in ("user", "assistant", "system"):
                    found.left_out["tool message" if role in ("tool", "function") else "other message"] += 1
                    continue
                model = clean_text(message["model"]) or None if role == "assistant" else None
                at = local_time(clean_text(message["timestamp"]), now)
                found.lines.append(ImportedMessage(role, clean_text(message["content"]), at=at, model=model))
            yield found.to_session(now)
