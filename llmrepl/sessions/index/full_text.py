"""The text of all messages in the index, by which sessions are found."""

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
"""How many files are read for one transaction."""

SPARE_TEXTS = 10_000
"""How many texts of rows that are gone may be in the index, beside twice those that are not."""

_BETWEEN = "\ufffd"
"""Stands between messages in the text of a session, and for what SQLite cannot hold."""

_NOT_HELD = "[\0\ud800-\udfff\ufffd-\uffff]"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


def make_searchable(db: sqlite3.Connection, directory: Path, number: int, progress: Progress) -> None:
    """Read the text of the sessions of which only the row was read so far."""
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
    """Whether the index can hold all characters of a text."""
    return not re.search(_NOT_HELD, text)


def _clear_if_stale(db: sqlite3.Connection) -> None:
    """Begin the texts anew once most of them are of rows that are gone."""
    with transaction(db):
        (filled,) = db.execute("SELECT texts FROM filled").fetchone()
        (live,) = db.execute("SELECT count(*) FROM sessions WHERE searchable").fetchone()
        if filled > 2 * live + SPARE_TEXTS:
            db.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
            db.execute("UPDATE sessions SET searchable = 0")
            db.execute("UPDATE filled SET texts = 0")


def _searchable(data: dict[str, Any]) -> str:
    """The text of all messages; something follows the last one, so that each character begins a trigram."""
    texts = [re.sub(_NOT_HELD, _BETWEEN, text.lower()) for _, _, text in search.messages(data)]
    return _BETWEEN.join([*texts, _BETWEEN])
