"""Locations of everything but sessions, and careful reading of untrusted files."""

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
    """The program's directories by the XDG base directory specification; none is created here.

    platformdirs is not used: it reads the process environment, uses ~/Library on macOS, and takes 6 to 10 ms to import.
    """

    home: Path
    config_dir: Path
    state_dir: Path
    cache_dir: Path

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Paths:
        """Determine the directories from LLM_CONFIG_DIR, XDG_*_HOME (if absolute) and HOME."""
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
        """The user's configuration file."""
        return self.config_dir / "config.toml"

    @property
    def index_file(self) -> Path:
        """The session index, which is safe to delete."""
        return self.cache_dir / "index.db"

    @property
    def early_prompt_file(self) -> Path:
        """The screen above the prompt of the last start."""
        from llmrepl.system.early_prompt import NAME

        return self.cache_dir / NAME

    @property
    def directories_file(self) -> Path:
        """The list of sessions directories used so far."""
        return self.state_dir / "directories"

    @property
    def keys_file(self) -> Path:
        """The keys saved by `llm keys set`."""
        return self.config_dir / "keys.json"


def _home_of_user() -> str:
    """Return the home directory in the password database; `/` for a user without an entry, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"


def expand(path: str, home: Path) -> Path:
    """Replace a leading `~/` by `home`."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return Path(path)


def why_unwritable(directory: Path) -> str | None:
    """Return why no file can be created in `directory`, which need not exist yet; None if one can."""
    place = next((p for p in (directory, *directory.parents) if os.path.exists(p)), Path("/"))
    if not os.path.isdir(place):
        return f"{place.name} is not a directory"
    if os.access(place, os.W_OK | os.X_OK):
        return None
    return "read-only file system" if os.statvfs(place).f_flag & os.ST_RDONLY else "permission denied"


def read_own(path: Path, limit: int) -> str | None:
    """Read a file that must belong to the user, such as one found in the working directory; None if absent.

    Raises UsageError if it is not a regular file, belongs to another user, is writable by others, is larger than
    `limit` bytes, or is not UTF-8.
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
    """Decode the bytes of `path`. Raises UsageError if there are more than `limit` or they are not UTF-8."""
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
