"""Where the program keeps what is not a session, and the careful way to read and write there."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmrepl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Paths:
    """The program's own directories by the XDG base directory specification, none of them made yet.

    Without platformdirs: it reads the process's environment instead of one that is passed in, uses ~/Library on macOS
    where the documentation of this program says ~/.config, and takes 6 to 10 ms to import for these three lines.
    """

    home: Path
    config_dir: Path
    state_dir: Path
    cache_dir: Path

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Paths:
        """The directories that `environ` says: LLM_CONFIG_DIR, XDG_*_HOME (if absolute), HOME."""
        home = Path(environ.get("HOME") or _home_of_user())

        def place(variable: str, usual: str) -> Path:
            said = Path(environ.get(variable, ""))
            return (said if said.is_absolute() else home / usual) / "llm"

        chosen = environ.get("LLM_CONFIG_DIR")
        return cls(
            home,
            expand(chosen, home).absolute() if chosen else place("XDG_CONFIG_HOME", ".config"),
            place("XDG_STATE_HOME", ".local/state"),
            place("XDG_CACHE_HOME", ".cache"),
        )

    @property
    def config_file(self) -> Path:
        """The user's configuration."""
        return self.config_dir / "config.toml"

    @property
    def index_file(self) -> Path:
        """The index of the sessions, which may be deleted."""
        return self.cache_dir / "index.db"

    @property
    def directories_file(self) -> Path:
        """The sessions directories that were ever used."""
        return self.state_dir / "directories"

    @property
    def keys_file(self) -> Path:
        """The keys that `llm keys set` keeps."""
        return self.config_dir / "keys.json"


def _home_of_user() -> str:
    """Return the home directory in the password database; `/` for a user without an entry, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"


def expand(path: str, home: Path) -> Path:
    """`path` with a leading `~/` as `home`."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return Path(path)


def why_unwritable(directory: Path) -> str | None:
    """Why no file could be made in `directory`, which need not exist yet; None if one could."""
    place = next((p for p in (directory, *directory.parents) if os.path.exists(p)), Path("/"))
    if not os.path.isdir(place):
        return f"{place.name} is not a directory"
    if os.access(place, os.W_OK | os.X_OK):
        return None
    return "read-only file system" if os.statvfs(place).f_flag & os.ST_RDONLY else "permission denied"


def read_own(path: Path, limit: int) -> str | None:
    """The text of a file that must be the user's own, as those that are found in a working directory; None if absent.

    Raises UsageError if it is a link, a fifo or the like, belongs to somebody else, can be written by others, is larger
    than `limit` bytes, or is not UTF-8.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else _why(error)
        raise _untrusted(path, why, "remove it, or make it a file of your own") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _untrusted(path, "it is not a regular file", "remove it, or make it a file of your own")
        if status.st_uid != os.geteuid():
            raise _untrusted(path, "it belongs to another user", "if you trust it, make a copy of your own")
        if status.st_mode & 0o022:
            raise _untrusted(path, "others can write to it", f"if you trust it: chmod go-w {path.name}")
        with open(fd, "rb", closefd=False) as file:
            return decode(path, file.read(limit + 1), limit)
    finally:
        os.close(fd)


def decode(path: Path, data: bytes, limit: int) -> str:
    """The bytes of `path` as text. Raises UsageError if they are more than `limit` or not UTF-8."""
    if len(data) > limit:
        raise _untrusted(path, f"it is larger than {limit >> 10} KiB", "make it smaller")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _untrusted(path, "it is not UTF-8 text", "write it again as UTF-8") from None


def _untrusted(path: Path, why: str, next: str) -> UsageError:
    return UsageError(f"{path} is not read: {why}", next)


def _why(error: OSError) -> str:
    return (error.strerror or "the system refused").lower()
