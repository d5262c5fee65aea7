"""The session index: one SQLite file with a row for each session file, safe to delete at any time.

A row is valid for a file of the same size and mtime; any other file is read again. The messages are in a contentless
FTS5 table of lower-case trigrams, which maps text to row ids. Row ids are never reused, so entries of deleted rows
match nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from llmrepl.sessions.index import scan
from llmrepl.sessions.index.fingerprints import State, current_states, digest, file_states, journal_names
from llmrepl.sessions.index.full_text import BATCH, ROW_BATCH, Progress, clear_if_stale, insert_texts, make_searchable
from llmrepl.sessions.index.query import PINNED, Filters, Row, TurnGroup
from llmrepl.sessions.index.readers import FACTS, Entry, Files, read_batches
from llmrepl.sessions.index.schema import DamagedIndex, IndexUnavailable, open_index, set_aside, transaction
from llmrepl.sessions.index.search import can_index
from llmrepl.sessions.index.sql import ORDERS, near_query, quote, sql_conditions, to_bytes, to_text
from llmrepl.sessions.stats import Totals, merge_by_model, total_by_model

UNSETTLED_NS = 2_000_000_000
"""A file modified within this time before it was read may change again without a new mtime."""


_PINNED = (
    f"instr(facts, '\"{PINNED}\"') > 0 AND EXISTS (SELECT 1 FROM json_each(facts, '$[{FACTS.index('tags')}]')"
    f" WHERE value = '{PINNED}') DESC"
)
"""`ORDER BY` term of pinned sessions. The text is searched first because JSON is slow to parse."""

_MOST_TRIGRAMS = 400

_PASSING = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}
"""Result codes (https://sqlite.org/rescode.html) of a file that is not damaged; any other one means that it is."""

_ONLY = """
  (SELECT value AS number FROM json_each(?) UNION
   SELECT id FROM sessions WHERE directory = ? AND NOT damaged AND NOT searchable) CROSS JOIN sessions ON id = number
"""
"""Selects rows by id, and rows whose text is not indexed yet, without a full scan."""


class Index:
    """The index file at `path`, created if missing. `time_ns` is the clock for file times.

    Every method may raise IndexUnavailable. A damaged file is then renamed, so that the next call creates a new one.
    """

    def __init__(self, path: Path, time_ns: Callable[[], int]) -> None:
        self._path = path
        self._time_ns = time_ns
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        if self._db:
            self._db.close()
            self._db = None

    def refresh(self, directory: Path, progress: Progress, *, texts: bool = False) -> None:
        """Index the changed files in `directory`; with `texts`, also their messages. Interruptible and resumable."""
        with self._connection() as db:
            number = _directory_id(db, directory)
            files = list(file_states(directory))
            seen = digest(files)
            if db.execute("SELECT state FROM directories WHERE id = ?", (number,)).fetchone() != (seen,):
                self._update(db, directory, number, set(files), progress, texts=texts)
                _record_state(db, number, set(files), seen)
            if texts:
                make_searchable(db, directory, number, progress)

    def rows(
        self,
        directory: Path,
        filters: Filters,
        sort: str = "date",
        ids: Iterable[int] | None = None,
        *,
        pinned_first: bool = False,
    ) -> Iterator[tuple[int | None, Row]]:
        """Yield the valid sessions that pass `filters`, in order, each with its row id.

        The row id is None if the text is not indexed yet. `ids` restricts the result to these rows and those without an
        id.
        """
        where, values = sql_conditions(filters)
        with self._connection() as db:
            number = _directory_id(db, directory)
            place, values = "sessions", [number, *values]
            if ids is not None:
                place, values = _ONLY, [json.dumps(list(ids)), *values[:1], *values]
            order = f"{_PINNED}, {ORDERS[sort]}" if pinned_first else ORDERS[sort]
            found = db.execute(
                f"SELECT id, searchable, name, facts, checksum FROM {place} WHERE directory = ? AND damaged = 0{where}"
                f" ORDER BY {order}",
                values,
            )
            for id, searchable, *stored in found:
                row = _row(*stored)
                if row.damaged:
                    raise DamagedIndex("a session is marked as valid, but is not")
                if filters.match(row):
                    yield id if searchable else None, row

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run a block in one read transaction, isolated from the writes of other shells."""
        with self._connection() as db:
            db.execute("BEGIN")
            try:
                yield
            finally:
                if db.in_transaction:
                    db.rollback()

    def sums(self, directory: Path, filters: Filters) -> dict[str, Totals]:
        """Return the totals of each model over the sessions that pass `filters`.

        `filters` may not restrict tag or system prompt, which SQL cannot check.
        """
        where, values = sql_conditions(filters)
        with self._connection() as db:
            values = [_directory_id(db, directory), *values]
            found = db.execute(
                "SELECT model, count(*), sum(tokens), sum(turns), sum(cost), sum(unpriced) FROM sessions"
                f" WHERE directory = ? AND damaged = 0 AND NOT parts{where} GROUP BY model",
                values,
            )
            totals = {_model(name): Totals(*figures) for name, *figures in found}
            found = db.execute(
                f"SELECT name, facts, checksum FROM sessions WHERE directory = ? AND damaged = 0 AND parts{where}",
                values,
            )
            return merge_by_model(
                [totals, total_by_model((_row(*one) for one in found), partial(scan.exists, directory))]
            )

    def rows_by_name(self, directory: Path, names: Iterable[str]) -> dict[str, Row]:
        """Return the last indexed rows of these sessions, valid or damaged."""
        with self._connection() as db:
            number = _directory_id(db, directory)
            one = "SELECT name, facts, checksum FROM sessions WHERE directory = ? AND name = ?"
            found = [db.execute(one, (number, to_bytes(name))) for name in names]
            return {row.name: row for rows in found for row in (_row(*values) for values in rows)}

    def tags(self, directory: Path) -> dict[str, int]:
        """Return each tag with the number of sessions that have it."""
        place = f"$[{FACTS.index('tags')}]"
        with self._connection() as db:
            found = db.execute(
                "SELECT tag.value, count(*) FROM sessions, json_each(facts, ?) AS tag"
                " WHERE directory = ? AND NOT damaged GROUP BY tag.value",
                (place, _directory_id(db, directory)),
            )
            return dict(found)

    def damaged(self, directory: Path) -> list[Row]:
        """Return the unreadable files, sorted by name."""
        with self._connection() as db:
            found = db.execute(
                "SELECT name, facts, checksum FROM sessions WHERE directory = ? AND damaged = 1 ORDER BY name",
                (_directory_id(db, directory),),
            )
            rows = [_row(*stored) for stored in found]
            if not all(row.damaged for row in rows):
                raise DamagedIndex("a session is marked as damaged, but is not")
            return rows

    def match(self, wanted: str, limit: int = -1, *, nearly: bool = False) -> list[int] | None:
        """Return the row ids of sessions, in all directories, with `wanted` in a message, ignoring case.

        `nearly` is several times faster but may add false positives: the trigrams are near each other in any order.
        Returns None if the index cannot answer: `wanted` is empty, has characters that are not indexed, or is so short
        that it starts too many trigrams.
        """
        wanted = wanted.lower()
        if not wanted or not can_index(wanted):
            return None
        with self._connection() as db:
            parts = [wanted]
            if len(wanted) < 3:
                beginning = (wanted, f"{wanted}\U0010ffff", _MOST_TRIGRAMS + 1)
                found = db.execute("SELECT term FROM trigrams WHERE term >= ? AND term < ? LIMIT ?", beginning)
                parts = [term for (term,) in found]
            if len(parts) > _MOST_TRIGRAMS:
                return None
            query = near_query(wanted) if nearly and len(wanted) > 5 else " OR ".join(map(quote, parts))
            rows = db.execute("SELECT rowid FROM texts WHERE texts MATCH ? LIMIT ?", (query or '""', limit))
            return [number for (number,) in rows]

    def _update(
        self,
        db: sqlite3.Connection,
        directory: Path,
        number: int,
        files: set[State],
        progress: Progress,
        *,
        texts: bool,
    ) -> None:
        """Remove the rows of deleted files and read new or changed ones, with `texts` also their messages."""
        known = _indexed_states(db, number)
        new = sorted(files - known)
        gone = {name for name, _, _ in known} - {name for name, _, _ in files}
        if gone:
            with _modify_directory(db, number):
                exist = current_states(directory, gone)
                values = [(number, name) for name in gone if name not in exist]
                db.executemany("DELETE FROM sessions WHERE directory = ? AND name = ?", values)
        if texts and new:
            clear_if_stale(db)
        journals = journal_names(directory)
        size = BATCH if texts else ROW_BATCH
        batches = [new[at : at + size] for at in range(0, len(new), size)]
        began, done = self._time_ns(), 0
        wanted = [Files(directory, [name for name, _, _ in batch], journals, texts) for batch in batches]
        for at, entries in read_batches(wanted):
            _store(db, directory, number, batches[at], entries, began)
            done += len(batches[at])
            progress("reading sessions", done, len(new))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                self._db = open_index(self._path)
            yield self._db
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            self.close()
            if _is_damage(error):
                with suppress(OSError):
                    set_aside(self._path)
            raise IndexUnavailable(str(error)) from error


def _directory_id(db: sqlite3.Connection, directory: Path) -> int:
    """Return the id of a directory. Adding one also removes directories that no longer exist."""
    path = os.fsencode(os.path.realpath(directory))
    found = db.execute("SELECT id FROM directories WHERE path = ?", (path,)).fetchone()
    if found:
        return int(found[0])
    with transaction(db):
        gone = [row[:1] for row in db.execute("SELECT id, path FROM directories") if not os.path.isdir(row[1])]
        db.executemany("DELETE FROM sessions WHERE directory = ?", gone)
        db.executemany("DELETE FROM directories WHERE id = ?", gone)
        db.execute("INSERT OR IGNORE INTO directories (path) VALUES (?)", (path,))
    return _directory_id(db, directory)


@contextmanager
def _modify_directory(db: sqlite3.Connection, number: int) -> Iterator[None]:
    """Open a transaction that changes rows of a directory and invalidates its stored state."""
    with transaction(db):
        db.execute("UPDATE directories SET state = NULL WHERE id = ?", (number,))
        yield


def _store(
    db: sqlite3.Connection, directory: Path, number: int, batch: list[State], entries: list[Entry], began: int
) -> None:
    """Store the entry of each file that has not changed since it was listed. Rows of a later state are not replaced.

    A file modified within UNSETTLED_NS before `began` gets no mtime, so that it is read again.
    """
    with _modify_directory(db, number):
        current = current_states(directory, [name for name, _, _ in batch])
        stored = [one for one in zip(batch, entries, strict=True) if current.get(one[0][0]) == one[0]]
        db.executemany(
            "INSERT OR REPLACE INTO sessions (directory, name, size, mtime_ns, damaged, epoch, model, turns,"
            f" tokens, cost, unpriced, parts, facts, checksum) VALUES ({', '.join('?' * 14)})",
            [
                (
                    number,
                    name,
                    size,
                    mtime_ns if abs(began - mtime_ns) > UNSETTLED_NS else -1,
                    entry.damaged,
                    entry.epoch,
                    to_bytes(entry.model),
                    *entry[3:-1],
                    _checksum(name, entry.facts),
                )
                for (name, size, mtime_ns), entry in stored
            ],
        )
        one = "SELECT id FROM sessions WHERE directory = ? AND name = ?"
        texts = [(name, entry.text) for (name, _, _), entry in stored if entry.text is not None]
        insert_texts(db, [(db.execute(one, (number, name)).fetchone()[0], text) for name, text in texts])


def _record_state(db: sqlite3.Connection, number: int, files: set[State], seen: bytes) -> None:
    """Store the directory's state if it matches the rows."""
    with transaction(db):
        if _indexed_states(db, number) == files:
            db.execute("UPDATE directories SET state = ? WHERE id = ?", (seen, number))


def _indexed_states(db: sqlite3.Connection, number: int) -> set[State]:
    return set(db.execute("SELECT name, size, mtime_ns FROM sessions WHERE directory = ?", (number,)))


def _checksum(name: bytes, facts: str) -> int:
    return zlib.crc32(facts.encode(), zlib.crc32(name))


def _row(name: bytes, facts: str, checksum: int) -> Row:
    """Build a row from its stored values. Raises DamagedIndex if they are not those that were stored."""
    if not isinstance(name, bytes) or not isinstance(facts, str) or _checksum(name, facts) != checksum:
        raise DamagedIndex("a row has another checksum")
    row = Row(to_text(name), *json.loads(facts))
    row.tags = tuple(row.tags)
    row.parts = tuple(TurnGroup(*part) for part in row.parts)
    return row


def _model(name: bytes) -> str:
    try:
        return to_text(name)
    except (UnicodeDecodeError, AttributeError) as error:
        raise DamagedIndex("a model is no text") from error


def _is_damage(error: Exception) -> bool:
    """Whether an error means that the file is damaged, not that it is locked, full or read-only."""
    if not isinstance(error, sqlite3.Error):
        return isinstance(error, UnicodeDecodeError)
    return isinstance(error, DamagedIndex) or getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASSING
