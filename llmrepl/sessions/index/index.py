"""The index: what the files of sessions directories hold, in one SQLite file that may be deleted at any time.

A row stands for a file as it was when it had a size and an mtime; a file that has others is read again. The text of all
messages is in an FTS5 table of trigrams, lower-cased and without its contents: it says in which sessions a text is.
What it still says of a row that is gone refers to nothing, as no number is given twice.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from llmrepl.sessions.index import scan
from llmrepl.sessions.index.fingerprints import State, digest, file_state, file_states
from llmrepl.sessions.index.full_text import BATCH, Progress, can_index, make_searchable
from llmrepl.sessions.index.query import Filters, Row
from llmrepl.sessions.index.schema import IndexUnavailable, open_index, set_aside, transaction
from llmrepl.sessions.index.sql import ORDERS, near_query, quote, sql_conditions, to_bytes, to_text
from llmrepl.sessions.stats import Totals

UNSETTLED_NS = 2_000_000_000
"""A file that was changed so shortly before it was read may change once more without another mtime."""

_FACTS = tuple(field.name for field in fields(Row))[1:]
_facts = attrgetter(*_FACTS)
"""What is known of a session besides its name, in the order in which it is kept."""

_MOST_TRIGRAMS = 400

_ONLY = """
  (SELECT value AS number FROM json_each(?) UNION
   SELECT id FROM sessions WHERE directory = ? AND NOT damaged AND NOT searchable) CROSS JOIN sessions ON id = number
"""
"""The rows with some numbers and those that have no text yet, without going through all others."""


class Index:
    """The index at `path`, made when it is missing; `time_ns` is the clock that dates files. Any method may raise
    Unusable; a file that is damaged is moved aside then, so that the next call makes a new one."""

    def __init__(self, path: Path, time_ns: Callable[[], int]) -> None:
        self._path = path
        self._time_ns = time_ns
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()
            self._db = None

    def refresh(self, directory: Path, progress: Progress, *, texts: bool = False) -> None:
        """Read what changed in `directory`, and with `texts` what has not been made searchable yet.

        It can be interrupted at any time; the next call goes on from there.
        """
        with self._connection() as db:
            number = _directory_id(db, directory)
            files = list(file_states(directory))
            seen = digest(files)
            if db.execute("SELECT state FROM directories WHERE id = ?", (number,)).fetchone() != (seen,):
                self._update(db, directory, number, set(files), progress)
                _record_state(db, number, set(files), seen)
            if texts:
                make_searchable(db, directory, number, progress)

    def rows(
        self, directory: Path, filters: Filters, sort: str = "date", ids: Iterable[int] | None = None
    ) -> Iterator[tuple[int | None, Row]]:
        """The sound sessions that `filters` let through, in order, each with its number, None if `matching` does not
        know its text. With `ids` only those, and those without a number."""
        where, values = sql_conditions(filters)
        with self._connection() as db:
            number = _directory_id(db, directory)
            place, values = "sessions", [number, *values]
            if ids is not None:
                place, values = _ONLY, [json.dumps(list(ids)), *values[:1], *values]
            found = db.execute(
                f"SELECT id, searchable, name, facts FROM {place} WHERE directory = ? AND damaged = 0{where}"
                f" ORDER BY {ORDERS[sort]}",
                values,
            )
            for id, searchable, name, facts in found:
                row = _row(name, facts)
                if filters.match(row):
                    yield id if searchable else None, row

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A block in which everything is answered as of one moment, whatever other shells write meanwhile."""
        with self._connection() as db:
            db.execute("BEGIN")
            try:
                yield
            finally:
                if db.in_transaction:
                    db.rollback()

    def sums(self, directory: Path, filters: Filters) -> dict[str, Totals]:
        """For each model what the sessions come to that `filters` let through; these may not ask for more than figures,
        dates and models."""
        where, values = sql_conditions(filters)
        with self._connection() as db:
            found = db.execute(
                "SELECT model, count(*), sum(tokens), sum(turns), sum(cost), sum(unpriced) FROM sessions"
                f" WHERE directory = ? AND damaged = 0{where} GROUP BY model",
                [_directory_id(db, directory), *values],
            )
            return {to_text(model): Totals(*figures) for model, *figures in found}

    def rows_by_name(self, directory: Path, names: Iterable[str]) -> dict[str, Row]:
        """What was last known of the sessions with these names, sound or not."""
        with self._connection() as db:
            number = _directory_id(db, directory)
            one = "SELECT name, facts FROM sessions WHERE directory = ? AND name = ?"
            found = [db.execute(one, (number, to_bytes(name))) for name in names]
            return {row.name: row for rows in found for row in (_row(*values) for values in rows)}

    def tags(self, directory: Path) -> dict[str, int]:
        """The tags, as they are written, with how many sessions were last known to have each."""
        place = f"$[{_FACTS.index('tags')}]"
        with self._connection() as db:
            found = db.execute(
                "SELECT tag.value, count(*) FROM sessions, json_each(facts, ?) AS tag"
                " WHERE directory = ? AND NOT damaged GROUP BY tag.value",
                (place, _directory_id(db, directory)),
            )
            return dict(found)

    def damaged(self, directory: Path) -> list[Row]:
        """The files that cannot be read, by name."""
        with self._connection() as db:
            found = db.execute(
                "SELECT name, facts FROM sessions WHERE directory = ? AND damaged = 1 ORDER BY name",
                (_directory_id(db, directory),),
            )
            return [_row(name, facts) for name, facts in found]

    def match(self, wanted: str, limit: int = -1, *, nearly: bool = False) -> list[int] | None:
        """The numbers of the sessions, of all directories, with `wanted` in a message whatever its case.

        `nearly` is several times as fast, and may give a few more: its trigrams stand as close together, in any order.
        None if that cannot be told from here: nothing is wanted, or characters that are not held, or a text of one or
        two characters that may begin too many trigrams.
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
        self, db: sqlite3.Connection, directory: Path, number: int, files: set[State], progress: Progress
    ) -> None:
        """Forget the files that are gone, and read those that are new or changed.

        Another shell may have seen the directory later and be done with it: what it found is not replaced.
        """
        known = _indexed_states(db, number)
        new = sorted(files - known)
        gone = {name for name, _, _ in known} - {name for name, _, _ in files}
        if gone:
            with _modify_directory(db, number):
                values = [(number, name) for name in gone if file_state(directory, name) is None]
                db.executemany("DELETE FROM sessions WHERE directory = ? AND name = ?", values)
        for done in range(0, len(new), BATCH):
            batch = new[done : done + BATCH]
            read = [self._read(directory, number, *one) for one in batch]
            with _modify_directory(db, number):
                rows = [row for one, row in zip(batch, read, strict=True) if file_state(directory, one[0]) == one]
                db.executemany(
                    "INSERT OR REPLACE INTO sessions (directory, name, size, mtime_ns, damaged, epoch, model, turns,"
                    " tokens, cost, unpriced, facts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
            progress("reading sessions", min(done + BATCH, len(new)), len(new))

    def _read(self, directory: Path, number: int, name: bytes, size: int, mtime_ns: int) -> tuple[Any, ...]:
        """What is kept of one file."""
        settled = abs(self._time_ns() - mtime_ns) > UNSETTLED_NS
        row, _ = scan.read(directory / to_text(name))
        return (
            number,
            name,
            size,
            mtime_ns if settled else -1,
            bool(row.damaged),
            row.epoch,
            to_bytes(row.model),
            row.turns,
            row.tokens,
            row.cost,
            row.unpriced,
            json.dumps(_facts(row)),
        )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                self._db = open_index(self._path)
            yield self._db
        except (sqlite3.Error, OSError) as error:
            self.close()
            if type(error) is sqlite3.DatabaseError:  # its subclasses say locked, full, not to be written
                with suppress(OSError):
                    set_aside(self._path)
            raise IndexUnavailable(str(error)) from error


def _directory_id(db: sqlite3.Connection, directory: Path) -> int:
    """The number of a directory; when one is new, those that are no more are forgotten."""
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
    """A transaction that changes rows of a directory, whose state is not known until they are compared again."""
    with transaction(db):
        db.execute("UPDATE directories SET state = NULL WHERE id = ?", (number,))
        yield


def _record_state(db: sqlite3.Connection, number: int, files: set[State], seen: bytes) -> None:
    """Note the state of all files, if it is what the rows stand for."""
    with transaction(db):
        if _indexed_states(db, number) == files:
            db.execute("UPDATE directories SET state = ? WHERE id = ?", (seen, number))


def _indexed_states(db: sqlite3.Connection, number: int) -> set[State]:
    return set(db.execute("SELECT name, size, mtime_ns FROM sessions WHERE directory = ?", (number,)))


def _row(name: bytes, facts: str) -> Row:
    row = Row(to_text(name), *json.loads(facts))
    row.tags = tuple(row.tags)
    return row
