"""From a key to its echo at a terminal, while the rest of the shell is loaded behind it, against a bare prompt."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from llmrepl.repl.idle import IDLE_SECONDS
from tests.bench import Figure, llm, newcomer
from tests.terminal import Terminal

SESSIONS = 2000
KEYS = 300
BARE = 'from prompt_toolkit import PromptSession\nPromptSession().prompt("You: ")\n'
SESSION = '{"model": "offline/echo", "turns": [{"messages": [{"role": "user", "content": "question %d"}]}]}'


def measure() -> list[Figure]:
    """The 99th percentile at the prompt at most twice that of a bare one, plus a frame of a screen."""
    with TemporaryDirectory(prefix="llmrepl-bench-") as name:
        cwd = Path(name)
        (cwd / "runs").mkdir()
        for number in range(SESSIONS):
            (cwd / "runs" / f"talk{number}.json").write_text(SESSION % number)
        bare = echo([sys.executable, "-c", BARE], cwd, os.environ)
        ours = echo(llm(), cwd, newcomer())
    detail = f"{ours * 1000:.1f} ms / {bare * 1000:.1f} ms"
    return [Figure(f"a key's echo, p99, {SESSIONS:,} sessions / bare prompt", ours / bare, 2 + 0.016 / bare, detail)]


def echo(argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> float:
    """The 99th percentile of the seconds until something is written after a key."""
    took = []
    with Terminal(argv, cwd=cwd, environ=environ) as terminal:
        terminal.wait_for("You:", seconds=20)
        terminal.read(IDLE_SECONDS * 1.2)  # what waits until nobody types begins now
        for number in range(KEYS):
            terminal.read(0.005)
            begun = time.perf_counter()
            terminal.send("abcdefgh "[number % 9])
            select.select([terminal.master], [], [], 5)
            took.append(time.perf_counter() - begun)
    return quantiles(took, n=100)[98]
