"""The only code that writes files: atomic, durable once acknowledged, never through a link, never over what is unknown.

`create` makes a file that must not exist, `replace` one whose contents the caller holds, `put` keeps what it replaces
under a free name, `write_private` is for the program's own files. Nothing else in the package renames or overwrites.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from llmrepl.errors import LLMError, SaveError, UsageError
from llmrepl.formatting import escape_name

FileStamp = tuple[int, int, int, int]
"""Distinguishes states of a file without reading it: device, inode, size, mtime in ns."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_COPY_BYTES = 1 << 30
"""Maximum size of a file that is compared or copied."""

_TEMPORARY = re.compile(r"\..{1,12}\.[0-9a-f]{12}\.tmp", re.DOTALL)
_STALE_NS = 86_400 * 10**9

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""macOS: `fsync` leaves data in the drive's cache, only this call makes it durable."""


class ChangedError(OSError):
    """A file is not what it was when it was last written or read."""


def create(path: Path, data: bytes, *, mtime_ns: int | None = None) -> None:
    """Write a new file atomically and durably, with mode 0600, and `mtime_ns` as its date if given.

    Raises FileExistsError, and leaves the file alone, if anything has the name; OSError.
    """
    with _temporary(path, data, mtime_ns) as temp:
        rename_new(temp, path)
    fsync_dir(path.parent)


def replace(path: Path, data: bytes, *, is_known: Callable[[Path], bool], mtime_ns: int | None = None) -> None:
    """Replace a file atomically and durably, or create it if it is gone.

    `is_known` tells, just before the rename, whether the caller holds what is in the file at the path. Raises
    ChangedError if not, or if it is no regular file, and OSError; the file is left alone then.
    """
    with _temporary(path, data, mtime_ns) as temp:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            rename_new(temp, path)
        else:
            if not stat.S_ISREG(status.st_mode) or not is_known(path):
                raise ChangedError(errno.EBUSY, "it was changed by another program", str(path))
            os.rename(temp, path)
    fsync_dir(path.parent)


def put(
    path: Path,
    data: bytes,
    *,
    names: Iterable[Path],
    may_drop: Callable[[bytes], bool] = lambda old: False,
    mtime_ns: int | None = None,
) -> Path | None:
    """Write `data` to `path` atomically and durably; a file there that says something else keeps another name.

    `names` are tried in order for the old file. It is dropped only if its bytes equal `data`, or if `may_drop`, called
    with them, tells that they hold nothing that is not in `data`. Returns where the old file is, None if there was
    none or it was dropped. Raises OSError; then the old file is where it was.
    """
    kept_path = None
    with _temporary(path, data, mtime_ns) as temp:
        before = file_stamp(path)
        if before is None:
            rename_new(temp, path)
        else:
            if path.is_symlink():
                raise OSError(errno.ELOOP, "it is a symbolic link", str(path))
            old = _contents(path)
            if old is None or not (old == data or may_drop(old)):
                kept_path = keep_name(path, names)
            if file_stamp(path) != before:
                raise ChangedError(errno.EBUSY, "it was changed meanwhile", str(path))
            os.rename(temp, path)
    fsync_dir(path.parent)
    return kept_path


def keep_name(path: Path, names: Iterable[Path]) -> Path:
    """Give a file the first free one of `names` as a second name (or a copy, without hard links), durably.

    Returns that name; one that already has the same bytes is used. Raises OSError.
    """
    for name in names:
        try:
            os.link(path, name, follow_symlinks=False)
        except FileExistsError:
            if os.path.samestat(os.lstat(path), os.lstat(name)) or _has_same_bytes(path, name):
                return name
            continue
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            try:
                create(name, read_regular(path, _COPY_BYTES), mtime_ns=os.lstat(path).st_mtime_ns)
            except FileExistsError:
                continue
        fsync_dir(name.parent)
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def move(path: Path, names: Iterable[Path]) -> Path:
    """Move a file to the first free one of `names` and return that, durably. A move that was cut short is finished.

    Raises FileExistsError if none is free, OSError; then the file is where it was.
    """
    for name in names:
        try:
            rename_new(path, name)
        except FileExistsError:
            if not _are_two_names(path, name):
                continue
            os.unlink(path)
        fsync_dir(name.parent)
        if path.parent != name.parent:
            fsync_dir(path.parent)
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def remove_copied(path: Path, *, is_known: Callable[[Path], bool]) -> None:
    """Delete a file whose contents stand elsewhere, durably. Raises ChangedError if `is_known` says no, OSError."""
    if not is_known(path):
        raise ChangedError(errno.EBUSY, "it was changed meanwhile", str(path))
    os.unlink(path)
    fsync_dir(path.parent)


def drop_second_name(path: Path, other: Path) -> bool:
    """Remove the name `path` of a file that is also called `other`; return whether it was. Raises OSError."""
    if not (os.path.lexists(path) and os.path.lexists(other) and _are_two_names(path, other)):
        return False
    os.unlink(path)
    return True


def set_aside_derived(path: Path, target: Path) -> None:
    """Rename a file that can be made again from others, over one that was set aside before. Raises OSError."""
    os.replace(path, target)


def numbered(path: Path, ending: str) -> Iterator[Path]:
    """Yield free names for what `path` held: with `ending`, then `ending` and `-2`, `-3` and so on."""
    yield path.with_name(f"{path.name}{ending}")
    for number in count(2):
        yield path.with_name(f"{path.name}{ending}-{number}")


def write_private(path: Path, data: bytes) -> None:
    """Replace a file of the program's own, such as a cache, and make its directory. Raises OSError.

    Where several processes change one file, the caller holds its lock and has read it again.
    """
    private_mkdir(path.parent)
    replace(path, data, is_known=lambda _: True)


def create_private(path: Path) -> None:
    """Make sure that a file of the program's own exists, with mode 0600 if it is new. Raises OSError for a link."""
    private_mkdir(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def append_private(path: Path, data: bytes) -> None:
    """Append to a file of the program's own, made with mode 0600 if it is missing. Raises OSError."""
    private_mkdir(path.parent)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)


def write_new(path: Path, data: bytes, *, force: bool) -> Path | None:
    """Write a file that the user named; with `force` an existing one is kept as `.backup`. Returns where it is kept.

    A device or a FIFO is written directly. Raises UsageError if a file is there, SaveError if it cannot be written, as
    through a link.
    """
    try:
        if path.exists() and not path.is_file():
            with open(path, "wb") as device:  # /dev/stdout, a fifo
                device.write(data)
        elif force:
            return put(path, data, names=numbered(path, ".backup"))
        else:
            create(path, data)
        return None
    except FileExistsError:
        raise UsageError(f"{escape_name(str(path))} exists.", "--force replaces it and keeps a backup") from None
    except OSError as error:
        raise SaveError(
            f"{escape_name(str(path))} cannot be written: {reason(error)}", "choose another file"
        ) from error


def check_place(directory: Path) -> None:
    """Raise OSError if `directory` is missing, or is a link that another user can turn elsewhere at any time."""
    status = os.lstat(directory)
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (os.geteuid(), 0):
        raise OSError(errno.ELOOP, f"{directory.name} is a link of another user", str(directory))


def rename_new(old: Path, new: Path) -> None:
    """Rename `old` to `new`; raises FileExistsError if that exists. Not durable until the directory is synced.

    At every moment, even after a power cut, one of the two names exists.
    """
    try:
        os.link(old, new, follow_symlinks=False)
        fsync_dir(new.parent)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(new):  # a filesystem without hard links
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from error
        os.rename(old, new)
        return
    os.unlink(old)


def read_regular(path: Path | str, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes. Raises OSError for a link, FIFO, directory or larger file."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
        wanted = min(limit, status.st_size) + 1
        data = os.read(fd, wanted)
        while len(data) < status.st_size and (more := os.read(fd, wanted - len(data))):  # a read may be short
            data += more
        return data
    finally:
        os.close(fd)


def private_mkdir(path: Path) -> None:
    """Create a directory and missing parents durably with mode 0700. An existing one is unchanged."""
    missing = [path, *path.parents]
    missing = missing[: next((i for i, p in enumerate(missing) if p.is_dir()), len(missing))]
    for place in reversed(missing):
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            if not place.is_dir():
                raise
            continue
        fsync_dir(place.parent)


def sync(fd: int) -> None:
    """Make an open file or directory durable; filesystems without fsync are ignored. Raises OSError."""
    try:
        if _FULL_SYNC is not None:
            try:
                fcntl.fcntl(fd, _FULL_SYNC)
                return
            except OSError as error:
                if error.errno not in (*_NO_SYNC, errno.ENOTTY):
                    raise
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def temporary_path(path: Path) -> Path:
    """Return a fresh name for a temporary file beside `path`."""
    return path.with_name(f".{path.name[:12]}.{os.urandom(6).hex()}.tmp")


def sweep_temporary(directory: Path, names: Iterable[str]) -> None:
    """Delete those of `names` that are temporary files abandoned for at least a day."""
    for name in names:
        if _TEMPORARY.fullmatch(name):
            stamp = file_stamp(directory / name)
            if stamp and time.time_ns() - stamp[3] > _STALE_NS:
                unlink_quietly(directory / name)


def fsync_dir(path: Path) -> None:
    """Make the names in a directory durable. Filesystems without directory fsync are ignored."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)


def file_stamp(path: Path) -> FileStamp | None:
    """Return the state of a file, None if there is none."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def unlink_quietly(path: Path) -> None:
    """Delete a file, ignoring errors."""
    try:
        os.unlink(path)
    except OSError:
        return


def scratch_file(text: str) -> Path:
    """Create a private file for another program in the directory for temporary files. Raises OSError."""
    import tempfile  # with all that it imports it takes longer than the rest of this module

    fd, name = tempfile.mkstemp(suffix=".md", prefix="llm-")
    with open(fd, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return Path(name)


def failure(error: OSError) -> LLMError:
    """Create the error to show for a failed call: the file, if known, and why."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    why = reason(error)
    return LLMError(f"{escape_name(name)}: {why}" if name else why[0].upper() + why[1:])


def reason(error: OSError) -> str:
    """Describe the cause of an OSError without number and class."""
    if isinstance(error, BlockingIOError):
        return "another process is using it"
    if error.errno == errno.EDQUOT:
        return "the disk quota is used up"
    text = error.strerror or "the system refused"
    return text[0].lower() + text[1:]


@contextmanager
def _temporary(path: Path, data: bytes, mtime_ns: int | None) -> Iterator[Path]:
    """Write `data` durably to a temporary file beside `path` for the block to rename; it is removed if that fails."""
    check_place(path.parent)
    temp = temporary_path(path)
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            sync(fd)
        finally:
            os.close(fd)
        yield temp
    except BaseException:
        unlink_quietly(temp)
        raise


def _contents(path: Path) -> bytes | None:
    """Return the bytes of a file, None if they cannot be read."""
    try:
        return read_regular(path, _COPY_BYTES)
    except OSError:
        return None


def _has_same_bytes(one: Path, other: Path) -> bool:
    data = _contents(one)
    return data is not None and data == _contents(other)


def _are_two_names(one: Path, other: Path) -> bool:
    here, there = os.lstat(one), os.lstat(other)
    return os.path.samestat(here, there) and here.st_nlink > 1
