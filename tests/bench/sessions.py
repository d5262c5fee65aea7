"""List, search, stats and Tab with many sessions (LLMREPL_BENCH_SESSIONS, default 10,000)."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.table import all_commands
from llmrepl.config.settings import Settings
from llmrepl.prompt.completer import RegistryCompleter
from llmrepl.rendering.base import PlainOutput
from llmrepl.sessions.index.query import Filters
from llmrepl.shell.runner import Shell
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.bench import Figure, cli, llm
from tests.bench.generate import RARE, WORDS, generate
from tests.bench.startup import until_ended, until_usable

ROUNDS = 7
GUIDE = Path(__file__).resolve().parent.parent / "guide" / "analyze_sessions.py"
FIND = "find runs -name '*.json' -printf '%s %T@\\n' | sort > /dev/null"


def measure() -> list[Figure]:
    """Measure the commands that find sessions."""
    number = int(os.environ.get("LLMREPL_BENCH_SESSIONS", "10000"))
    environ = cli()
    place = os.environ.get("TMPDIR", "/var/tmp")
    with TemporaryDirectory(prefix="llmrepl-bench-", dir=place) as cwd, TemporaryDirectory(dir=place) as cache:
        environ |= {"XDG_CACHE_HOME": cache, "LLM_MODEL": "offline/echo"}
        generate(Path(cwd, "runs"), number)
        try:
            return [*_processes(number, environ, cwd), *_inside(environ, Path(cwd))]
        finally:
            shutil.rmtree(environ["HOME"], ignore_errors=True)


def _processes(number: int, environ: dict[str, str], cwd: str) -> list[Figure]:
    """Measure commands as separate processes."""
    listed = [*llm(), "sessions", "list", "--limit", "20"]
    first = until_ended(listed, environ, cwd)
    allowed = 60 * number / 100_000
    again, found = _medians(
        lambda: until_ended(listed, environ, cwd), lambda: until_ended(["sh", "-c", FIND], environ, cwd), ROUNDS
    )
    if number < 100_000:  # of which starting the program is not yet a small part
        found += until_ended([*llm(), "sessions", "list", "--dir", "none"], environ, cwd) / 3
    ours, theirs = _medians(
        lambda: until_ended([*llm(), "sessions", "stats"], environ, cwd),
        lambda: until_ended([sys.executable, str(GUIDE)], environ, cwd),
        3 if number >= 100_000 else ROUNDS,  # which take a quarter of a minute each
    )
    many, none = _medians(
        lambda: until_usable(llm(), environ, cwd),
        lambda: until_usable(llm(), environ | {"LLM_SESSIONS_DIR": f"{cwd}/none"}, cwd),
        ROUNDS,
    )
    times = 12 if number >= 100_000 else 6
    return [
        _figure(f"the first list of {number:,} sessions / its share of 60 s", first, allowed, 1.0),
        _figure("list --limit 20 again / find | sort", again, found, 3.0),
        _figure("stats / the guide's analysis script", ours, theirs, 1 / times),
        _figure("the prompt among them / in an empty directory", many, none, 1.1),
    ]


def _inside(environ: dict[str, str], cwd: Path) -> list[Figure]:
    """Measure commands and Tab in a running shell."""
    environment = Environment(environ, cwd, io.StringIO(), io.StringIO(), io.StringIO())
    paths = Paths.find(environ)
    workspace = Workspace(environment, Settings.load(environ, cwd, paths), paths, Signals())
    table = all_commands()
    shell = Shell(workspace, table, PlainOutput(environment))
    texts = _texts()
    began = time.perf_counter()
    shell.run(f":search {RARE}")
    searchable = time.perf_counter() - began
    searches = sorted(_seconds(partial(shell.run, f":search {text}")) for text in texts)
    completer = RegistryCompleter(table, workspace)
    tabs = sorted(_seconds(partial(_tab, completer, word)) for word in _typed(cwd))
    apart = sum(_apart(workspace, cwd, text) for text in (RARE, "timeout error", "(000042-", "zebra"))
    shell.close()
    detail = f"median {median(searches) * 1000:.0f} ms; made searchable in {searchable:.1f} s"
    return [
        Figure(
            "search inside the shell, p95 / 100 ms",
            _at(searches, 95) / 0.1,
            1.0,
            f"{_at(searches, 95) * 1000:.0f} ms, {detail}",
        ),
        Figure(
            "Tab on a session name, p99 / 30 ms",
            _at(tabs, 99) / 0.03,
            1.0,
            f"{_at(tabs, 99) * 1000:.1f} ms, median {median(tabs) * 1000:.1f} ms",
        ),
        Figure("sessions on which search and grep do not agree", apart, 0.0, f"{len(texts)} texts searched"),
    ]


def _texts() -> list[str]:
    """Return search texts: words, parts of words, pairs, short, rare and absent ones."""
    rng = random.Random(3)
    words = [*rng.sample(WORDS, 40), RARE, "zebra", "no such text", "日本", "語", "th", "-1)", '"', "NEAR(", "e the"]
    parts = [word[1:5] for word in rng.sample(WORDS, 20)]
    pairs = [" ".join(rng.choices(WORDS, k=rng.randint(2, 3))) for _ in range(40)]
    numbers = [f"({rng.randrange(10_000):06}-{rng.randrange(3)})" for _ in range(20)]
    return [*words, *(part for part in parts if part), *pairs, *numbers]


def _typed(cwd: Path) -> list[str]:
    """Return prefixes, substrings and subsequences of session names."""
    rng = random.Random(4)
    names = rng.choices(sorted(os.listdir(cwd / "runs")), k=60)
    beginnings = [name[: rng.randint(0, 30)] for name in names]
    return [*beginnings, *(name[12:20] for name in names), *(name[8:28:5] for name in names), "zzz"]


def _tab(completer: RegistryCompleter, word: str) -> None:
    for _ in completer.get_completions(Document(f":load {word}"), CompleteEvent(completion_requested=True)):
        pass


def _apart(workspace: Workspace, cwd: Path, text: str) -> int:
    """Count the sessions in which only one of search and grep finds `text`."""
    grep = subprocess.run(["grep", "-rliF", "--", text, "runs"], cwd=cwd, capture_output=True, text=True, check=False)
    theirs = {Path(line).name for line in grep.stdout.splitlines()}
    hits = workspace.finder().search(workspace.directory(), text, Filters())
    return len(theirs ^ {hit.name for hit in hits})


def _medians(ours: Callable[[], float], baseline: Callable[[], float], rounds: int) -> tuple[float, float]:
    pairs = [(ours(), baseline()) for _ in range(rounds + 1)][1:]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _at(ordered: list[float], percent: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _figure(name: str, ours: float, baseline: float, limit: float) -> Figure:
    return Figure(name, ours / baseline, limit, f"{ours * 1000:.0f} ms / {baseline * 1000:.0f} ms")
