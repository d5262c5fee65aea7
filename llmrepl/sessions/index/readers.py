"""Read many session files for the index: in this process and, for a large directory, in a second one.

Parsing holds Python's lock, so only a process of its own uses another core.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import IO, NamedTuple

from llmrepl.sessions.index import scan, search
from llmrepl.sessions.index.query import Row
from llmrepl.sessions.index.sql import to_bytes, to_text

MIN_FILES = 5000
"""From this number of files a second process reads faster than it starts."""

_COMMAND = ("-P", "-c", "from llmrepl.sessions.index.readers import main; main()")

FACTS = tuple(field.name for field in fields(Row))[1:]
"""The fields of a Row other than its name, in storage order."""

_facts = attrgetter(*FACTS)


class Entry(NamedTuple):
    """What the index stores of one file: columns to sort and sum by, all fields as JSON, and the text to search."""

    damaged: bool
    epoch: float
    model: str
    turns: int
    tokens: int
    cost: float
    unpriced: int
    has_parts: bool
    facts: str
    text: str | None


class Files(NamedTuple):
    """Files to read: names in a directory, the names of all its journals, and whether to return the messages."""

    directory: Path
    names: list[bytes]
    journals: set[str]
    texts: bool


def read_entries(files: Files) -> list[Entry]:
    """Read the files in this process."""
    return [_entry(files, to_text(name)) for name in files.names]


def _entry(files: Files, name: str) -> Entry:
    row, data = scan.read_listed(files.directory, name, files.journals)
    text = search.searchable_text(data) if files.texts and data is not None else None
    return Entry(
        bool(row.damaged),
        row.epoch,
        row.model,
        row.turns,
        row.tokens,
        row.cost,
        row.unpriced,
        bool(row.parts),
        scan.encode(_facts(row)),
        text,
    )


def read_batches(batches: list[Files]) -> Iterator[tuple[int, list[Entry]]]:
    """Yield the number of each batch with its entries, in any order; at most two batches are in memory."""
    many = sum(len(batch.names) for batch in batches) >= MIN_FILES
    waiting = deque(enumerate(batches))
    with SecondReader.started() if many else nullcontext() as second:
        if second:
            second.submit(*waiting.popleft())
        while waiting or (second and second.busy):
            # Writing texts takes longer than reading them, so this process then leaves the reading to the second one.
            if second and second.busy and (not waiting or batches[0].texts or second.ready()):
                done = second.result()
                if waiting and second.running:
                    second.submit(*waiting.popleft())
                yield done
            else:
                number, batch = waiting.popleft()
                yield number, read_entries(batch)


class SecondReader:
    """A process that reads one batch at a time. If it fails, its batch is read in this process instead."""

    def __init__(self, requests: IO[bytes], results: IO[bytes]) -> None:
        self._requests, self._results = requests, results
        self._submitted: list[tuple[int, Files]] = []
        self.running = True

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[SecondReader | None]:
        """Start the process, and end it with the block; None if it cannot be started."""
        try:
            process = subprocess.Popen(  # a session of its own: Ctrl-C at the terminal is for the shell
                [sys.executable, *_COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            yield None
            return
        with process:
            try:
                yield cls(process.stdin, process.stdout) if process.stdin and process.stdout else None
            finally:
                process.kill()

    @property
    def busy(self) -> bool:
        """Whether a batch was submitted whose result has not been taken."""
        return bool(self._submitted)

    def submit(self, number: int, batch: Files) -> None:
        """Start to read a batch. The result of the one before must have been taken, or both processes could block."""
        self._submitted.append((number, batch))
        names = [to_text(name) for name in batch.names]
        try:
            _send(self._requests, [str(batch.directory), names, list(batch.journals), batch.texts])
        except OSError:
            self.running = False

    def ready(self) -> bool:
        """Whether the result can be taken without waiting for the process to read more files."""
        return not self.running or bool(select.select([self._results], [], [], 0)[0])

    def result(self) -> tuple[int, list[Entry]]:
        """Return the number and the entries of the submitted batch."""
        number, batch = self._submitted.pop()
        if self.running:
            try:
                return number, [Entry(*values) for values in json.loads(self._results.readline())]
            except (OSError, ValueError):  # it has ended
                self.running = False
        return number, read_entries(batch)


def main() -> None:
    """Read batches from stdin and write their entries to stdout, until stdin ends."""
    with suppress(OSError), os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as results:
        for line in requests:
            directory, names, journals, texts = json.loads(line)
            files = Files(Path(directory), [to_bytes(name) for name in names], set(journals), texts)
            _send(results, read_entries(files))


def _send(stream: IO[bytes], message: object) -> None:
    """Write a message as one line."""
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()
