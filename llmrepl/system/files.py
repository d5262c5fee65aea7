"""The one way that bytes reach the disk: whole or not at all, durable when acknowledged, never through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from llmrepl.errors import SaveError, UsageError
from llmrepl.formatting import escape_name

FileStamp = tuple[int, int, int, int]
"""What tells one state of a file from another without reading it: device, inode, size, mtime in ns."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP)


class ChangedError(OSError):
    """The file is not what it was when we last wrote or read it."""


def write_atomic(
    path: Path,
    data: bytes,
    *,
    must_not_exist: bool = False,
    check: Callable[[], None] | None = None,
    mtime_ns: int | None = None,
) -> None:
    """Replace `path` by `data`: temporary file in the same directory, fsync, rename, fsync of the directory.

    `check` is called just before the rename and may raise. With `must_not_exist` a file that is there stays and
    FileExistsError is raised. `mtime_ns` dates the file, otherwise it is of now. On any error the old file is as it
    was and the temporary file is gone. Raises OSError.
    """
    check_place(path.parent)
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(path))
    temp = path.with_name(f".{path.name[:12]}.{os.urandom(6).hex()}.tmp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            os.fsync(fd)
        finally:
            os.close(fd)
        if check:
            check()
        if must_not_exist:
            rename_new(temp, path)
        else:
            os.rename(temp, path)
    except BaseException:
        unlink_quietly(temp)
        raise
    fsync_dir(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file of the user's own by `data`; its directory is made. Raises OSError."""
    private_mkdir(path.parent)
    write_atomic(path, data)


def check_place(directory: Path) -> None:
    """Raise OSError if `directory` is missing, or is a link that another user can turn elsewhere at any time."""
    status = os.lstat(directory)
    if stat.S_ISLNK(status.st_mode) and status.st_uid not in (os.geteuid(), 0):
        raise OSError(errno.ELOOP, f"{directory.name} is a link of another user", str(directory))


def write_new(path: Path, data: bytes, *, force: bool) -> None:
    """Write a file that the user named: a new one or (with `force`) in the place of a regular one; devices as they are.

    Raises UsageError if a file is there, SaveError if it cannot be written, as through a link.
    """
    try:
        if path.exists() and not path.is_file():
            with open(path, "wb") as device:  # /dev/stdout, a fifo
                device.write(data)
            return
        write_atomic(path, data, must_not_exist=not force)
    except FileExistsError:
        raise UsageError(f"{escape_name(str(path))} exists", "choose another file, or use --force") from None
    except OSError as error:
        raise SaveError(
            f"{escape_name(str(path))} cannot be written: {reason(error)}", "choose another file"
        ) from error


def rename_new(old: Path, new: Path) -> None:
    """Rename `old` to `new`, which must not exist: FileExistsError if it does. Not yet durable: fsync the directory.

    At every moment, also after a power cut, one of the two names is there.
    """
    try:
        os.link(old, new, follow_symlinks=False)
        fsync_dir(new.parent)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(new):  # a file system without hard links
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from error
        os.rename(old, new)
        return
    os.unlink(old)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file, at most `limit`. Raises OSError for a link, a fifo, a directory or a larger file."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it is larger than {limit >> 20} MiB", str(path))
        return file.read(min(limit, status.st_size) + 1)


def private_mkdir(path: Path) -> None:
    """Make a directory and its missing parents, each 0700 and durable. One that is there stays as it is."""
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


def fsync_dir(path: Path) -> None:
    """Make the names in a directory durable. File systems that cannot do that are let be."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(fd)


def file_stamp(path: Path) -> FileStamp | None:
    """The state of a file as it is now, None if there is none."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def unlink_quietly(path: Path) -> None:
    """Remove a file if that is possible."""
    try:
        os.unlink(path)
    except OSError:
        return


def reason(error: OSError) -> str:
    """Why a call failed, in words without number or class."""
    if error.errno == errno.EDQUOT:
        return "the disk quota is used up"
    text = error.strerror or "the system refused"
    return text[0].lower() + text[1:]
