"""Every request and what it cost, in one SQLite file for all shells; it outlives the sessions.

Before a request the most that it can cost is reserved, and settled after it; what is reserved counts as spent, so that
several shells at once hold one daily limit. A reservation belongs to a process: that of one which has ended is settled
by the next that looks, at the reserved amount.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import datetime, timedelta
from pathlib import Path

from llmrepl.money.rates import Entry
from llmrepl.paths import private_dir

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
"""The kind of a row whose request is still under way; `cost` is then the most that it can cost."""


_COLUMNS = tuple(field.name for field in fields(Entry))


class Unusable(Exception):
    """The ledger cannot be read or written now."""


class Ledger:
    """The file at `path`, made when first written to. Any method may raise Unusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def add(self, entry: Entry) -> None:
        """Record a request for which nothing was reserved."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._writing() as db:
            db.execute(f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES ({marks})", astuple(entry))

    def release(self, number: int) -> None:
        """Take a reservation back whose request was not sent."""
        with self._writing() as db:
            db.execute("DELETE FROM requests WHERE id = ?", (number,))

    def settle(self, number: int, entry: Entry) -> None:
        """Replace a reservation by what the request really was."""
        with self._writing() as db:
            sets = ", ".join(f"{column} = ?" for column in _COLUMNS)
            db.execute(f"UPDATE requests SET {sets}, pid = NULL WHERE id = ?", (*astuple(entry), number))

    def reserve_within(self, now: datetime, usd: float, limit: float) -> tuple[int, float]:
        """Reserve as much of `usd` as the day's `limit` leaves; the number to settle and the amount reserved."""
        with self._writing() as db:
            amount = max(0.0, min(usd, limit - self._spent(db, _day(now))))
            done = db.execute(
                "INSERT INTO requests (at, day, kind, cost, pid, begun) VALUES (?, ?, ?, ?, ?, ?)",
                (now.timestamp(), _day(now), RESERVED, amount, os.getpid(), _begun(os.getpid())),
            )
            return done.lastrowid or 0, amount

    def spent_today(self, now: datetime) -> float:
        """What is known to be spent on the local day of `now`, in USD, with what is reserved."""
        with self._writing() as db:
            return self._spent(db, _day(now))

    def entries(self, since: datetime | None = None) -> Iterator[Entry]:
        """The settled requests from the local day of `since` on, the oldest first."""
        with self._writing() as db:
            self._settle_dead(db)
            rows = db.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM requests WHERE kind != ? AND day >= ? ORDER BY at",
                (RESERVED, _day(since) if since else ""),
            ).fetchall()
        return (Entry(*row) for row in rows)

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()
            self._db = None

    def _spent(self, db: sqlite3.Connection, day: str) -> float:
        self._settle_dead(db)
        return float(db.execute("SELECT coalesce(sum(cost), 0) FROM requests WHERE day = ?", (day,)).fetchone()[0])

    def _settle_dead(self, db: sqlite3.Connection) -> None:
        waiting = db.execute("SELECT id, pid, begun FROM requests WHERE kind = ?", (RESERVED,)).fetchall()
        dead = [(number,) for number, pid, begun in waiting if _begun(pid) != begun]
        db.executemany("UPDATE requests SET kind = 'interrupted', estimated = 1, pid = NULL WHERE id = ?", dead)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._db is None:
                self._db = _opened(self._path)
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                yield self._db
        except (sqlite3.Error, OSError) as error:
            raise Unusable((isinstance(error, OSError) and error.strerror) or str(error)) from error


def first_day(period: str, now: datetime) -> datetime | None:
    """The first local day of `today`, `week` (from Monday), `month`; None for `all`."""
    if period == "week":
        return now - timedelta(days=now.weekday())
    return {"today": now, "month": now.replace(day=1)}.get(period)


def _day(now: datetime) -> str:
    return now.strftime("%Y-%m-%d")


def _opened(path: Path) -> sqlite3.Connection:
    private_dir(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
    try:
        db.executescript(f"PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; {_SCHEMA}")
    except sqlite3.DatabaseError as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):  # locked, full, read-only: not damaged
            raise
        os.replace(path, path.with_name(path.name + ".corrupt"))
        return _opened(path)
    return db


def _begun(pid: int) -> float | None:
    """When a process began, in clock ticks since the machine's start (proc_pid_stat(5)); None if it has ended.

    Where there is no /proc it is 0 for a process that is alive.
    """
    try:
        return float(Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19])
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
