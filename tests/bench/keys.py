"""Latency at a terminal while many sessions are indexed: from a key to its echo, from Ctrl-C to the prompt."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from llmrepl.prompt.preload import IDLE_SECONDS
from tests.bench import Figure, cli, llm
from tests.bench.generate import generate
from tests.bench.network import serving
from tests.bench.startup import BARE
from tests.terminal import Terminal

NOWHERE = subprocess.DEVNULL
KEYS = 300
STOPS = 7
FRAME, TENTH = 0.016, 0.1
"""Seconds: what a screen shows at once, and what a person takes for at once."""


def measure() -> list[Figure]:
    """Measure the p99 of the key echo against a bare prompt under the same load, and the slowest Ctrl-C."""
    number = int(os.environ.get("LLMREPL_BENCH_SESSIONS", "10000"))
    with TemporaryDirectory(prefix="llmrepl-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        cwd = Path(name)
        generate(cwd / "runs", number)
        bare = building(cwd, [sys.executable, "-c", BARE], os.environ)
        ours = building(cwd, llm(), cli() | {"LLM_MODEL": "offline/echo"})
        slowest = max(stops(cwd))
    detail = f"{ours * 1000:.1f} ms / {bare * 1000:.1f} ms"
    name = f"a key's echo, p99, while {number:,} sessions are indexed / bare"
    return [
        Figure(name, ours / bare, 2 + FRAME / bare, detail),
        Figure("Ctrl-C to prompt in the fastest stream / 100 ms", slowest / TENTH, 1.0, f"{slowest * 1000:.0f} ms"),
    ]


def building(cwd: Path, argv: Sequence[str], environ: Mapping[str, str]) -> float:
    """Measure the key echo of a program while another process builds the index."""
    words = [*llm(), "search", "zebra"]
    with subprocess.Popen(words, cwd=cwd, env=cli(), stdout=NOWHERE, stderr=NOWHERE) as index:
        try:
            return echo(argv, cwd, environ)
        finally:
            index.kill()


def echo(argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> float:
    """Return the p99 in seconds from a key to the first output."""
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


def stops(cwd: Path) -> list[float]:
    """Measure the seconds from Ctrl-C in the middle of the fastest possible reply to the next prompt."""
    took = []
    with serving() as url:
        environ = cli() | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-bench"}
        command = [*llm(), "chat", "-m", "openai/200000-tokens", "--no-save"]
        for _ in range(STOPS):
            with Terminal(command, cwd=cwd, environ=environ, rows=40) as terminal:
                terminal.wait_for("You:", seconds=20)
                terminal.send("go on\r")
                terminal.read(0.7)
                took.append(_stopped(terminal.master))
    return took


def _stopped(master: int) -> float:
    """Press Ctrl-C and drain the output up to the next prompt."""
    begun, seen = time.perf_counter(), b""
    os.write(master, b"\x03")
    while b"You:" not in seen[-4000:]:
        if not select.select([master], [], [], 5)[0]:
            raise TimeoutError("the prompt did not come back")
        seen += os.read(master, 1 << 16)
        if b"\x1b[6n" in seen[-100:]:
            os.write(master, b"\x1b[40;1R")
    return time.perf_counter() - begun
