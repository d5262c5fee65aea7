"""Session names for Tab: kept in memory until a file comes or goes, with what the index last knew of them."""

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
"""How many names are offered at once."""

FEW = 300
"""So many files are looked at anew before they are described; of more it is told what was last known."""

MOST_BY_LETTERS = 20_000

_PACKED = "\ud800"
"""Half of a pair, which no name of a file has."""


class NameList:
    """File names of sessions, found by how they begin, by a part of them, or by letters in their order."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = sorted(files, key=str.casefold)
        self._casefolded = [file.casefold() for file in self._files]

    @cached_property
    def _stems(self) -> str:
        """The folded names without their endings, a NUL after each; all at once, for there may be 100,000."""
        joined = "\0".join([*self._casefolded, ""])
        joined = joined.replace(".json.gz\0", f"{_PACKED}\0").replace(".json\0", "\0")
        return joined.replace(f"{_PACKED}\0", "\0")

    def __len__(self) -> int:
        return len(self._files)

    def match(self, typed: str, most: int = MOST) -> list[str]:
        """At most `most` names that fit, the last by name (so the newest automatic one) first.

        If more begin with `typed`, the first by name is among them, so that what all have in common can be told.
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
        """Where the names are that have `typed` in them, or else its letters in their order; the last one first."""
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
    """The names of a directory and what the index at `path` knows of them; `time_ns` is the clock that dates files.

    It may be used in any thread.
    """

    def __init__(self, path: Path, time_ns: Callable[[], int]) -> None:
        self._path = path
        self._time_ns = time_ns
        self._last: tuple[Path, FileStamp | None, NameList] | None = None

    def match(self, directory: Path, typed: str) -> list[Row]:
        """The sessions whose names fit what was typed; of some no more than the name is known."""
        names = self._names(directory)
        found = names.match(typed)
        known = self._ask(directory, names, lambda index: index.rows_by_name(directory, found)) or {}
        return [known.get(name) or Row(name) for name in found]

    def tags(self, directory: Path) -> dict[str, int]:
        """The tags, with how many sessions have each."""
        return self._ask(directory, self._names(directory), lambda index: index.tags(directory)) or {}

    def _ask(self, directory: Path, names: NameList, question: Callable[[Index], Answer]) -> Answer | None:
        """What the index says, brought up to date if that takes no time; None where it cannot be used."""
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
