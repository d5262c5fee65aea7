"""Full-text search over the messages of all indexed sessions."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmrepl.sessions.index import scan, search
from llmrepl.sessions.index.schema import transaction
from llmrepl.sessions.index.sql import to_text

BATCH = 1000
"""Files read per transaction."""

SPARE_TEXTS = 10_000
"""Stale texts tolerated in the index, in addition to twice the number of live ones."""

_BETWEEN = "\ufffd"
"""Separates messages in the indexed text, and replaces characters that SQLite cannot store."""

_NOT_HELD = "[\0\ud800-\udfff\ufffd-\uffff]"

Progress = Callable[[str, int, int], None]
"""Called with a description of the work, the amount done and the total."""


def make_searchable(db: sqlite3.Connection, directory: Path, number: int, progress: Progress) -> None:
    """Index the messages of sessions that only have a row so far."""
    missing = "SELECT id, name FROM sessions WHERE directory = ? AND NOT damaged AND NOT searchable"
    if db.execute(f"{missing} LIMIT 1", (number,)).fetchone():
        _clear_if_stale(db)
    todo = db.execute(missing, (number,)).fetchall()
    for done in range(0, len(todo), BATCH):
        texts = []
        for id, name in todo[done : done + BATCH]:
            _, data = scan.read(directory / to_text(name))
            if data is not None:
                texts.append((id, _searchable(data)))
        with transaction(db):
            still = {
                id
                for (id,) in db.execute(
                    "SELECT id FROM sessions WHERE NOT searchable AND id IN (SELECT value FROM json_each(?))",
                    (json.dumps([id for id, _ in texts]),),
                )
            }
            db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", [t for t in texts if t[0] in still])
            db.executemany("UPDATE sessions SET searchable = 1 WHERE id = ?", [(id,) for id in still])
            db.execute("UPDATE filled SET texts = texts + ?", (len(still),))
        progress("making sessions searchable", min(done + BATCH, len(todo)), len(todo))


def can_index(text: str) -> bool:
    """Whether the index can store every character of a text."""
    return not re.search(_NOT_HELD, text)


def _clear_if_stale(db: sqlite3.Connection) -> None:
    """Empty the full-text table once most of its entries belong to deleted rows."""
    with transaction(db):
        (filled,) = db.execute("SELECT texts FROM filled").fetchone()
        (live,) = db.execute("SELECT count(*) FROM sessions WHERE searchable").fetchone()
        if filled > 2 * live + SPARE_TEXTS:
            db.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
            db.execute("UPDATE sessions SET searchable = 0")
            db.execute("UPDATE filled SET texts = 0")


def _searchable(data: dict[str, Any]) -> str:
    """Join all messages; a final separator makes every character start a trigram."""
    texts = [re.sub(_NOT_HELD, _BETWEEN, text.lower()) for _, _, text in search.messages(data)]
    return _BETWEEN.join([*texts, _BETWEEN])
