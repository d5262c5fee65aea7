"""Complete session names: names cached until the directory changes, details from the index."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

from llmrepl.sessions.index.index import Index
from llmrepl.sessions.index.query import Row
from llmrepl.sessions.index.schema import IndexUnavailable
from llmrepl.sessions.names import session_names
from llmrepl.system.files import FileStamp, file_stamp

Answer = TypeVar("Answer")

MOST = 100
"""Maximum number of names offered at once."""

FEW = 300
"""Refresh the index for at most this many files."""

MOST_BY_LETTERS = 20_000

_PACKED = "\ud800"
"""A lone surrogate, which cannot occur in a file name."""


class NameList:
    """File names of sessions, searchable by prefix, substring or subsequence."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = sorted(files, key=str.casefold)
        self._casefolded = [file.casefold() for file in self._files]

    @cached_property
    def _stems(self) -> str:
        """All casefolded names without extension, each followed by NUL.

        One string, so that 100,000 names are searched fast.
        """
        joined = "\0".join([*self._casefolded, ""])
        joined = joined.replace(".json.gz\0", f"{_PACKED}\0").replace(".json\0", "\0")
        return joined.replace(f"{_PACKED}\0", "\0")

    def __len__(self) -> int:
        return len(self._files)

    def match(self, typed: str, most: int = MOST) -> list[str]:
        """Return at most `most` matching names, last in alphabetical order first, so the newest automatic name leads.

        If more names start with `typed`, the alphabetically first is included so that the common prefix can be
        computed.
        """
        typed = typed.casefold()
        first = bisect_left(self._casefolded, typed)
        end = bisect_left(self._casefolded, f"{typed}\U0010ffff", first)
        found = self._files[max(first, end - most) : end]
        if end - first > most:
            found[0] = self._files[first]
        if self._files and not found:
            return [self._files[at] for at in islice(self._having(typed), most)]
        return found[::-1]

    def _having(self, typed: str) -> Iterator[int]:
        """Yield the positions of names that contain `typed`, or its letters in order, last first."""
        stems, number = self._stems, len(self)
        at, behind = stems.rfind(typed), len(stems)
        if at < 0:
            letters = re.compile("".join(f"[^{re.escape(c)}]*+{re.escape(c)}" for c in typed))
            last = enumerate(reversed(stems.split("\0")[:-1][-MOST_BY_LETTERS:]), 1)
            yield from (len(self) - back for back, stem in last if letters.match(stem))
        while at >= 0:
            number -= stems.count("\0", at, behind)
            yield number
            behind, at = at, stems.rfind(typed, 0, stems.rfind("\0", 0, at) + 1)


class SessionNameIndex:
    """Session names with what the index at `path` knows of them. `time_ns` is the clock for file times. Thread-safe."""

    def __init__(self, path: Path, time_ns: Callable[[], int]) -> None:
        self._path = path
        self._time_ns = time_ns
        self._last: tuple[Path, FileStamp | None, NameList] | None = None

    def match(self, directory: Path, typed: str) -> list[Row]:
        """Return sessions whose names match `typed`; a session that is not indexed has only its name."""
        names = self._names(directory)
        found = names.match(typed)
        known = self._ask(directory, names, lambda index: index.rows_by_name(directory, found)) or {}
        return [known.get(name) or Row(name) for name in found]

    def tags(self, directory: Path) -> dict[str, int]:
        """Return each tag with the number of sessions that have it."""
        return self._ask(directory, self._names(directory), lambda index: index.tags(directory)) or {}

    def _ask(self, directory: Path, names: NameList, question: Callable[[Index], Answer]) -> Answer | None:
        """Query the index, refreshed first if the directory is small; None if it is unavailable."""
        index = Index(self._path, self._time_ns)
        try:
            if len(names) <= FEW:
                index.refresh(directory, lambda what, done, total: None)
            return question(index)
        except IndexUnavailable:
            return None
        finally:
            index.close()

    def _names(self, directory: Path) -> NameList:
        try:
            state = file_stamp(directory)
        except OSError:
            state = None
        last = self._last
        if last is None or last[:2] != (directory, state):
            self._last = last = directory, state, NameList(session_names(directory))
        return last[2]
