"""The manager over 100,000 sessions: list, search, Tab, the prompt, stats. It takes minutes, and 3 GB below TMPDIR."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from llmrepl.commands.table import all_commands
from llmrepl.paths import Places
from llmrepl.repl.completer import RegistryCompleter
from llmrepl.settings import Settings
from llmrepl.signals import Signals
from llmrepl.workspace import Workspace
from llmrepl.world import World
from tests.bench import Figure, llm, newcomer
from tests.bench.generate import FIRST_DAY, RARE, generate
from tests.bench.startup import until_usable

ROUNDS = 5
SEARCHES = 100
TABS = 300
EVERYTHING = 10**9
ANALYSIS = Path(__file__).parents[1] / "guide" / "analyze_sessions.py"


@dataclass(frozen=True)
class Person:
    """Somebody whose working directory `cwd` holds `size` sessions in `runs`."""

    cwd: Path
    environ: dict[str, str]
    size: int

    @property
    def runs(self) -> Path:
        """The sessions directory."""
        return self.cwd / "runs"

    def seconds(self, command: Sequence[str]) -> float:
        """How long a program runs in the working directory. Raises CalledProcessError if it fails."""
        began = time.perf_counter()
        subprocess.run(
            command, env=self.environ, cwd=self.cwd, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        return time.perf_counter() - began

    def against(self, ours: Sequence[str], theirs: Sequence[str]) -> tuple[float, float]:
        """The medians of what two programs take, in seconds, run in turns."""
        pairs = [(self.seconds(ours), self.seconds(theirs)) for _ in range(ROUNDS)]
        return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def measure(size: int = 100_000) -> list[Figure]:
    """The figures for `size` sessions, and for a tenth of them what else depends on how many there are."""
    with _person(size // 10) as person:
        person.seconds([*llm(), "sessions", "list"])
        figures = [_stats(person, 1 / 6)]
    with _person(size) as person:
        figures += [_first_list(person), _second_list(person), _stats(person, 1 / 12)]
        figures += [_first_search(person), _searches(person), *_tab(person), _prompt(person)]
    return figures


@contextmanager
def _person(size: int) -> Iterator[Person]:
    environ = newcomer()
    with TemporaryDirectory(prefix="llmrepl-bench-") as directory:
        person = Person(Path(directory), environ, size)
        generate(person.runs, size)
        yield person
    shutil.rmtree(environ["HOME"], ignore_errors=True)


def _first_list(person: Person) -> Figure:
    seconds = person.seconds([*llm(), "sessions", "list", "--limit", "20"])
    limit = 60 * person.size / 100_000
    return _figure(person, "first list / a minute for 100,000", 1.0, seconds, limit, 1, "s")


def _second_list(person: Person) -> Figure:
    ours = [*llm(), "sessions", "list", "--limit", "20"]
    theirs = ["sh", "-c", r"find runs -name '*.json' -printf '%s %T@\n' | sort"]
    return _figure(person, "second list --limit 20 / find | sort", 3.0, *person.against(ours, theirs), 1000, "ms")


def _stats(person: Person, limit: float) -> Figure:
    ours, theirs = [*llm(), "sessions", "stats"], [sys.executable, str(ANALYSIS)]
    return _figure(person, "stats / the guide's analysis script", limit, *person.against(ours, theirs), 1000, "ms")


def _first_search(person: Person) -> Figure:
    """What makes every session searchable, against what reads as much."""
    ours = person.seconds([*llm(), "sessions", "search", RARE])
    theirs = person.seconds([sys.executable, str(ANALYSIS)])
    return _figure(person, "first search / the guide's analysis script", 10.0, ours, theirs, 1, "s")


def _searches(person: Person) -> Figure:
    """Search inside the shell, against 100 ms; the sessions it finds must be those that grep finds."""
    command = [*llm(), "chat", "-m", "offline/echo", "--json", "--no-save"]
    with subprocess.Popen(
        command, env=person.environ, cwd=person.cwd, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        taken = []
        for text in _texts(person):
            began = time.perf_counter()
            _search(shell, text)
            taken.append(time.perf_counter() - began)
        for text in (RARE, RARE.upper(), f"({person.size // 2:06}-0)", "no such text"):
            found = {line.split()[0] for line in _search(shell, text, EVERYTHING).splitlines()}
            if found != (expected := _grep(person, text)):
                raise RuntimeError(f"search {text!r} finds {len(found)} sessions, grep {len(expected)}")
        shell.communicate()
    return _figure(person, f"search, p95 of {SEARCHES} / 100 ms", 1.0, quantiles(taken, n=20)[-1], 0.1, 1000, "ms")


def _texts(person: Person) -> Iterator[str]:
    """What people search for: a word that many sessions have, one of few, a phrase, one place, punctuation, nothing."""
    rng = random.Random(1)
    sessions = sorted(person.runs.iterdir())
    yield "warm"
    for at in range(SEARCHES - 1):
        turns = json.loads(rng.choice(sessions).read_bytes())["turns"]
        words = rng.choice(turns)["messages"][0]["content"].split()
        first = rng.randrange(len(words) - 1)
        yield (words[first], " ".join(words[first : first + 2]), words[-1], RARE, "py", '-0)"', f"{RARE}s")[at % 7]


def _search(shell: subprocess.Popen[str], text: str, limit: int = 20) -> str:
    """What `:search` answers."""
    if shell.stdin is None or shell.stdout is None:
        raise RuntimeError("the pipes of the coprocess are missing")
    shell.stdin.write(f":search --limit {limit} -- {text}\n")
    shell.stdin.flush()
    event = json.loads(shell.stdout.readline())
    if event["event"] != "command":
        raise RuntimeError(f"the shell failed: {event}")
    return str(event["output"])


def _grep(person: Person, text: str) -> set[str]:
    """The names of the files in which grep finds a text, whatever its case."""
    done = subprocess.run(
        ["grep", "-rliF", "--", text, "."], env=person.environ, cwd=person.runs, text=True, stdout=subprocess.PIPE
    )
    return {Path(line).name for line in done.stdout.splitlines()}


def _tab(person: Person) -> list[Figure]:
    """Tab on a name inside the shell, against 30 ms: the whole way from the line to the candidates."""
    world = World(person.environ, person.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    places = Places.find(person.environ)
    workspace = Workspace(world, Settings.load(person.environ, world.cwd, places), places, Signals())
    completer = RegistryCompleter(all_commands(), workspace)
    rng = random.Random(1)
    names = [f"session_{FIRST_DAY + timedelta(minutes=11 * at):%Y%m%d_%H%M%S}_{at:06}" for at in range(person.size)]

    def seconds(typed: str) -> float:
        line = f":load {typed}"
        began = time.perf_counter()
        found = list(completer.get_completions(Document(line, len(line)), CompleteEvent(completion_requested=True)))
        taken = time.perf_counter() - began
        if bool(found) != (typed != "nosuch") or any(len(one.display_meta_text) < 20 for one in found):
            raise RuntimeError(f"Tab after {line!r} gives {len(found)} names, or one without a hint")
        return taken

    first = seconds("session_2024")
    taken = []
    for at in range(TABS):
        name = rng.choice(names)
        taken.append(seconds((name[: rng.randrange(len(name))], name, name[-6:], "", "nosuch")[at % 5]))
    return [
        _figure(person, "the first Tab on a session name / 300 ms", 1.0, first, 0.3, 1000, "ms"),
        _figure(person, f"Tab on a session name, p99 of {TABS} / 30 ms", 1.0, quantiles(taken, n=100)[-1], 0.03,
                1000, "ms"),
    ]  # fmt: skip


def _prompt(person: Person) -> Figure:
    """From exec to a prompt that takes keys, against the same in an empty directory."""
    with TemporaryDirectory(prefix="llmrepl-bench-") as empty:

        def seconds(cwd: str) -> float:
            return until_usable(llm(), person.environ, cwd)

        pairs = [(seconds(str(person.cwd)), seconds(empty)) for _ in range(3 * ROUNDS)]
    ours, theirs = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    return _figure(person, "exec to prompt / in an empty directory", 1.1, ours, theirs, 1000, "ms")


def _figure(person: Person, name: str, limit: float, ours: float, theirs: float, scale: int, unit: str) -> Figure:
    detail = f"{person.size:,} sessions: {ours * scale:,.0f} {unit} / {theirs * scale:,.0f} {unit}"
    return Figure(name, ours / theirs, limit, detail)
