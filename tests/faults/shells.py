"""Three shells with commands, kills, damage and moved directories in any order, against a model that knows
every acknowledged event: each must be found again, with its model, its cost and its place among the others.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.cli_runner import CliRunner
from tests.faults.report import Outcome

PART = "shells"
INTERLEAVINGS = 200
STEPS = 16
BASES = ("large", "small", "third")
MODELS = ("offline/echo", "offline/guide")
SHELL = st.integers(0, 2)
LARGE = "x" * (300 << 10)
"""Makes a session so large that its turns are in the journal only."""


@dataclass
class Asked:
    """An acknowledged turn; `number` is unique. `may_be_lost` once its record was damaged."""

    number: int
    text: str
    reply: str
    model: str
    cost: float | None
    undone: bool = False
    may_be_lost: bool = False


@dataclass
class OpenShell:
    """A running `llm chat --json` and the turns that it reported as in its context or removed from it."""

    process: subprocess.Popen[bytes]
    context: list[Asked] = field(default_factory=list)
    removed: list[Asked] = field(default_factory=list)

    def do(self, line: str) -> dict[str, Any] | None:
        """Send an input and return its result, or None if the shell ended."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        command = line.split()[0][1:] if line.startswith(":") else None
        for raw in self.process.stdout:
            event: dict[str, Any] = json.loads(raw)
            if event["event"] in ("reply", "error") or (event["event"] == "command" and event["command"] == command):
                return event
        return None

    def end(self, *, kill: bool) -> str:
        """End the shell by SIGKILL or end of input; return its stderr."""
        if kill:
            self.process.kill()
        assert self.process.stdin and self.process.stdout and self.process.stderr
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        err = self.process.stderr.read().decode("utf-8", "replace")
        self.process.stdout.close()
        self.process.stderr.close()
        code = self.process.wait(30)
        assert "Traceback" not in err and "went wrong" not in err and "file descriptor" not in err, err
        assert kill or code in (0, 2, 6), (code, err)
        return err


class ThreeShells(RuleBasedStateMachine):
    """The rules are actions of users and machines; `teardown` checks everything that was acknowledged."""

    examples = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        self.place = Path(tempfile.mkdtemp(prefix="llm-shells-"))
        self.cli = CliRunner.at(self.place)
        self.shells: list[OpenShell | None] = [None, None, None]
        self.asked: list[Asked] = []
        self.tags: list[str] = []
        self.counter = 0
        self.said = ""

    @initialize()
    def sessions(self) -> None:
        self.cli.runs.mkdir(mode=0o700)
        for name in BASES:
            turn = {
                "messages": [
                    {"role": "user", "content": f"first of {name}"},
                    {"role": "assistant", "content": LARGE if name == "large" else "ok"},
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
            data = {"model": MODELS[0], "created_at": "2026-01-01T10:00:00", "turns": [turn]}
            (self.cli.runs / f"{name}.json").write_text(json.dumps(data))

    @rule(number=SHELL, name=st.sampled_from(BASES), fresh=st.booleans())
    def open(self, number: int, name: str, fresh: bool) -> None:
        if self.shells[number]:
            return
        self.counter += 1
        how = ("--name", f"new{self.counter}") if fresh else ("-r", name)
        shell = OpenShell(self.cli.start("chat", "-m", MODELS[0], "--json", "--keep-going", *how))
        if shell.do(":tag") is None:  # refused: another shell has it, or it was renamed, archived or left elsewhere
            self.said += shell.end(kill=False)
        else:
            self.shells[number] = shell

    @rule(number=SHELL)
    def ask(self, number: int) -> None:
        if not (shell := self.shells[number]):
            return
        self.counter += 1
        text = f"question {self.counter} of shell {number}"
        event = shell.do(text)
        if event and event["event"] == "reply":
            asked = Asked(len(self.asked), text, event["text"], event["model"], event["cost"])
            self.asked.append(asked)
            shell.context.append(asked)
            shell.removed.clear()
        else:
            assert event and event["code"] in (2, 4, 6), event

    @rule(number=SHELL, model=st.sampled_from(MODELS))
    def switch_model(self, number: int, model: str) -> None:
        if shell := self.shells[number]:
            shell.do(f":model {model}")

    @rule(number=SHELL)
    def fork(self, number: int) -> None:
        if shell := self.shells[number]:
            shell.do(":fork")

    @rule(number=SHELL)
    def undo(self, number: int) -> None:
        shell = self.shells[number]
        if shell and shell.context:
            event = shell.do(":undo")
            assert event and event["event"] == "command", event
            shell.removed.append(shell.context.pop())
            shell.removed[-1].undone = True

    @rule(number=SHELL)
    def redo(self, number: int) -> None:
        shell = self.shells[number]
        if shell and shell.removed:
            event = shell.do(":redo")
            assert event and event["event"] == "command", event
            shell.context.append(shell.removed.pop())
            shell.context[-1].undone = False

    @rule(number=SHELL)
    def tag(self, number: int) -> None:
        shell = self.shells[number]
        if shell and shell.context:
            self.counter += 1
            event = shell.do(f":tag +t{self.counter}")
            if event and event["event"] == "command":
                self.tags.append(f"t{self.counter}")

    @rule(number=SHELL)
    def rename(self, number: int) -> None:
        shell = self.shells[number]
        if shell and shell.context:
            self.counter += 1
            shell.do(f":rename renamed{self.counter}")

    @rule(number=SHELL, kill=st.booleans())
    def leave(self, number: int, kill: bool) -> None:
        if shell := self.shells[number]:
            self.shells[number] = None
            self.said += shell.end(kill=kill)

    @rule(at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
    def damage_a_journal(self, at: int, bit: int) -> None:
        """Damage the journal of a dead shell before another shell reads it."""
        dead = sorted(self.cli.runs.glob(".*.journal"), key=lambda path: path.stat().st_size)
        if not dead or any(self.shells) or not (raw := bytearray(dead[-1].read_bytes())):
            return
        at %= len(raw)
        start, end = raw.rfind(b"\n", 0, at) + 1, raw.find(b"\n", at)
        hit = bytes(raw[start : end if end >= 0 else len(raw)])
        if raw[at : at + 1] == b"\n":  # two records run together
            hit = b""
        raw[at] ^= 1 << bit
        dead[-1].write_bytes(raw)
        for asked in self.asked:
            asked.may_be_lost = asked.may_be_lost or asked.text.encode() in hit

    @rule(copied=st.booleans())
    def move_the_directory(self, copied: bool) -> None:
        if not self.cli.runs.exists():
            return
        self.counter += 1
        before = self.cli.cwd / f"before{self.counter}"
        self.cli.runs.rename(before)
        if copied:
            shutil.copytree(before, self.cli.runs)

    @rule()
    def list_sessions(self) -> None:
        ran = self.cli.process("sessions", "list")
        assert ran.code == 0, ran
        self.said += ran.err

    @precondition(lambda self: self.counter > 3)
    @rule()
    def archive(self) -> None:
        ran = self.cli.process("sessions", "archive", "--older-than", "0d", "--compress")
        assert ran.code == 0, ran

    def teardown(self) -> None:
        for number, shell in enumerate(self.shells):
            if shell:
                self.said += shell.end(kill=number == 1)
        try:
            self.check()
        finally:
            shutil.rmtree(self.place)

    def check(self) -> None:
        """Check that every acknowledged turn is unchanged in some session of some directory."""
        directories = [path for path in self.cli.cwd.iterdir() if path.is_dir()]
        for directory in directories:
            ran = self.cli.process("sessions", "list", "--dir", str(directory))
            assert ran.code == 0 and "Traceback" not in ran.err, ran
            self.said += ran.err
        sessions = [json.loads(data) for directory in directories for data in _files(directory)]
        places: dict[str, list[tuple[int, dict[str, Any], str]]] = {}
        for session in sessions:
            order: list[int] = []
            for turn in session["turns"]:
                text = turn["messages"][0]["content"]
                places.setdefault(text, []).append((len(order), turn, session["model"]))
                order += [asked.number for asked in self.asked if asked.text == text]
            assert order == sorted(set(order)), f"turns out of order or twice in one session: {order}"
        for asked in self.asked:
            found = [turn for _, turn, _ in places.get(asked.text, [])]
            if asked.may_be_lost and not any(len(turn["messages"]) > 1 for turn in found):
                assert "could not be read" in self.said, f"{asked.text} is lost, and nothing is said"
                continue
            assert any(
                (turn.get("answered_by", model), turn.get("cost_estimate"), turn["messages"][-1]["content"])
                == (asked.model, asked.cost, asked.reply)
                for _, turn, model in places.get(asked.text, [])
            ), f"{asked} is not found: {found}"
            assert asked.may_be_lost or any(bool(turn.get("undone")) == asked.undone for turn in found), asked
        tags = {tag for session in sessions for tag in (session.get("meta") or {}).get("tags", [])}
        assert set(self.tags) <= tags or any(asked.may_be_lost for asked in self.asked), set(self.tags) - tags


def _files(directory: Path) -> Iterator[bytes]:
    for path in (*directory.rglob("*.json"), *directory.rglob("*.json.gz")):
        raw = path.read_bytes()
        yield gzip.decompress(raw) if path.suffix == ".gz" else raw


def tried(examples: int, steps: int) -> str:
    """Run random interleavings; return the complaint of the first that breaks a promise."""
    ThreeShells.examples = 0
    try:
        run_state_machine_as_test(
            ThreeShells,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except (AssertionError, subprocess.TimeoutExpired, json.JSONDecodeError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run interleavings of three shells."""
    said = tried(max(1, INTERLEAVINGS // stride), STEPS)
    for number in range(ThreeShells.examples):
        is_last = number == ThreeShells.examples - 1
        yield Outcome(PART, f"interleaving {number}", lost=bool(said) and is_last, said=said if is_last else "")
