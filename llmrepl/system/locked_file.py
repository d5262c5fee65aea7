"""A file that one process at a time holds locked, and only appends to or empties."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmrepl.system import files

POLL_SECONDS = 0.01
"""Time between two attempts to lock a file that another process holds."""

_NO_LOCKS = (errno.ENOTSUP, errno.EINVAL, errno.ENOLCK, errno.ENOSYS)


class LockedFile:
    """An open regular file with an exclusive `flock`, which the kernel releases when the process dies.

    `has_lock` is False on a file system without locks. After a failed sync the kernel may have dropped what was
    written, so `broken` is set and every later write fails until `renew`.
    """

    def __init__(self, path: Path, fd: int, *, has_lock: bool) -> None:
        self.path = path
        self.has_lock = has_lock
        self.size = os.fstat(fd).st_size
        self.broken = False
        self._fd = fd
        self._torn = False

    @classmethod
    def open(cls, path: Path, keep_waiting: Callable[[int, float], bool] | None = None) -> LockedFile:
        """Open and lock the file at `path`, creating it with mode 0600 if missing.

        While another process holds the lock, `keep_waiting` is called with a descriptor and the seconds waited so far.
        Raises BlockingIOError once it returns False, or at once without it. Raises OSError for a link or a directory.
        """
        files.check_place(path.parent)
        began = time.monotonic()
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise OSError(errno.EINVAL, "it is not a regular file", str(path))
                has_lock = _flock(fd)
                if is_same_file(fd, path):
                    return cls(path, fd, has_lock=has_lock)
            except BlockingIOError:
                waiting = keep_waiting is not None and keep_waiting(fd, time.monotonic() - began)
                if not waiting:
                    os.close(fd)
                    raise
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            time.sleep(POLL_SECONDS)

    @property
    def is_open(self) -> bool:
        """Whether the file was neither released nor removed."""
        return self._fd >= 0

    def append(self, data: bytes) -> None:
        """Append `data`; not yet durable. A part that an earlier failure left is cut off first. Raises OSError."""
        self._check()
        if self._torn:
            os.ftruncate(self._fd, self.size)
        self._torn = True
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._torn = False
        self.size += len(data)

    def sync(self) -> None:
        """Make everything appended durable. Raises OSError, after which the file is `broken`."""
        self._check()
        try:
            files.sync(self._fd)
        except OSError:
            self.broken = True
            raise

    def clear(self) -> None:
        """Empty the file. Raises OSError."""
        self._check()
        os.ftruncate(self._fd, 0)
        self.size = 0
        self._torn = False

    def renew(self) -> None:
        """Put an empty file in place of this one, whose contents the caller holds; it is locked. Raises OSError."""
        temp = files.temporary_path(self.path)
        fd = os.open(temp, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _flock(fd)
            os.rename(temp, self.path)
        except BaseException:
            os.close(fd)
            files.unlink_quietly(temp)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self.size, self._torn, self.broken = fd, 0, False, False

    def read(self, limit: int) -> bytes:
        """Return the contents; a hole in a sparse file is one NUL. Raises OSError for more than `limit` bytes."""
        blocks: list[bytes] = []
        size = 0
        for block in _data_blocks(self._fd):
            blocks.append(block)
            size += len(block)
            if size > limit:
                raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(self.path))
        return b"".join(blocks)

    def was_replaced(self) -> bool:
        """Whether the file at `path` is no longer the one that is open."""
        return not is_same_file(self._fd, self.path)

    def remove(self) -> None:
        """Delete the file and release the lock."""
        try:
            if not self.was_replaced():
                os.unlink(self.path)
        finally:
            self.release()

    def release(self) -> None:
        """Release the lock without deleting the file."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _check(self) -> None:
        if self.broken or self._fd < 0:
            raise OSError(errno.EIO, "an earlier write to it failed", str(self.path))


@contextmanager
def hold_lock(path: Path, seconds: float = 30.0) -> Iterator[None]:
    """Hold the lock file at `path` during the block; other processes wait. It is deleted at the end.

    Raises BlockingIOError if another process holds it for longer than `seconds`, OSError if it cannot be created.
    """
    lock = LockedFile.open(path, lambda _fd, waited: waited < seconds)
    try:
        yield
    finally:
        lock.remove()


@contextmanager
def change_private(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Lock a file of the program's own; the block reads it and calls what it is given with the new contents.

    Other processes wait, so no change is lost. Raises OSError, ChangedError if another program changed the file
    during the block.
    """
    files.private_mkdir(path.parent)
    with hold_lock(path.with_name(f".{path.name}.lock")):
        stamp = files.file_stamp(path)

        def write(data: bytes) -> None:
            files.replace(path, data, is_known=lambda _: files.file_stamp(path) == stamp)

        yield write


def is_same_file(fd: int, path: Path) -> bool:
    """Whether `path` is the file that is open as `fd`, not a link to it; False for a closed descriptor (-1)."""
    if fd < 0:
        return False
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _flock(fd: int) -> bool:
    """Lock a file; False if its file system has no locks. Raises BlockingIOError if another process holds the lock."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _data_blocks(fd: int, size: int = 1 << 20) -> Iterator[bytes]:
    """Yield the contents of a file in blocks, without the bytes of its holes."""
    offset, end = 0, os.fstat(fd).st_size
    while offset < end:
        data = _next_data(fd, offset)
        if data > offset:
            yield b"\0"
        if data >= end:
            return
        offset = data
        hole = _next_hole(fd, offset)
        while offset < hole:
            block = os.pread(fd, min(size, hole - offset), offset)
            if not block:
                return
            offset += len(block)
            yield block


def _next_data(fd: int, offset: int) -> int:
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(fd).st_size if error.errno == errno.ENXIO else offset


def _next_hole(fd: int, offset: int) -> int:
    try:
        return os.lseek(fd, offset, os.SEEK_HOLE)
    except OSError:
        return os.fstat(fd).st_size
