"""Random histories of three machines that share a sessions directory in Git, with partitions and crashes.

Git is the real one. The machines are working trees of one repository, each on a branch of its own, which merges as
clones do without the time to fetch. The merge driver that git starts hands its files to this process, which runs the
command there: 10,000 histories need some 70,000 merges, and starting an interpreter for each would take hours.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import select
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from llmrepl.sessions.branches import changes_to_pick, last_comparison
from llmrepl.sessions.model import ERROR, Session
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.session_file import load
from llmrepl.sessions.storage.store import Store
from llmrepl.types import Usage
from tests.cli_runner import CliRunner
from tests.faults.guide import check_with_the_guide
from tests.faults.report import Outcome

HISTORIES = 10_000
MACHINES = "pqr"
SESSIONS = ("talk", "notes", "older")

MEMORY = "/dev/shm"
"""Where the machines are, if it is there: no power fails here, and syncing a disk would take most of the time."""

ENVIRON = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "maintenance.auto",
    "GIT_CONFIG_VALUE_0": "false",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}

SCRIPT = """#!/bin/sh
printf '%s\\t%s\\t%s\\t%s\\n' "$PWD" "$1" "$2" "$3" > {asked}
read -r code < {answered}
exit "$code"
"""


KINDS = ("deletions", "crashes", "killed", "cut off", "plain")
"""What a history has, the first that holds: a deleted session, a shell that died, a killed driver, a partition."""


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th history, and the guide's programs on what each fiftieth ends with."""
    with multiprocessing.get_context("fork").Pool() as pool:
        yield from pool.imap(_checked, range(0, HISTORIES, stride))


def _checked(seed: int) -> Outcome:
    return history(seed, None if seed % 50 else check_with_the_guide)


def history(seed: int, check: Callable[[Path], None] | None = None) -> Outcome:
    """Run a history; `check` is called with the sessions directory that all machines have at its end."""
    place = Path(tempfile.mkdtemp(prefix="llm-merge-", dir=MEMORY if os.path.isdir(MEMORY) else None))
    try:
        world = _World(place, random.Random(seed))
        try:
            for _ in range(world.random.randint(4, 16)):
                world.step()
            said = world.settle()
        finally:
            world.close()
        if not said and check:
            check(world.machines[0].directory)
        return Outcome(world.kind, f"history {seed}", lost=bool(said), said=said)
    finally:
        shutil.rmtree(place)


class _Machine:
    """A working tree, with the turns added and the sessions deleted there."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.directory = root / "runs"
        self.said: list[str] = []
        self.committed: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.store = Store(self.directory, self.directory, nullcontext)


class _World:
    """Three machines, which see each other unless one is partitioned."""

    def __init__(self, place: Path, random_: random.Random) -> None:
        self.random = random_
        self.place = place
        self.clock = datetime(2026, 11, 25, 5, 19, 32, 123456)
        (place / "cli").mkdir()
        self._cli = CliRunner.at(place / "cli")
        self._prepare_driver()
        self.machines = [_Machine(name, place / name) for name in MACHINES]
        first = self.machines[0]
        first.directory.mkdir(parents=True)
        self.git(first, "init", "-q", "-b", first.name)
        (first.root / ".gitignore").write_text(".*\n!.git*\n")
        _write_older(first.directory / "older.json")
        first.said += ["older 0", "older 1"]
        attributes, config = _installed(tuple(MACHINES))
        (first.directory / ".gitattributes").write_bytes(attributes)
        (first.root / ".git/config").write_bytes(config)
        self._ask(first, "talk")
        self.commit(first)
        for machine in self.machines[1:]:
            self.git(first, "worktree", "add", "-q", "-b", machine.name, str(machine.root))
            machine.committed = first.committed
        self.git(first, "config", "merge.llm-sessions.driver", f"sh {place}/driver %O %A %B")
        self.partition: set[str] = set()
        self.seen = {"plain"}

    @property
    def kind(self) -> str:
        """The first of KINDS that the history has."""
        return next(kind for kind in KINDS if kind in self.seen)

    def _prepare_driver(self) -> None:
        asked, answered = self.place / "asked", self.place / "answered"
        os.mkfifo(asked)
        os.mkfifo(answered)
        (self.place / "driver").write_text(SCRIPT.format(asked=asked, answered=answered))
        self._asked, self._answered = (os.open(fifo, os.O_RDWR | os.O_NONBLOCK) for fifo in (asked, answered))

    def close(self) -> None:
        """Close the FIFOs."""
        os.close(self._asked)
        os.close(self._answered)

    def git(self, machine: _Machine, *words: str) -> tuple[int, str]:
        """Run Git on a machine, serving its merge driver."""
        process = subprocess.Popen(
            ["git", *words], cwd=machine.root, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout
        output = ""
        while True:
            ready, _, _ = select.select([process.stdout.fileno(), self._asked], [], [])
            if self._asked in ready:
                self._drive()
                continue
            chunk = process.stdout.read()
            output += chunk
            if not chunk or process.poll() is not None:
                return process.wait(), output

    def _drive(self) -> None:
        cwd, *paths = os.read(self._asked, 4096).decode().rstrip("\n").split("\t")
        if self.random.random() < 0.03:
            self.seen.add("killed")
            os.write(self._answered, b"137\n")  # it was killed before it wrote
            return
        self._cli.cwd = Path(cwd)
        done = self._cli.llm("sessions", "merge", *paths)
        os.write(self._answered, f"{done.code}\n".encode())

    # ------------------------------------------------------------ what happens on a machine

    def step(self) -> None:
        """Run a random step."""
        machine = self.random.choice(self.machines)
        act = self.random.choices(
            (self._talk, self._crash, self._edit, self._delete, self._meet, self._divide), (6, 2, 3, 1, 5, 1)
        )[0]
        act(machine)

    def _divide(self, machine: _Machine) -> None:
        self.partition = set(self.random.sample(MACHINES, self.random.randint(0, 1)))
        self.seen |= {"cut off"} if self.partition else set()

    def _meet(self, machine: _Machine) -> None:
        other = self.random.choice([m for m in self.machines if m is not machine])
        if machine.name not in self.partition and other.name not in self.partition:
            self.commit(machine)
            self.commit(other)
            for _ in range(self.random.randint(1, 2)):
                self.merge(machine, other.name)

    def _open(self, machine: _Machine, name: str) -> OpenSession:
        path = machine.directory / f"{name}.json"
        if path.exists():
            return machine.store.open(path, beside=False)
        return machine.store.new(Session.start("offline/echo", None, self.clock), self.clock, name)

    def _date(self) -> str:
        self.clock += timedelta(seconds=self.random.choice((0, 1, 60, -30)))
        return self.clock.isoformat(timespec="microseconds")

    def _text(self, machine: _Machine, name: str) -> str:
        machine.said.append(f"{name} {machine.name}{len(machine.said)}")
        return machine.said[-1]

    def _talk(self, machine: _Machine) -> None:
        for _ in range(self.random.randint(1, 3)):
            self._ask(machine, self.random.choice(SESSIONS))

    def _ask(self, machine: _Machine, name: str) -> None:
        open_session = self._open(machine, name)
        turns = open_session.session.turns
        last = turns[-1] if turns else None
        replaces = len(turns) if last and last.finish_reason == ERROR else None
        text = last.text_of("user") if last and replaces else self._text(machine, name)
        marks = self._marks(open_session) if replaces is None else {}
        number = open_session.begin_turn(text, self._date(), "offline/echo", replaces, marks=marks)
        fails = self.random.random() < 0.15
        reply = Completion("" if fails else text, ERROR if fails else "stop", 12.5, Usage(1, 2), 0.25)
        open_session.complete(number, reply)
        open_session.close()

    def _marks(self, open_session: OpenSession) -> dict[str, Any]:
        """Return the fields of an ordinary turn, a side question or an answer of a comparison."""
        kind = self.random.random()
        if kind < 0.8:
            return {}
        if kind < 0.9:
            return {"aside": True}
        session = open_session.session
        return {"branch": True, "comparison": str(len(session.turns)), "parent_id": session.main_id()}

    def _pick(self, open_session: OpenSession) -> None:
        if answers := last_comparison(open_session.session):
            number = self.random.choice(answers)
            for one, values in changes_to_pick(open_session.session, number, self._date()).items():
                open_session.update_turn(one, **values)

    def _crash(self, machine: _Machine) -> None:
        """Simulate a power failure during a reply: the journal stays, the JSON file is unchanged."""
        self.seen.add("crashes")
        open_session = self._open(machine, self.random.choice(SESSIONS))
        assert open_session.path
        number = open_session.begin_turn(self._text(machine, open_session.path.stem), self._date(), "offline/echo")
        left = {path: path.read_bytes() for path in machine.directory.iterdir() if path.is_file()}
        open_session.complete(number, Completion("a reply", "stop", 1.0, None, None))
        open_session.close()
        for path in machine.directory.iterdir():
            if path.is_file() and path not in left:
                path.unlink()
        for path, raw in left.items():
            path.write_bytes(raw)

    def _edit(self, machine: _Machine) -> None:
        open_session = self._open(machine, self.random.choice(SESSIONS))
        session, number = open_session.session, self.random.randint(1, 3)
        if not session.turns:
            return
        what = self.random.choice(("tag", "untag", "title", "undo", "reset", "model", "pick"))
        if what in ("tag", "untag"):
            tags = {f"tag{number}"}
            session.set_meta("tags", sorted({*session.tags} | tags if what == "tag" else {*session.tags} - tags))
        elif what == "title":
            session.set_meta("title", f"title {machine.name}{number}")
        elif what == "reset":
            session.reset_context()
        elif what == "model":
            open_session.set_header(model=f"offline/{number}")
        if what == "pick":
            self._pick(open_session)
        elif what == "undo":
            at = self.random.randint(1, len(session.turns))
            open_session.update_turn(at, undone=None if session.turns[at - 1].undone else True)
        else:
            open_session.set_header(meta=session.meta)
        open_session.close()

    def _delete(self, machine: _Machine) -> None:
        path = machine.directory / f"{self.random.choice(SESSIONS)}.json"
        machine.store.recover_journals()
        if path.exists():
            self.seen.add("deletions")
            machine.deleted |= set(_prompts(path))
            machine.store.delete(path)

    # ------------------------------------------------------------ git

    def commit(self, machine: _Machine) -> None:
        """Commit everything, in some cases after a command that folds the journals of dead shells."""
        if self.random.random() < 0.5:
            machine.store.recover_journals()
        there = _visible(machine.directory)
        if there != machine.committed:
            self.git(machine, "add", "-A")
            self.git(machine, "commit", "-qm", "sessions")
            machine.committed = there

    def merge(self, machine: _Machine, branch: str) -> None:
        """Merge until Git reports no conflict. A file deleted on one side and changed on the other is kept."""
        for _ in range(50):
            code, said = self.git(machine, "merge", "-q", "--no-edit", branch)
            if code == 0:
                machine.committed = _visible(machine.directory)
                return
            if "CONFLICT (content)" in said or "CONFLICT (add/add)" in said:  # the driver was killed
                self.git(machine, "merge", "--abort")
                continue
            assert "CONFLICT (modify/delete)" in said, said
            self.git(machine, "add", "-A")
            code, said = self.git(machine, "commit", "-q", "--no-edit")
            assert code == 0, said
            machine.committed = _visible(machine.directory)
            return
        raise AssertionError("git does not merge")

    def settle(self) -> str:
        """Merge all machines, each in its own order; return what is wrong then."""
        for machine in self.machines:
            for note in machine.store.recover_journals():
                if "could not be written back" in note:
                    return note
            self.commit(machine)
            self.git(machine, "branch", "-f", f"settled-{machine.name}")
        self._merge_all("settled-")
        if len({_contents(machine.directory) for machine in self.machines}) > 1:
            if not any(machine.deleted for machine in self.machines):
                return "the machines have different files"
            # git asks no driver where one side deleted a file, so who met whom first matters until they meet again
            self._merge_all("")
            if len({_contents(machine.directory) for machine in self.machines}) > 1:
                return "the machines have different files after they met again"
        return self._missing_or_doubled()

    def _merge_all(self, prefix: str) -> None:
        for machine in self.machines:
            others = [m for m in self.machines if m is not machine]
            for other in self.random.sample(others, len(others)):
                self.merge(machine, prefix + other.name)
            self.merge(machine, prefix + others[0].name)  # once more

    def _missing_or_doubled(self) -> str:
        there = Counter(p for path in sorted(self.machines[0].directory.glob("*.json")) for p in _prompts(path))
        said = {text for machine in self.machines for text in machine.said}
        deleted = {text for machine in self.machines for text in machine.deleted}
        if doubled := [text for text, count in there.items() if count > 1]:
            return f"there twice: {doubled}"
        if lost := said - deleted - there.keys():
            return f"lost: {sorted(lost)}"
        return f"from nowhere: {sorted(there.keys() - said)}" if there.keys() - said else ""


@cache
def _installed(branches: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Return what `llm sessions merge --install` writes: `.gitattributes`, and git's configuration of each branch."""
    with tempfile.TemporaryDirectory(prefix="llm-merge-") as place:
        cli = CliRunner.at(Path(place))
        for branch in branches:
            subprocess.run(["git", "init", "-q"], cwd=cli.cwd, env=ENVIRON, check=True)
            subprocess.run(
                ["git", "symbolic-ref", "HEAD", f"refs/heads/{branch}"], cwd=cli.cwd, env=ENVIRON, check=True
            )
            done = cli.llm("sessions", "merge", "--install", **ENVIRON)
            assert done.code == 0, done.err
        return (cli.runs / ".gitattributes").read_bytes(), (cli.cwd / ".git/config").read_bytes()


def _write_older(path: Path) -> None:
    """Write a session without turn ids, as older programs do."""
    turns: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": f"older {n}"}, {"role": "assistant", "content": "yes"}]}
        for n in range(2)
    ]
    data = {"model": "openai/gpt-4o-mini", "created_at": "2024-01-08T14:30:22.123456", "turns": turns, "meta": {}}
    path.write_text(json.dumps(data, indent=2))


def _visible(directory: Path) -> dict[str, bytes]:
    """What git sees of a sessions directory."""
    names = os.listdir(directory) if directory.is_dir() else []
    return {name: (directory / name).read_bytes() for name in names if not name.startswith(".")}


def _contents(directory: Path) -> tuple[tuple[str, bytes], ...]:
    return tuple((path.name, path.read_bytes()) for path in sorted(directory.glob("*.json")))


def _prompts(path: Path) -> list[str]:
    return [turn.text_of("user") for turn in load(path.read_bytes()).turns]
