"""The hidden journal beside a session: changes that are not in its JSON yet, and its lock.

`.NAME.journal` holds one record per line (see journal_records.py) and is only appended to or emptied. A shell holds a
`flock` on it while the session is open; the kernel releases the lock if the process dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrepl.errors import SessionInUseError
from llmrepl.sessions.storage.journal_records import encode_record, read_records
from llmrepl.system import files

FLUSH_SECONDS = 0.5
"""Maximum delay before text of a streaming reply is on disk."""

_NO_LOCKS = (errno.ENOTSUP, errno.EINVAL, errno.ENOLCK, errno.ENOSYS)
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)


def journal_path(session: Path) -> Path:
    """Return the path of the journal of a session file."""
    return session.with_name(f".{session.name.removesuffix('.json')}.journal")


def session_path(journal: Path) -> Path:
    """Return the path of the session file that a journal belongs to."""
    return journal.with_name(journal.name[1:].removesuffix(".journal") + ".json")


class Journal:
    """An open, locked journal. Methods that write may raise OSError; earlier records stay valid."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.size = os.fstat(fd).st_size
        self._fd = fd
        self._torn = False
        self._pending: list[str] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._flusher: threading.Thread | None = None
        self._failure: OSError | None = None

    @classmethod
    def claim(cls, path: Path) -> Journal:
        """Open and lock the journal at `path`, creating it if missing.

        Raises SessionInUseError if another shell holds the lock, OSError if it cannot be opened.
        """
        files.check_place(path.parent)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(errno.EINVAL, f"{path.name} is not a regular file")
                _flock(fd)
                if _same_file(fd, path):
                    return cls(path, fd)
            except BlockingIOError:
                pid = _owner(fd)
                os.close(fd)
                what = f"{session_path(path).name} is open in another shell{pid}"
                raise SessionInUseError(what, "leave it there, or go on under a new name") from None
            except OSError:
                os.close(fd)
                raise
            os.close(fd)

    def start(self, base: list[int] | None) -> None:
        """Empty the journal. Later records apply to the JSON file with fingerprint `base`."""
        with self._lock:
            self._pending.clear()
            os.ftruncate(self._fd, 0)
            self.size = 0
            self._torn = False
            self._append({"opened": {"pid": os.getpid(), "base": base}})

    def write(self, record: dict[str, Any], *, durable: bool = True) -> None:
        """Append a record; if `durable`, it is synced to disk on return."""
        with self._lock:
            self._pending.clear()
            self._raise_failure()
            self._append(record)
            if durable:
                self._sync()

    def append_text(self, text: str) -> None:
        """Queue a chunk of the reply without blocking; it is on disk within FLUSH_SECONDS."""
        with self._lock:
            self._pending.append(text)
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_loop, name="journal", daemon=True)
            self._flusher.start()
        self._wake.set()

    def flush(self) -> None:
        """Write queued text and sync it to disk."""
        with self._lock:
            self._raise_failure()
            self._write_pending()

    def was_replaced(self) -> bool:
        """Whether the file at `path` is no longer the one that is open."""
        return not _same_file(self._fd, self.path)

    def remove(self) -> None:
        """Delete the journal and release the lock."""
        try:
            if not self.was_replaced():
                os.unlink(self.path)
        finally:
            self.release()

    def release(self) -> None:
        """Release the lock without deleting the file."""
        with self._lock:
            self._wake.set()
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)

    def records(self) -> tuple[list[dict[str, Any]], bool]:
        """Return all valid records in order, and whether there is damage beyond a torn last line."""
        with self._lock:
            raw = b"".join(_read_all(self._fd))
        return read_records(raw)

    def _append(self, record: dict[str, Any]) -> None:
        if self._torn:
            os.ftruncate(self._fd, self.size)
            self._torn = False
        line = encode_record(record)
        self._torn = True
        view = memoryview(line)
        while view:
            view = view[os.write(self._fd, view) :]
        self._torn = False
        self.size += len(line)

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise

    def _write_pending(self) -> None:
        if self._pending and self._fd >= 0:
            text, self._pending = "".join(self._pending), []
            self._append({"text": text})
            self._sync()

    def _raise_failure(self) -> None:
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def _flush_loop(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            threading.Event().wait(FLUSH_SECONDS)
            with self._lock:
                if self._fd < 0:
                    return
                try:
                    self._write_pending()
                except OSError as error:
                    self._failure = error


def _flock(fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _same_file(fd: int, path: Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _read_all(fd: int) -> Iterator[bytes]:
    offset = 0
    while block := os.pread(fd, 1 << 20, offset):
        offset += len(block)
        yield block


def _owner(fd: int) -> str:
    records, _ = read_records(os.pread(fd, 512, 0).partition(b"\n")[0] + b"\n")
    pid = records[0].get("opened", {}).get("pid") if records else None
    return f" (pid {pid})" if pid else ""
