"""Import ShareGPT files: JSON or JSONL of objects with `conversations`, a list of `from` and `value`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import SourceFile, as_dict

NAME = "sharegpt"
HELP = "ShareGPT JSON or JSONL"
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def detect(file: SourceFile) -> bool:
    """Whether the file holds objects with `conversations`."""
    return any(isinstance(fields.get("conversations"), list) for fields in file.sample)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield every conversation, identified by its hash. Raises ImportFileError."""
    number = 0
    for document in file.documents:
        for entry in document if isinstance(document, list) else [document]:
            number += 1
            where = f"conversation {number}"
            messages = as_dict(entry).get("conversations")
            if isinstance(entry, ValueError):
                yield Skipped(where, str(entry))
            elif not isinstance(messages, list):
                yield Skipped(where, "it has no 'conversations'")
            else:
                id = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
                found = Conversation((NAME, id))
                for message in map(as_dict, messages):
                    if role := _ROLES.get(clean_text(message.get("from"))):
                        found.lines.append(ImportedMessage(role, clean_text(message.get("value"))))
                    else:
                        found.left_out["other message"] += 1
                yield found.to_session(now)
