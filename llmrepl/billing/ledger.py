"""The usage ledger: every request and its cost, in one SQLite file shared by all shells.

The maximum cost of a request is reserved before it is sent and settled afterwards. Reserved amounts count as spent, so
that several shells together respect one daily limit. A reservation belongs to a process; when it has ended, the next
reader settles the row at the reserved amount. A process that was merely invisible (in another container) still settles
its own row, or adds it again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from llmrepl.billing.pricing import LedgerEntry
from llmrepl.system.files import create_private, fsync_dir, move, numbered
from llmrepl.system.locked_file import LockedFile

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, day TEXT NOT NULL, provider TEXT NOT NULL DEFAULT '',
  model TEXT NOT NULL DEFAULT '', session TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
  cached_tokens INTEGER NOT NULL DEFAULT 0, reasoning_tokens INTEGER NOT NULL DEFAULT 0,
  cost REAL, estimated INTEGER NOT NULL DEFAULT 0, pid INTEGER, begun REAL
);
CREATE INDEX IF NOT EXISTS requests_by_day ON requests (day);
"""

RESERVED = "reserved"
"""Kind of a row whose request is in progress; `cost` is its maximum."""

BUSY_SECONDS = 60.0
"""How long a shell with a limit waits for other shells before the ledger counts as unavailable."""

_BUSY_SLICE = 0.25
"""Seconds that SQLite itself waits, during which Ctrl-C has no effect."""

_COLUMNS = tuple(field.name for field in fields(LedgerEntry))
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class LedgerError(Exception):
    """The ledger cannot be read or written."""


class Ledger:
    """The ledger file at `path`, created on the first write. Every method may raise LedgerError.

    While other shells hold the file, a method waits up to `patience` seconds. It calls `waiting` with the elapsed
    seconds a few times a second, and with 0.0 at the end. A damaged file is renamed, which is reported to `tell`, and
    replaced.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[str], None] | None = None,
        waiting: Callable[[float], None] = lambda seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = BUSY_SECONDS,
    ) -> None:
        self._path = path
        self._patience = patience
        self._tell = tell
        self._waiting = waiting
        self._monotonic = monotonic
        self._db: sqlite3.Connection | None = None
        self._inode = 0

    def add(self, entry: LedgerEntry) -> None:
        """Record a request without a reservation."""
        self._write(lambda db: _insert(db, entry))

    def release(self, number: int) -> None:
        """Delete the reservation of a request that was not sent."""
        self._write(lambda db: db.execute("DELETE FROM requests WHERE id = ?", (number,)))

    def settle(self, number: int, entry: LedgerEntry) -> None:
        """Replace a reservation by the actual request."""
        sets = ", ".join(f"{column} = ?" for column in _COLUMNS)

        def settled(db: sqlite3.Connection) -> None:
            change = f"UPDATE requests SET {sets}, pid = NULL, begun = NULL WHERE id = ?"
            if not db.execute(change, (*astuple(entry), number)).rowcount:
                _insert(db, entry)  # the reservation went with a damaged file

        self._write(settled)

    def reserve_within(self, now: datetime, usd: float, limit: float) -> tuple[int, float]:
        """Reserve up to `usd` within the day's `limit`; return the row to settle and the reserved amount in USD."""

        def reserved(db: sqlite3.Connection) -> tuple[int, float]:
            amount = max(0.0, min(usd, limit - _spent(db, _day(now))))
            done = db.execute(
                "INSERT INTO requests (at, day, kind, cost, pid, begun) VALUES (?, ?, ?, ?, ?, ?)",
                (now.timestamp(), _day(now), RESERVED, amount, os.getpid(), _process_start(os.getpid())),
            )
            return done.lastrowid or 0, amount

        return self._write(reserved)

    def spent_today(self, now: datetime) -> float:
        """Return the known cost of the local day of `now` in USD, including reservations."""
        return self._read(lambda db: _spent(db, _day(now)), 0.0)

    def typical_cost(self, now: datetime, model: str) -> float:
        """Return the average cost in USD of today's replies of `model` (`provider/model`), 0.0 if there were none."""
        query = "SELECT avg(max(cost, 0)) FROM requests WHERE day = ? AND model = ? AND kind = 'reply'"
        return self._read(lambda db: float(db.execute(query, (_day(now), model)).fetchone()[0] or 0.0), 0.0)

    def entries(self, since: datetime | None = None) -> Iterator[LedgerEntry]:
        """Return the settled requests since the local day of `since`, oldest first."""

        def found(db: sqlite3.Connection) -> list[Any]:
            _settle_dead(db)
            return db.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM requests WHERE kind != ? AND day >= ? ORDER BY at",
                (RESERVED, _day(since) if since else ""),
            ).fetchall()

        rows: list[Any] = self._read(found, [])
        return (LedgerEntry(*row) for row in rows)

    def close(self) -> None:
        """Close the file."""
        if self._db:
            self._db.close()
            self._db = None

    def _read(self, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        """Run `work`, or return `nothing` if there is no file."""
        try:
            self._path.stat()
        except FileNotFoundError:
            return nothing
        except OSError as error:
            raise LedgerError(_why(error)) from error
        return self._write(work)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in an exclusive transaction, in a new file if this one is damaged."""
        try:
            try:
                return self._when_free(work)
            except sqlite3.DatabaseError as error:
                if _code(error) not in _DAMAGE:
                    raise
            self.close()
            aside = _set_aside(self._path, self._inode)
            if aside and self._tell:
                self._tell(f"The usage ledger was damaged. It is kept as {aside.name}, and a new one was created.")
            return self._when_free(work)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(_why(error)) from error

    def _when_free(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` once no other shell holds the file. Raises sqlite3.Error, also on timeout."""
        start = self._monotonic()
        waited = 0.0
        while True:
            try:
                done = self._attempt(work)
                if waited:
                    self._waiting(0.0)
                return done
            except sqlite3.OperationalError as error:
                waited = self._monotonic() - start
                if _code(error) not in _BUSY or waited >= self._patience:
                    raise
                self._waiting(waited)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db and _inode(self._path) != self._inode:
            self.close()  # another shell has set the file aside, or somebody has deleted it
        if self._db is None:
            create_private(self._path)
            fsync_dir(self._path.parent)
            self._inode = _inode(self._path)
            self._db = _connect(self._path)
        with self._db as db:  # BEGIN stands inside, so that an interruption right after it is rolled back too
            db.execute("BEGIN IMMEDIATE")
            return work(db)


def _day(now: datetime) -> str:
    return now.strftime("%Y-%m-%d")


def _code(error: sqlite3.Error) -> int:
    """Return the primary result code (https://sqlite.org/rescode.html)."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _insert(db: sqlite3.Connection, entry: LedgerEntry) -> None:
    marks = ", ".join("?" * len(_COLUMNS))
    db.execute(f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES ({marks})", astuple(entry))


def _spent(db: sqlite3.Connection, day: str) -> float:
    """Return the sum of a day, ignoring negative amounts written by other programs."""
    _settle_dead(db)
    return float(db.execute("SELECT total(max(cost, 0)) FROM requests WHERE day = ?", (day,)).fetchone()[0])


def _settle_dead(db: sqlite3.Connection) -> None:
    waiting = db.execute("SELECT id, pid, begun FROM requests WHERE kind = ?", (RESERVED,)).fetchall()
    dead = [(number,) for number, pid, begun in waiting if _process_start(pid) != begun]
    db.executemany("UPDATE requests SET kind = 'interrupted', estimated = 1, pid = NULL WHERE id = ?", dead)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SLICE, isolation_level=None)
    try:
        # EXTRA also syncs the directory after the journal is deleted: a commit survives a power cut.
        db.execute("PRAGMA synchronous=EXTRA")
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'requests_by_day'").fetchone():
            db.executescript(f"PRAGMA journal_mode=DELETE; BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set_aside(path: Path, inode: int) -> Path | None:
    """Rename the damaged file, and its journal, which must not be applied to a new one.

    Returns None if another shell did so already: each locks the damaged file and checks that it still has the name.
    """
    lock = LockedFile.open(path, lambda _fd, _seconds: True)
    try:
        if os.stat(path).st_ino != inode:
            return None
        aside = next(name for name in numbered(path, ".corrupt") if not os.path.lexists(name))
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists():
            move(journal, [aside.with_name(f"{aside.name}-journal")])
        return move(path, [aside])
    finally:
        lock.release()


def _process_start(pid: int) -> float | None:
    """Return when a process started, in clock ticks since boot (proc_pid_stat(5)); None if it has ended.

    Without /proc it is 0 for a live process.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return None if state in "ZX" else float(rest[18])  # a zombie has ended but was not waited for
    except OSError:
        if Path("/proc/self").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0.0
    return 0.0
