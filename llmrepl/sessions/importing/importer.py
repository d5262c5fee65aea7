"""Save imported conversations as sessions, each once, under a name derived from its title."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from llmrepl.errors import LLMError, SaveError
from llmrepl.formatting import escape_name
from llmrepl.sessions.archive.trash import ARCHIVE
from llmrepl.sessions.importing.found import KNOWN, FoundConversation, Origin, Skipped, skip_known
from llmrepl.sessions.index import scan
from llmrepl.sessions.index.query import parse_epoch
from llmrepl.sessions.names import comparison_key, name_from_title, session_names, without_ending
from llmrepl.sessions.storage.store import Store
from llmrepl.system import files
from llmrepl.system.locked_file import hold_lock

WAIT_SECONDS = 600.0
"""Maximum wait for another import into the same directory, which may contain the same conversations."""

_POSITION = re.compile(r"line \d+, column \d+: ")


@dataclass(slots=True)
class ImportResult:
    """Result of an import.

    `imported` has file name, turns and title of each new session; `left_out` maps a kind to its number and the title or
    position of the first; `known` counts conversations imported before. `failure` is the error that stopped the import,
    if any.
    """

    imported: list[tuple[str, int, str]] = field(default_factory=list)
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    known: int = 0
    failure: LLMError | None = None

    def leave_out(self, kind: str, number: int, where: str) -> None:
        """Count what was left out."""
        before, first = self.left_out.get(kind, (0, where))
        self.left_out[kind] = (before + number, first)


def import_all(
    store: Store, items: Iterable[FoundConversation | Skipped], now: datetime, *, dry_run: bool
) -> ImportResult:
    """Save the new conversations among `items`, each before the next is read. With `dry_run`, only report them.

    Raises LLMError if nothing was imported yet; later errors are in the result.
    """
    done = ImportResult()
    if dry_run:
        _import_new(store, items, now, done, dry_run=True)
        return done
    try:
        files.private_mkdir(store.directory)
        with hold_lock(store.directory / ".import.lock", WAIT_SECONDS):
            _import_new(store, items, now, done, dry_run=False)
    except OSError as error:
        raise SaveError(
            f"cannot write in {escape_name(str(store.directory))}: {files.reason(error)}",
            "repair the directory, or choose another with --dir",
        ) from error
    return done


def import_one(store: Store, item: FoundConversation, now: datetime) -> Path:
    """Save a conversation as a session unless that was done before; return its file in both cases. Raises LLMError."""
    done = import_all(store, [item], now, dry_run=False)
    if done.imported:
        return store.directory / done.imported[0][0]
    for path, origin, messages in _imported(store):
        if origin == item.origin and messages >= item.messages:
            return path
    raise done.failure or LLMError(f"{escape_name(item.title)} was moved meanwhile", "try again")


def _imported(store: Store) -> Iterator[tuple[Path, Origin, int]]:
    """Yield file, origin and number of messages of each session that was imported, archived ones too."""
    for place in (store.directory, store.directory / ARCHIVE):
        for name in session_names(place):
            if found := scan.origin(place / name):
                source, id, messages = found
                yield place / name, (source, id), messages


def _import_new(
    store: Store, items: Iterable[FoundConversation | Skipped], now: datetime, done: ImportResult, *, dry_run: bool
) -> None:
    known: dict[Origin, int] = {}
    for _, origin, messages in _imported(store):
        known[origin] = max(messages, known.get(origin, 0))
    names = _NameAllocator(session_names(store.directory))
    try:
        for item in skip_known(items, known):
            if isinstance(item, FoundConversation):
                name = names.free(name_from_title(item.title) or _dated_name(item, now))
                name = f"{name}.json" if dry_run else store.add(item.session, name).name
                done.imported.append((name, len(item.session.turns), item.title))
                for noun, number in item.left_out:
                    done.leave_out(noun, number, item.title)
            elif item.why == KNOWN:
                done.known += 1
            else:
                done.leave_out(_POSITION.sub("", item.why), 1, item.where)
    except LLMError as failure:
        if not done.imported:
            raise
        done.failure = failure


class _NameAllocator:
    """Allocates unused names, numbered if necessary, without trying all numbers each time."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {comparison_key(without_ending(name)) for name in taken}
        self._last: Counter[str] = Counter()

    def free(self, name: str) -> str:
        key = comparison_key(name)
        while True:
            self._last[key] += 1
            candidate = name if self._last[key] == 1 else f"{name}-{self._last[key]}"
            if comparison_key(candidate) not in self._taken:
                self._taken.add(comparison_key(candidate))
                return candidate


def _dated_name(item: FoundConversation, now: datetime) -> str:
    try:
        begun = datetime.fromtimestamp(parse_epoch(item.session.created_at, now.timestamp()))
    except (ValueError, OverflowError, OSError):
        begun = now
    return f"session_{begun:%Y%m%d_%H%M%S}"
