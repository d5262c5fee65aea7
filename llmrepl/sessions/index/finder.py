"""Find sessions through the index, or by reading the files where no index can be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from llmrepl.sessions.index import scan
from llmrepl.sessions.index.full_text import Progress
from llmrepl.sessions.index.index import Index
from llmrepl.sessions.index.query import Filters, FoundSessions, Row, filter_and_sort
from llmrepl.sessions.index.schema import IndexUnavailable
from llmrepl.sessions.index.search import Hit, find_hits
from llmrepl.sessions.stats import Totals, total_by_model

SAMPLE = 200
"""How many matches are sampled to estimate how common a text is."""

COMMON = 0.05
"""A text in more than this fraction of sessions is common: scanning the newest sessions finds it sooner."""

PEEK = 500
"""How many of the newest sessions are scanned before the index is queried."""

TRIGRAM = 3
"""Minimum length of a text that the trigram index finds faster than a scan does."""

QUICK_SECONDS = 0.03
SHARE = 100
MOST_SECONDS = 30.0
"""A refresh that took longer than QUICK_SECONDS is reused for SHARE times its duration.

The limit is MOST_SECONDS. A file that is added, removed or replaced ends it.
"""


class SessionFinder:
    """Finds sessions and messages. `progress` is called while files are indexed; `monotonic` is a clock in seconds."""

    def __init__(self, index: Index, progress: Progress, monotonic: Callable[[], float]) -> None:
        self._index = index
        self._progress = progress
        self._monotonic = monotonic
        self._checked: dict[Path, tuple[int, float, float]] = {}

    def find(
        self,
        directory: Path,
        filters: Filters,
        sort: str = "date",
        limit: int | None = None,
        contains: str | None = None,
    ) -> FoundSessions:
        """Return at most `limit` sessions that pass `filters` and have `contains` in a message, pinned ones first.

        `sort` is one of query.SORTS.
        """
        try:
            self._index.refresh(directory, self._progress, texts=contains is not None)
            with self._index.snapshot():
                rows = self._containing(directory, filters, sort, contains)
                return FoundSessions(list(islice(rows, limit)), self._index.damaged(directory))
        except IndexUnavailable:
            every = list(scan.rows(directory, contains))
        valid = filter_and_sort((row for row in every if not row.damaged), filters, sort, limit, pinned_first=True)
        return FoundSessions(valid, sorted((row for row in every if row.damaged), key=lambda row: row.name))

    def search(self, directory: Path, wanted: str, filters: Filters, limit: int | None = None) -> list[Hit]:
        """Return at most `limit` messages that contain `wanted`, ignoring case, newest session first."""
        try:
            if not self._recently_checked(directory):
                self._check(directory)
            with self._index.snapshot():
                return list(islice(self._hits(directory, wanted, filters), limit))
        except IndexUnavailable:
            rows = filter_and_sort((row for row in scan.rows(directory) if not row.damaged), filters)
            return list(islice((hit for row in rows for hit in _hits_in(directory, row, wanted)), limit))

    def totals(self, directory: Path, filters: Filters) -> dict[str, Totals]:
        """Return the totals of each model over the sessions that pass `filters`."""
        if filters.tag is not None or filters.system_contains is not None:
            return total_by_model(self.find(directory, filters).rows, partial(scan.exists, directory))
        try:
            self._index.refresh(directory, self._progress)
            return self._index.sums(directory, filters)
        except IndexUnavailable:
            rows = (row for row in scan.rows(directory) if not row.damaged and filters.match(row))
            return total_by_model(rows, partial(scan.exists, directory))

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _containing(self, directory: Path, filters: Filters, sort: str, contains: str | None) -> Iterator[Row]:
        ids = self._index.match(contains) if contains is not None else None
        for id, row in self._index.rows(directory, filters, sort, ids, pinned_first=True):
            known = contains is None or (ids is not None and id is not None)
            if known or scan.read_row(directory / row.name, contains):
                yield row

    def _hits(self, directory: Path, wanted: str, filters: Filters) -> Iterator[Hit]:
        """Yield hits; if the text is common, scan the newest sessions before querying the index."""
        sample = self._index.match(wanted, SAMPLE, nearly=True) if len(wanted) >= TRIGRAM else None
        common = len(wanted) < TRIGRAM or (sample is not None and _share(sample) > COMMON)
        seen: set[str] = set()
        if common:
            for _, row in islice(self._index.rows(directory, filters), PEEK):
                seen.add(row.name)
                yield from _hits_in(directory, row, wanted)
            if len(seen) < PEEK:
                return
        some = self._index.match(wanted, nearly=True) if common or len(sample or ()) == SAMPLE else sample
        for _, row in self._index.rows(directory, filters, ids=some):
            if row.name not in seen:
                yield from _hits_in(directory, row, wanted)

    def _recently_checked(self, directory: Path) -> bool:
        changed, when, seconds = self._checked.get(directory, (0, 0.0, 0.0))
        if not changed or seconds < QUICK_SECONDS or changed != _directory_mtime(directory):
            return False
        return self._monotonic() - when < min(seconds * SHARE, MOST_SECONDS)

    def _check(self, directory: Path) -> None:
        changed, began = _directory_mtime(directory), self._monotonic()
        self._index.refresh(directory, self._progress, texts=True)
        ended = self._monotonic()
        self._checked[directory] = (changed, ended, ended - began)


def _share(sample: list[int]) -> float:
    """Estimate the fraction of sessions that contain a text from the row ids of its first SAMPLE matches."""
    return SAMPLE / (sample[-1] - sample[0] + 1) if len(sample) == SAMPLE else 0.0


def _hits_in(directory: Path, row: Row, wanted: str) -> Iterator[Hit]:
    _, data = scan.read(directory / row.name)
    for hit in find_hits(row.name, data, wanted) if data else ():
        hit.epoch = row.epoch
        yield hit


def _directory_mtime(directory: Path) -> int:
    """Return when a file was last added, removed or replaced, in ns; 0 if the directory cannot be read."""
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0
