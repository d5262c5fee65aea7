"""A locked file: torn writes are truncated, a replaced file is detected, as is a file system without locks."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from llmrepl.errors import SessionInUseError
from llmrepl.sessions.storage.journal import Journal
from llmrepl.sessions.storage.journal_records import encode_record
from llmrepl.sessions.storage.store import Store
from llmrepl.system.locked_file import LockedFile


def test_what_a_failed_write_left_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LockedFile.open(tmp_path / "file")
    file.append(b"one\n")
    write = os.write
    left = [2]

    def full(fd: int, data: bytes) -> int:
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, bytes(data)[: left.pop()])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.append(b"two\n")
    assert (tmp_path / "file").read_bytes() == b"one\ntw"
    monkeypatch.setattr(os, "write", write)
    file.append(b"three\n")
    assert (tmp_path / "file").read_bytes() == b"one\nthree\n" and file.size == 10
    file.remove()
    assert not (tmp_path / "file").exists()


def test_a_file_that_was_replaced_before_it_was_locked_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    flock = fcntl.flock

    def replaced(fd: int, operation: int) -> None:
        if path.read_bytes() == b"old":
            path.unlink()
            path.write_bytes(b"new")
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", replaced)
    file = LockedFile.open(path)
    assert file.read(10) == b"new" and not file.was_replaced()
    file.release()
    assert path.read_bytes() == b"new"


def test_nothing_is_written_after_a_failed_sync_until_the_file_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LockedFile.open(tmp_path / "file")
    file.append(b"one")

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
    with pytest.raises(OSError, match="an earlier write"):
        file.append(b"two")
    with pytest.raises(OSError, match="an earlier write"):
        file.sync()
    with pytest.raises(OSError, match="an earlier write"):
        file.clear()
    file.renew()
    file.append(b"three")
    file.sync()
    assert (tmp_path / "file").read_bytes() == b"three" and not file.was_replaced()
    with pytest.raises(BlockingIOError):
        LockedFile.open(tmp_path / "file")
    file.remove()


def test_a_hole_costs_nothing_and_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as sparse:
        sparse.write(b"start")
        sparse.truncate(1 << 40)
        sparse.seek((1 << 40) - 4096)
        sparse.write(b"end")
    file = LockedFile.open(path)
    data = file.read(1 << 20)
    assert data.startswith(b"start") and data.rstrip(b"\0").endswith(b"end") and len(data) < 1 << 16
    with pytest.raises(OSError, match="larger than"):
        file.read(100)
    file.release()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a file system without flock, as some network file systems are."""

    def refuses(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuses)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_running_shell_is_respected_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"model": "m", "turns": [{"messages": [{"role": "user", "content": "a"}]}]}')
    store = Store(tmp_path, tmp_path, nullcontext)
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / ".s.journal").write_bytes(encode_record({"opened": {"pid": other.pid, "base": None}}))
        with pytest.raises(SessionInUseError, match=rf"pid {other.pid}"):
            Journal.claim(tmp_path / ".s.journal")
        assert store.recover_journals() == [] and (tmp_path / ".s.journal").exists()
        other.kill()
    opened = store.open(tmp_path / "s.json", beside=False)
    assert opened.notes == [f"the file system of {tmp_path} has no locks. Open a session in one shell at a time."]
    opened.close()


def test_waiting_ends_when_the_lock_is_given_back(tmp_path: Path) -> None:
    holder = LockedFile.open(tmp_path / "file")
    threading.Timer(0.1, holder.remove).start()
    LockedFile.open(tmp_path / "file", lambda _fd, seconds: seconds < 10).remove()
