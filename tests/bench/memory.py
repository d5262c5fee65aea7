"""Memory of the shell at its prompt, against a bare prompt, and with a very long conversation open."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from llmrepl.prompt.preload import IDLE_SECONDS
from tests.bench import Figure, cli, llm
from tests.bench.startup import BARE
from tests.bench.turns import session
from tests.terminal import Terminal

TURNS = 10_000


def measure() -> list[Figure]:
    """Measure the memory at the prompt and the memory that 10,000 turns add."""
    with TemporaryDirectory(prefix="llmrepl-bench-") as name:
        cwd, environ = Path(name), cli() | {"LLM_MODEL": "offline/echo"}
        (cwd / "runs").mkdir()
        file = cwd / "runs" / "long.json"
        file.write_text(json.dumps(session(TURNS), indent=2), encoding="utf-8")
        bare = held([sys.executable, "-c", BARE], cwd, environ, 0.5)
        first = held(llm(), cwd, environ, 0.0)
        idle = held(llm(), cwd, environ, IDLE_SECONDS + 2)
        long = held([*llm(), "chat", "-r", "long"], cwd, environ, IDLE_SECONDS + 2)
        size = file.stat().st_size
    return [
        _figure("memory at the prompt / bare PromptSession", 1.3, first, bare),
        _figure("memory at the prompt, all of it loaded / bare", 3.0, idle, bare),
        _figure(f"memory that {TURNS:,} turns add / their file", 20.0, long - idle, size),
    ]


def held(argv: Sequence[str], cwd: Path, environ: Mapping[str, str], seconds: float) -> int:
    """Return the resident bytes of a program `seconds` after its prompt appeared."""
    with Terminal(argv, cwd=cwd, environ=environ) as terminal:
        terminal.wait_for("You:", seconds=20)
        terminal.read(seconds)
        status = Path(f"/proc/{terminal.process.pid}/status").read_text("utf-8")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) * 1024


def _figure(name: str, limit: float, ours: int, baseline: int) -> Figure:
    return Figure(name, ours / baseline, limit, f"{ours / 1e6:.0f} MB / {baseline / 1e6:.0f} MB")
