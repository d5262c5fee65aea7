"""Power failures: every state that the disk can be in afterwards, derived from the calls of a run.

What was not flushed with fsync may be missing: of a file's bytes all, half or none, and of the names in each directory
the later ones. (POSIX promises no more; file systems keep more.)
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from tests.faults import storage
from tests.faults.injected import Operation, Plan
from tests.faults.report import Outcome
from tests.faults.scenarios import SCENARIOS, Scenario

FLUSHED = ("none", "half", "all")
"""How much arrived of the bytes that were not flushed."""


@dataclass(frozen=True)
class State:
    """A disk after a power failure: files and directories by path, and what the program had printed by then."""

    scenario: Scenario
    case: str
    files: tuple[tuple[str, bytes], ...]
    directories: tuple[str, ...]
    out: str


@dataclass
class _File:
    data: bytes = b""
    flushed: bytes = b""

    def after(self, how: str) -> bytes:
        """Return the durable state."""
        if how == "all":
            return self.data
        more = self.data[len(self.flushed) :] if how == "half" and self.data.startswith(self.flushed) else b""
        return self.flushed + more[: len(more) // 2]


Change = tuple[str, _File | None]
"""A name, and the file that it is of from then on; None if it is gone. A directory is a file that ends in a slash."""


@dataclass
class _Disk:
    """The file names as the program sees them and as they are durably on disk, with the changes between, in order."""

    names: dict[str, _File]
    sure: dict[str, _File] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, name: str, file: _File | None) -> None:
        """Add or remove a name."""
        self.pending.append((name, file))
        _apply(self.names, name, file)

    def do(self, one: Operation) -> None:
        """Apply a recorded call."""
        path, file = one.path, self.names.get(one.path)
        if one.name == "open" and file is None:
            self.change(path, _File())
        elif one.name == "mkdir" and f"{path}/" not in self.names:
            self.change(f"{path}/", _File())
        elif one.name == "unlink" and file:
            self.change(path, None)
        elif one.name == "link" and file and one.other not in self.names:
            self.change(one.other, file)
        elif one.name in ("rename", "replace") and file:
            self.change(one.other, file)
            self.change(path, None)
        elif one.name == "write" and file:
            file.data += one.data
        elif one.name == "ftruncate" and file:
            file.data = file.data[: one.size]
        elif one.name == "fsync":
            self._flush(path, file)

    def _flush(self, path: str, file: _File | None) -> None:
        if file:
            file.flushed = file.data
            return
        here = "" if path == "." else path
        for change in [change for change in self.pending if os.path.dirname(change[0].rstrip("/")) == here]:
            _apply(self.sure, *change)
            self.pending.remove(change)

    def states(self) -> Iterator[tuple[str, dict[str, bytes]]]:
        """Yield the possible states of the disk: a label, and the bytes by name."""
        places = list(dict.fromkeys(os.path.dirname(name.rstrip("/")) for name, _ in self.pending))
        changes = [[c for c in self.pending if os.path.dirname(c[0].rstrip("/")) == place] for place in places]
        for counts in product(*(range(len(some) + 1) for some in changes)):
            names = dict(self.sure)
            for some, count in zip(changes, counts, strict=True):
                for change in some[:count]:
                    _apply(names, *change)
            for how in FLUSHED:
                yield f"{counts} names, {how} of the bytes", {name: file.after(how) for name, file in names.items()}


def _apply(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def cases() -> Iterator[State]:
    """Yield every state of every scenario once."""
    for scenario in SCENARIOS:
        yield from _states(scenario)


def _states(scenario: Scenario) -> Iterator[State]:
    with storage.place(scenario) as cli:
        disk = _disk(cli.cwd.parent)
        ended, operations = storage.faulty(cli, scenario, Plan())
    seen: set[object] = set()
    out = ended.out.encode()
    for number, one in enumerate([*operations, None]):
        said = out[: one.said] if one else out
        for how, found in disk.states():
            files = tuple(sorted((name, data) for name, data in found.items() if not name.endswith("/")))
            directories = tuple(sorted(name for name in found if name.endswith("/")))
            if (files, directories, said) not in seen:
                seen.add((files, directories, said))
                case = f"power cut before call {number}, {how}"
                yield State(scenario, case, files, directories, said.decode("utf-8", "ignore"))
        if one:
            disk.do(one)


def _disk(top: Path) -> _Disk:
    """Return the disk as prepared, completely flushed."""
    names: dict[str, _File] = {}
    for path in top.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        names[f"{path.relative_to(top)}{'/' if path.is_dir() else ''}"] = _File(data, data)
    return _Disk(names, dict(names))


def attempt(state: State) -> Outcome:
    """Start the program on this disk and check what it finds."""
    with storage.place(state.scenario) as cli:
        before = storage.Kept.of(cli)
        top = cli.cwd.parent
        for path in top.iterdir():
            shutil.rmtree(path)
        for name in state.directories:
            (top / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in state.files:
            (top / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (top / name).write_bytes(data)
        ended = storage.Ended(-signal.SIGKILL, state.out, "")
        return storage.judged(state.scenario, state.case, cli, before, ended, (-signal.SIGKILL,), 1)
