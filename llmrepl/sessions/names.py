"""Session names: which are valid, and which file a name refers to."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

MAX_NAME_BYTES = 200
"""Leaves space for the suffixes of temporary files, journals and archives within 255 bytes."""

ENDINGS = (".json", ".json.gz")

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_NOT_PORTABLE = set('<>:|?*"')


def check_name(given: str) -> str:
    """Normalize a session name to NFC without `.json`.

    Raises UsageError if the name would leave the directory, be hidden, or not be portable.
    """
    name = unicodedata.normalize("NFC", without_ending(given))
    reason = _refusal(name)
    if reason:
        raise UsageError(f"A session name {reason[0]}.", reason[1])
    return name


def name_from_title(title: str, most: int = 60) -> str:
    """Derive a session name from a title: letters and digits, separated by `_`; empty if there are none."""
    chars = (c if unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", title.lower()))
    name = "_".join("".join(chars).split())[:most].rstrip("_")
    return "" if _refusal(name) else name


def without_ending(name: str) -> str:
    """Return `name` without `.json` or `.json.gz`."""
    for ending in reversed(ENDINGS):
        if name.endswith(ending) and name != ending:
            return name[: -len(ending)]
    return name


def same_name(one: str, other: str) -> bool:
    """Whether two names refer to the same file on some filesystem: equal in NFC, ignoring case."""
    return comparison_key(one) == comparison_key(other)


def find_session(directory: Path, given: str, cwd: Path) -> Path:
    """Find the file that `given` refers to: a path, file name, session name or unambiguous prefix.

    Raises UsageError if none or several match (the matches are listed).
    """
    if "\0" in given or not given.strip():
        raise UsageError("A session name cannot be empty.", "llm sessions list shows the names")
    if "/" in given or given.startswith("~"):
        path = cwd / os.path.expanduser(given)
        hit = next((p for p in [*_spellings(path), path] if os.path.lexists(p)), None)
        if hit is None:
            raise UsageError(f"There is no session {escape_name(given)}.", "llm sessions list shows those there are")
        return hit
    for place in (directory, cwd):
        for path in _spellings(place / given):
            if os.path.lexists(path) and (place == directory or path.name.endswith(ENDINGS)):
                return path
    return _by_prefix(directory, given)


def session_names(directory: Path) -> list[str]:
    """List the file names of all sessions in `directory`, unsorted; empty if it cannot be read."""
    try:
        return [name for name in os.listdir(directory) if name.endswith(ENDINGS) and name[0] != "."]
    except OSError:
        return []


class Journals:
    """Whether a directory contains journals, cached until the directory changes."""

    def __init__(self) -> None:
        self._found: dict[Path, tuple[int, bool]] = {}

    def there(self, directory: Path) -> bool:
        """Whether there is a journal in `directory`; False if it cannot be read."""
        try:
            changed = os.stat(directory).st_mtime_ns
            if self._found.get(directory, (0, False))[0] != changed:
                found = any(n for n in os.listdir(directory) if n[0] == "." and n.endswith(".journal"))
                self._found[directory] = changed, found
        except OSError:
            return False
        return self._found[directory][1]


def matching_names(directory: Path, given: str) -> list[str]:
    """Return the file names of the sessions that `given` names exactly or, if there are none, is a prefix of."""
    wanted = comparison_key(without_ending(given))
    names = session_names(directory)
    exact = [n for n in names if comparison_key(without_ending(n)) == wanted]
    return exact or [n for n in names if comparison_key(n).startswith(wanted)]


def _by_prefix(directory: Path, given: str) -> Path:
    found = matching_names(directory, given)
    if len(found) == 1:
        return directory / found[0]
    if not found:
        raise UsageError(
            f"There is no session {escape_name(given)} in {directory}.", "llm sessions list shows those there are"
        )
    raise UsageError(f"{escape_name(given)} may mean {_join_names(found)}.", "Write more of the name")


def _join_names(names: Iterable[str], most: int = 8) -> str:
    names = sorted(escape_name(without_ending(n)) for n in names)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} or {len(names) - most} more"


def _spellings(path: Path) -> list[Path]:
    return [path] if path.name.endswith(ENDINGS) else [path.with_name(path.name + e) for e in ENDINGS]


def comparison_key(name: str) -> str:
    """Return a key that is equal for names of the same file on some filesystem."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refusal(name: str) -> tuple[str, str] | None:
    other = "Choose another name"
    if not name.strip() or name in (".", ".."):
        return "cannot be empty", other
    if "/" in name or "\\" in name:
        return "cannot contain / or \\", ":export FORMAT PATH writes elsewhere"
    if name.startswith("~"):
        return "cannot begin with ~", ":export FORMAT PATH writes elsewhere"
    if escape_name(name) != name:
        return "cannot contain control or invisible characters", other
    if name != name.strip() or name[0] == "." or name[-1] == ".":
        return "cannot begin with a dot or a blank, nor end with one", other
    if _NOT_PORTABLE & set(name):
        return 'cannot contain any of < > : | ? * "', other
    if name.split(".")[0].strip().casefold() in _DEVICES:
        return f"cannot be {name}: some systems keep that for a device", other
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"cannot be longer than {MAX_NAME_BYTES} bytes", "Choose a shorter name"
    return None
