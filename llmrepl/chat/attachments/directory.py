"""The files below a directory that are worth reading: neither hidden, nor links, nor named by .gitignore."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.attachments.found import MAX_VISITED, Found
from llmrepl.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_MAX_IGNORE_FILE = 1 << 18
"""Bytes of a .gitignore that are read."""

HIDDEN, LINKS, IGNORED = "hidden", "symbolic links", "ignored by .gitignore"


def text_files(directory: Path, found: Found) -> Iterator[Path]:
    """Yield the regular files below `directory` in order of their paths; what is left out is counted in `found`.

    Symbolic links are left out, because a directory from elsewhere may link to any file of the user.
    """
    rules, visited = IgnoreRules(directory), 0
    waiting = [str(directory)]
    while waiting:
        place = waiting.pop()
        if os.path.isfile(place):
            yield Path(place)
            continue
        entries = _entries(place, found)
        visited += len(entries)
        if visited > MAX_VISITED:
            raise UsageError(f"{directory} has more than {MAX_VISITED:,} files.", "':attach' takes a smaller directory")
        for entry in reversed(entries):
            if why := _left_out(entry, rules):
                found.leave_out(why)
            elif entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                waiting.append(entry.path)


def _entries(place: str, found: Found) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        found.leave_out("unreadable")
        return []


def _left_out(entry: os.DirEntry[str], rules: IgnoreRules) -> str:
    """Return why an entry is left out; empty if it is not."""
    if entry.name.startswith("."):
        return HIDDEN
    if entry.is_symlink():
        return LINKS
    return IGNORED if rules.matches(entry.path, is_dir=entry.is_dir(follow_symlinks=False)) else ""


def not_ignored(paths: Iterable[Path], top: Path, found: Found) -> Iterator[Path]:
    """Yield the paths below `top` that no .gitignore names; the others are counted in `found`."""
    rules = IgnoreRules(top)
    for path in paths:
        above = [parent for parent in path.parents if parent != top and parent.is_relative_to(top)]
        if any(rules.matches(str(parent), is_dir=True) for parent in above) or rules.matches(str(path), is_dir=False):
            found.leave_out(IGNORED)
        else:
            yield path


class IgnoreRules:
    """The .gitignore files that apply below a directory: its own, those above it in the repository, those below it.

    As in git, the last pattern of the deepest file that matches decides (git-scm.com/docs/gitignore).
    """

    def __init__(self, directory: Path) -> None:
        self._top = str(_repository(directory) or directory)
        self._specs: dict[str, list[tuple[str, GitIgnoreSpec]]] = {}

    def matches(self, path: str, *, is_dir: bool) -> bool:
        """Whether a path itself is ignored; its parents are not looked at."""
        for base, spec in self._rules_in(os.path.dirname(path)):
            relative = os.path.relpath(path, base)
            decision = spec.check_file(relative + "/" if is_dir else relative).include
            if decision is not None:
                return decision
        return False

    def _rules_in(self, directory: str) -> list[tuple[str, GitIgnoreSpec]]:
        """Return the rules that apply to the entries of a directory, the strongest first."""
        known = self._specs.get(directory)
        if known is None:
            above = os.path.dirname(directory)
            if directory == self._top or above == directory or not _is_below(directory, self._top):
                outer = _read(os.path.join(directory, ".git", "info", "exclude"), directory)
            else:
                outer = self._rules_in(above)
            known = [*_read(os.path.join(directory, ".gitignore"), directory), *outer]
            self._specs[directory] = known
        return known


def _read(file: str, base: str) -> list[tuple[str, GitIgnoreSpec]]:
    try:
        with open(file, "rb") as opened:
            lines = opened.read(_MAX_IGNORE_FILE).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    from pathspec import GitIgnoreSpec

    return [(base, GitIgnoreSpec.from_lines(lines))]


def _repository(directory: Path) -> Path | None:
    """Return the top directory of the git repository that a directory is in."""
    return next((place for place in (directory, *directory.parents) if (place / ".git").exists()), None)


def _is_below(directory: str, top: str) -> bool:
    return directory.startswith(top.rstrip("/") + "/")
