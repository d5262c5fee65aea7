"""Full-text search over the messages of all indexed sessions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from llmrepl.sessions.index.fingerprints import journal_names
from llmrepl.sessions.index.readers import Files, read_batches
from llmrepl.sessions.index.schema import transaction

BATCH, ROW_BATCH = 1000, 2500
"""Files per transaction, with and without texts. Other shells wait for it, so it must take well below a second."""

SPARE_TEXTS = 10_000
"""Stale texts tolerated in the index, in addition to twice the number of live ones."""

Progress = Callable[[str, int, int], None]
"""Called with a description of the work, the amount done and the total."""


def make_searchable(db: sqlite3.Connection, directory: Path, number: int, progress: Progress) -> None:
    """Index the messages of sessions that only have a row so far."""
    missing = "SELECT id, name FROM sessions WHERE directory = ? AND NOT damaged AND NOT searchable"
    if db.execute(f"{missing} LIMIT 1", (number,)).fetchone():
        clear_if_stale(db)
    todo = db.execute(missing, (number,)).fetchall()
    batches = [todo[at : at + BATCH] for at in range(0, len(todo), BATCH)]
    journals = journal_names(directory) if todo else set()
    wanted = [Files(directory, [name for _, name in batch], journals, texts=True) for batch in batches]
    done = 0
    for at, entries in read_batches(wanted):
        texts = [(id, entry.text) for (id, _), entry in zip(batches[at], entries, strict=True)]
        with transaction(db):
            insert_texts(db, [(id, text) for id, text in texts if text is not None])
        done += len(texts)
        progress("making sessions searchable", done, len(todo))


def insert_texts(db: sqlite3.Connection, texts: list[tuple[int, str]]) -> None:
    """Insert the texts of rows that exist and have none; each text comes with its row id."""
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


def clear_if_stale(db: sqlite3.Connection) -> None:
    """Empty the full-text table once most of its entries belong to deleted rows."""
    with transaction(db):
        (filled,) = db.execute("SELECT texts FROM filled").fetchone()
        (live,) = db.execute("SELECT count(*) FROM sessions WHERE searchable").fetchone()
        if filled > 2 * live + SPARE_TEXTS:
            db.execute("INSERT INTO texts (texts) VALUES ('delete-all')")
            db.execute("UPDATE sessions SET searchable = 0")
            db.execute("UPDATE filled SET texts = 0")
