"""Failing disks and killed processes, at every call of every action that changes files.

A case runs in a fork of this process, so that the program need not be loaded for each. Afterwards a fresh program
lists the sessions, which brings back what the journals of dead shells have, and the files are looked at.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from llmrepl.cli import main
from llmrepl.system.environment import Environment
from tests.cli_runner import CliRunner
from tests.faults.injected import ERRORS, KILLS, SHORT, SIGNALS, Injector, Operation, Plan
from tests.faults.report import Outcome
from tests.faults.scenarios import CONFIG, KEYS, SCENARIOS, Scenario

PART = "storage"
SECONDS = 30.0
CODES = (0, 1, 2, 3, 4, 6)

_MISHAP = re.compile(r"Traceback|something went wrong inside")
_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

Said = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or minus the signal; None if it did not end."""

    code: int | None
    out: str
    err: str

    @property
    def acknowledged(self) -> set[Said]:
        """Return the turns that the program reported as saved."""
        return {said for said in self._turns() if said[1] is not None}  # type: ignore[misc]

    @property
    def unanswered(self) -> set[str]:
        """Return the prompts that were accepted but not reported as saved."""
        return {question for question, answer in self._turns() if answer is None}

    def _turns(self) -> set[tuple[str, str | None]]:
        turns: list[tuple[str, str | None]] = []
        for line in self.out.splitlines():
            event = json.loads(line) if line.endswith("}") else {}
            if event.get("event") == "prompt":
                turns.append((event["text"], None))
            elif event.get("event") == "reply" and turns:
                turns[-1] = (turns[-1][0], event["text"])
        return set(turns)


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th case."""
    from tests.faults import power, races  # which look at what is left as this module does

    cases = ((scenario, plan) for scenario in SCENARIOS for plan in plans(scenario))
    with multiprocessing.get_context("fork").Pool() as pool:
        yield from pool.imap_unordered(attempt, islice(cases, 0, None, stride), chunksize=4)
        yield from pool.imap_unordered(power.attempt, islice(power.cases(), 0, None, stride), chunksize=16)
    yield from races.run(stride)


def plans(scenario: Scenario) -> Iterator[Plan]:
    """Yield every fault at every call of the scenario."""
    calls = [operation.name for operation in operations(scenario)]
    for fault in (*KILLS, *SIGNALS, *ERRORS, SHORT):
        for for_good in (False, True) if fault in ERRORS else (False,):
            plan = Plan(fault, 0, for_good)
            yield from (Plan(fault, number, for_good) for number, name in enumerate(calls) if plan.fits(name))


def operations(scenario: Scenario) -> list[Operation]:
    """Return the calls of a run without faults."""
    with place(scenario) as cli:
        _, made = faulty(cli, scenario, Plan())
        return made


class place:
    """Yield a prepared directory, in memory if possible, removed afterwards."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._top = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))

    def __enter__(self) -> CliRunner:
        cli = CliRunner.at(self._top)
        self._scenario.prepare(cli)
        return cli

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._top, ignore_errors=True)


def attempt(case: tuple[Scenario, Plan]) -> Outcome:
    """Run a case and check what it left behind."""
    scenario, plan = case
    with place(scenario) as cli:
        before = Kept.of(cli)
        ended, _ = faulty(cli, scenario, plan)
        litter = 1 if plan.fault in (*KILLS, "EIO", "EROFS") else 0  # nobody could remove it
        return judged(scenario, str(plan), cli, before, ended, allowed(plan), litter)


def allowed(plan: Plan) -> tuple[int, ...]:
    """Return the allowed exit codes: those reported to the user, or the signal."""
    if plan.fault in KILLS:
        return (-signal.SIGKILL,)
    return (-getattr(signal, plan.fault),) if plan.fault in SIGNALS else CODES


def faulty(cli: CliRunner, scenario: Scenario, plan: Plan) -> tuple[Ended, list[Operation]]:
    """Run a scenario with `plan` in a child process; return how it ended, and its calls if it got that far."""
    top = cli.cwd.parent
    names = [top / name for name in ("in", "out", "err", "calls")]
    names[0].write_text(scenario.typed)
    if (child := os.fork()) == 0:
        _be(cli, scenario, plan, names)
    code = _wait(child, SECONDS)
    made = (
        [Operation(**one | {"data": bytes.fromhex(one["data"])}) for one in json.loads(names[3].read_text())]
        if (names[3].exists())
        else []
    )
    return Ended(code, names[1].read_text("utf-8", "replace"), names[2].read_text("utf-8", "replace")), made


def _be(cli: CliRunner, scenario: Scenario, plan: Plan, names: list[Path]) -> None:
    """Become the program; never returns."""
    code = 70
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.chdir(cli.cwd)
        for fd, (name, mode) in enumerate(zip(names, ("r", "w", "w"), strict=False)):
            with open(name, mode) as file:
                os.dup2(file.fileno(), fd)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout, sys.stderr = (open(fd, "w", closefd=False) for fd in (1, 2))  # noqa: SIM115
        environment = Environment(cli.environ, cli.cwd, sys.stdin, sys.stdout, sys.stderr)
        injector = Injector(cli.cwd.parent, plan, lambda: os.fstat(1).st_size)
        code = main(list(scenario.words), environment)
        done = [vars(one) | {"data": one.data.hex()} for one in injector.operations]
        names[3].write_text(json.dumps(done))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@dataclass
class Kept:
    """The contents of a directory: turns with their counts, and the bytes of other files."""

    turns: Counter[Said]
    broken: list[str]
    temporary: list[str]
    config: str
    keys: str

    @classmethod
    def of(cls, cli: CliRunner) -> Kept:
        """Read everything below the working directory, and the user's two files."""
        found = cls(Counter(), [], [], _text(cli.home / CONFIG), _text(cli.home / KEYS))
        for path in cli.cwd.rglob("*"):
            if not path.is_file():
                continue
            if path.name.endswith(".tmp"):
                found.temporary.append(path.name)
            elif path.name.endswith((".json", ".json.gz")):
                found._read(path)
        return found

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        try:
            session = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
            for turn in session["turns"]:
                texts = {message["role"]: message["content"] for message in turn["messages"]}
                self.turns[texts.get("user", ""), texts.get("assistant", "")] += 1
        except (ValueError, OSError, EOFError):
            self.broken.append(path.name)


def judged(
    scenario: Scenario, case: str, cli: CliRunner, before: Kept, ended: Ended, codes: tuple[int, ...], litter: int
) -> Outcome:
    """Return the promises that a run broke."""
    said: list[str] = []
    after, listed = _fresh(cli)
    missing = set(before.turns) - set(after.turns)
    silent = ended.acknowledged - set(after.turns)
    unsaid = ended.unanswered if ended.code == 0 else set()
    lost = bool(missing or silent or unsaid)
    if lost:
        said.append(f"missing: {missing!a}, acknowledged: {silent!a}, not a word on: {unsaid!a}")
    damage = [name for name in after.broken if name not in before.broken]
    if damage or listed:
        said.append(f"cannot be read: {damage!a} {listed}")
    whole = _intact(scenario, before, after)
    littered = len(after.temporary) > litter
    if not whole or littered:
        said.append(f"configuration {after.config!a}, keys {after.keys!a}, left over: {after.temporary!a}")
    wrong = ended.code is not None and ended.code not in codes
    mishap = _MISHAP.search(ended.err)
    if wrong or mishap:
        said.append(f"ended with {ended.code}: {ended.err[-300:]!a}")
    if ended.code is None:
        said.append(f"did not end within {SECONDS:g} s")
    return Outcome(
        PART,
        f"{scenario.name}: {case}",
        lost=lost,
        damaged=bool(damage or listed or not whole or littered or wrong or mishap),
        hung=ended.code is None,
        leaked=bool(_SHOWN.search(ended.err) or "sk-new" in ended.out + ended.err),
        said="; ".join(said),
    )


def _fresh(cli: CliRunner) -> tuple[Kept, str]:
    """Start the program again, which repairs what it can; return the contents and any error of `list`."""
    ended, _ = faulty(cli, Scenario("list", ("sessions", "list")), Plan())
    complaint = "" if ended.code in (0, 3) and not _MISHAP.search(ended.err) else f"list: {ended.code} {ended.err!a}"
    return Kept.of(cli), complaint


def _intact(scenario: Scenario, before: Kept, after: Kept) -> bool:
    """Whether the configuration and the keys are the old or the new ones, complete."""
    if scenario.name != "config set" and after.config != before.config:
        return False
    if scenario.name != "keys set" and after.keys != before.keys:
        return False
    new = before.config.replace("echo", "guide")
    keys = json.loads(after.keys or "{}").get("openai", "sk-old")
    tomllib.loads(after.config)
    return after.config in (before.config, new) and str(keys).startswith(("sk-old", "sk-new"))


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
