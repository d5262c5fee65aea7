"""Open the index file, create its tables, and replace one that is damaged or of another version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmrepl.system import files

VERSION = 6

CHECKED_BYTES = 1 << 20
"""Up to this size the structure of the file is checked whenever it is opened, which takes a few milliseconds."""

_SETTINGS = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16000;
"""
"""Checkpoints are rare, because each waits for the disk."""

_SCHEMA = f"""
CREATE TABLE directories (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, state BLOB);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, directory INTEGER NOT NULL, name BLOB NOT NULL, size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL, damaged INTEGER NOT NULL, searchable INTEGER NOT NULL DEFAULT 0, epoch REAL NOT NULL,
  model BLOB NOT NULL, turns INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL, unpriced INTEGER NOT NULL,
  parts INTEGER NOT NULL, facts TEXT NOT NULL, checksum INTEGER NOT NULL
);
CREATE UNIQUE INDEX by_name ON sessions (directory, name);
CREATE INDEX by_state ON sessions (directory, name, size, mtime_ns);
CREATE INDEX by_date ON sessions (directory, damaged, epoch DESC, name);
CREATE INDEX to_sum ON sessions (directory, damaged, parts, model, tokens, turns, cost, unpriced);
CREATE INDEX with_parts ON sessions (directory) WHERE parts;
CREATE INDEX to_search ON sessions (directory) WHERE NOT damaged AND NOT searchable;
CREATE VIRTUAL TABLE texts USING fts5 (text, content = '', columnsize = 0, tokenize = 'trigram case_sensitive 1');
INSERT INTO texts (texts, rank) VALUES ('hashsize', {64 << 20});
INSERT INTO texts (texts, rank) VALUES ('automerge', 0);
CREATE VIRTUAL TABLE trigrams USING fts5vocab (texts, row);
CREATE TABLE filled (texts INTEGER NOT NULL);
INSERT INTO filled VALUES (0);
PRAGMA user_version = {VERSION};
"""


class DamagedIndex(sqlite3.DatabaseError):
    """A row of the index does not have the values that were stored."""


class IndexUnavailable(Exception):
    """The index cannot be used; read the files instead."""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run a block in a write transaction."""
    db.execute("BEGIN IMMEDIATE")
    with db:
        yield


def open_index(path: Path) -> sqlite3.Connection:
    """Open the index, replacing a damaged file or one of another version by an empty one."""
    files.create_private(path)
    db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    try:
        db.executescript(_SETTINGS)
        if _version(db) == 0:
            _create(db)
        if _version(db) == VERSION:
            if path.stat().st_size <= CHECKED_BYTES:
                _check(db)
            return db
        db.close()
        _unlink(path)
    except sqlite3.OperationalError:  # locked, full, read-only: not damaged
        db.close()
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        db.close()
        set_aside(path)
    return open_index(path)


def _check(db: sqlite3.Connection) -> None:
    """Raise DamagedIndex if SQLite finds its own structures, such as an index of a table, to be wrong."""
    if db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise DamagedIndex("the structure of the file is damaged")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _create(db: sqlite3.Connection) -> None:
    """Create the tables, unless another process did so first."""
    with transaction(db):
        if _version(db) == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)


def set_aside(path: Path) -> None:
    """Rename a damaged index to NAME.corrupt. Raises OSError."""
    files.set_aside_derived(path, path.with_name(f"{path.name}.corrupt"))
    _unlink(path)


def _unlink(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        files.unlink_quietly(path.with_name(path.name + ending))
