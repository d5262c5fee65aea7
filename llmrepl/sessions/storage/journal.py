"""The hidden journal beside a session: changes that are not in its JSON yet, and its lock.

`.NAME.journal` holds one record per line (see journal_records.py) and is only appended to or emptied. A shell holds a
`flock` on it while the session is open; the kernel releases the lock if the process dies.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from llmrepl.errors import SessionInUseError
from llmrepl.formatting import escape_name
from llmrepl.sessions.storage.journal_records import encode_record, read_records
from llmrepl.system import files
from llmrepl.system.limits import MAX_JOURNAL_BYTES
from llmrepl.system.locked_file import LockedFile

FLUSH_SECONDS = 0.5
"""Maximum delay before text of a streaming reply is on disk."""

LOOK_SECONDS, COMMAND_SECONDS = 2.0, 10.0
"""How long to wait for a process that looks at a session, and for one that recovers or edits it."""


def journal_path(session: Path) -> Path:
    """Return the path of the journal of a session file."""
    return session.with_name(f".{session.name.removesuffix('.json')}.journal")


def session_path(journal: Path) -> Path:
    """Return the path of the session file that a journal belongs to."""
    return journal.with_name(journal.name[1:].removesuffix(".journal") + ".json")


class Journal:
    """An open, locked journal. Methods that write may raise OSError; earlier records stay valid."""

    def __init__(self, file: LockedFile) -> None:
        self.path = file.path
        self._file = file
        self._pending: list[str] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._flusher: threading.Thread | None = None

    @classmethod
    def claim(cls, path: Path, *, wait: bool = True) -> Journal:
        """Open and lock the journal at `path`, creating it if missing.

        Raises SessionInUseError if another shell has the session open, OSError if it cannot be opened. With `wait`, a
        process that only looks at the session, recovers or edits it is waited for.
        """
        try:
            journal = cls(LockedFile.open(path, _keep_waiting if wait else None))
        except BlockingIOError:
            raise in_use_error(path) from None
        if not journal._file.has_lock and _is_running(owner := _owner(path)) and owner.get("pid") != os.getpid():
            journal.release()
            raise in_use_error(path)
        return journal

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._file.size

    @property
    def has_lock(self) -> bool:
        """Whether the file system has locks."""
        return self._file.has_lock

    @property
    def is_broken(self) -> bool:
        """Whether a sync failed, so that nothing can be written until `start` makes a new file."""
        return self._file.broken

    def start(self, base: list[int] | None, *, brief: bool = False) -> None:
        """Empty the journal, whose records are in the JSON file with fingerprint `base`. Later ones apply to that.

        `brief` tells other processes that the session is open only for one command.
        """
        with self._lock:
            self._pending.clear()
            if self._file.broken:
                self._file.renew()
            else:
                self._file.clear()
            opened = {"pid": os.getpid(), "base": base} | ({"brief": True} if brief else {})
            self._file.append(encode_record({"opened": opened}))

    def write(self, record: dict[str, Any], *, durable: bool = True) -> None:
        """Append a record; if `durable`, it is synced to disk on return."""
        with self._lock:
            if "turn" not in record:
                self._write_pending()
            self._file.append(encode_record(record))
            self._pending.clear()  # a turn's record has all of its text
            if durable:
                self._file.sync()

    def give_up(self) -> None:
        """Write no more to this file; `start` makes a new one."""
        self._file.broken = True

    def append_text(self, text: str) -> None:
        """Queue a chunk of the reply without blocking; it is on disk within FLUSH_SECONDS."""
        with self._lock:
            self._pending.append(text)
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_loop, name="journal", daemon=True)
            self._flusher.start()
        self._wake.set()

    def flush(self) -> None:
        """Write queued text and sync it to disk. What cannot be written stays queued."""
        with self._lock:
            self._write_pending()

    def was_replaced(self) -> bool:
        """Whether the file at `path` is no longer the one that is open."""
        return self._file.was_replaced()

    def clear(self) -> None:
        """Empty the journal once its records are in the JSON file."""
        with self._lock:
            if self._file.size:
                self._file.clear()

    def keep_damaged(self) -> Path:
        """Copy the journal to `.NAME.journal.corrupt`, or `.corrupt-2` and so on, and return that path."""
        data = self._file.read(MAX_JOURNAL_BYTES)
        for name in files.numbered(self.path, ".corrupt"):
            try:
                files.create(name, data)
                return name
            except FileExistsError:
                continue
        raise AssertionError("the names do not end")

    def remove(self) -> None:
        """Delete the journal and release the lock."""
        with self._lock:
            self._wake.set()
            self._file.remove()

    def release(self) -> None:
        """Release the lock; only an empty journal is deleted."""
        with self._lock:
            self._wake.set()
            if self._file.is_open and not self._file.size:
                self._file.remove()
            self._file.release()

    def records(self) -> tuple[list[dict[str, Any]], int]:
        """Return all valid records in order, and the number of damaged places. Raises OSError."""
        with self._lock:
            return read_records(self._file.read(MAX_JOURNAL_BYTES))

    def _write_pending(self) -> None:
        if self._pending and self._file.is_open:
            number = len(self._pending)
            self._file.append(encode_record({"text": "".join(self._pending)}))
            del self._pending[:number]
            self._file.sync()

    def _flush_loop(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            threading.Event().wait(FLUSH_SECONDS)
            with self._lock:
                if not self._file.is_open:
                    return
                try:
                    self._write_pending()
                except OSError:
                    continue  # the text stays queued, and the record of the turn has it


def no_locks_note(directory: Path) -> str:
    """Return what to tell the user whose sessions cannot be locked."""
    return f"the file system of {escape_name(str(directory))} has no locks. Open a session in one shell at a time."


def in_use_error(path: Path) -> SessionInUseError:
    """Create the error for a journal that another shell holds."""
    pid = _owner(path).get("pid")
    what = f"{escape_name(session_path(path).name)} is open in another shell{f' (pid {pid})' if pid else ''}"
    return SessionInUseError(what, "leave it there, or go on under a new name")


def _keep_waiting(fd: int, seconds: float) -> bool:
    """Whether whoever holds a journal will release it soon: it is no shell that has the session open."""
    owner = _parse_owner(os.pread(fd, 512, 0))
    if not owner:
        return seconds < LOOK_SECONDS
    return seconds < COMMAND_SECONDS and (bool(owner.get("brief")) or not _is_running(owner))


def _owner(path: Path) -> dict[str, Any]:
    """Return what the last shell recorded about itself when it opened the session."""
    try:
        with open(path, "rb") as file:
            return _parse_owner(file.read(512))
    except OSError:
        return {}


def _parse_owner(start: bytes) -> dict[str, Any]:
    records, _ = read_records(start.partition(b"\n")[0] + b"\n")
    opened: dict[str, Any] = records[0].get("opened", {}) if records else {}
    return opened


def _is_running(owner: dict[str, Any]) -> bool:
    pid = owner.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
