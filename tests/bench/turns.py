"""Cost of a turn in a long conversation: from the submitted prompt to the reply reported as saved."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import IO

from tests.bench import Figure, cli, llm

SAMPLE = 200
LENGTHS = ((2_000, 3.0), (10_000, 4.0))
"""Turns in the session, and how many times a turn may cost what it costs at 20."""


def measure() -> list[Figure]:
    """Measure the mean over 200 turns, including at least one rewrite of the session file."""
    base, base_rewrites = seconds_a_turn(20)
    figures = []
    for length, limit in LENGTHS:
        taken, rewrites = seconds_a_turn(length)
        detail = f"{taken * 1000:.2f} ms / {base * 1000:.2f} ms, the file rewritten {rewrites} / {base_rewrites} times"
        figures.append(Figure(f"a turn at {length:,} turns / at 20", taken / base, limit, detail))
    return figures


def seconds_a_turn(length: int) -> tuple[float, int]:
    """Return the mean of the last 200 turns of a session that began with `length`, and the number of file rewrites.

    It goes on until the last 200 contain a rewrite.
    """
    environ = cli()
    with TemporaryDirectory(prefix="llmrepl-bench-") as directory:
        file = Path(directory, "long.json")
        file.write_text(json.dumps(session(length), indent=2), encoding="utf-8")
        command = [*llm(), "chat", "-m", "offline/echo", "--json", "--save-dir", directory, "-r", "long"]
        with subprocess.Popen(
            command, env=environ, cwd=directory, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the pipes of the coprocess are missing")
            taken, rewrites = _converse(process.stdin, process.stdout, file, most=length // 4 + 2 * SAMPLE)
            process.stdin.close()
            process.stdout.read()
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    shutil.rmtree(environ["HOME"], ignore_errors=True)
    return mean(taken), rewrites


def session(length: int) -> dict[str, object]:
    """Return a session of `length` turns in the format of the guide."""
    question = "What is the capital of the country that is named here?"
    answer = "It is a city, and a fine one at that, by a river. " * 4
    turn = {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 48, "total_tokens": 60},
        "latency_ms": 12.5,
        "cost_estimate": 0.0,
    }
    return {
        "model": "offline/echo",
        "system": None,
        "created_at": "2025-01-01T12:00:00.000000",
        "turns": [turn] * length,
        "usage_totals": {
            "prompt_tokens": 12 * length,
            "completion_tokens": 48 * length,
            "total_tokens": 60 * length,
        },
        "meta": {},
    }


def _converse(prompts: IO[str], events: IO[str], file: Path, most: int) -> tuple[list[float], int]:
    """Return the seconds of each of the last 200 turns and how many replaced `file`, after at most `most` turns."""
    taken: list[float] = []
    replaced: list[bool] = []
    for number in range(-5, most):  # the first few load what is only loaded once
        before = file.stat().st_ino
        began = time.perf_counter()
        prompts.write(f"And number {number}, what is that one?\n")
        prompts.flush()
        _await_reply(events)
        if number >= 0:
            taken.append(time.perf_counter() - began)
            replaced.append(file.stat().st_ino != before)
        if len(taken) >= SAMPLE and any(replaced[-SAMPLE:]):
            break
    return taken[-SAMPLE:], sum(replaced[-SAMPLE:])


def _await_reply(events: IO[str]) -> None:
    for line in events:
        event = json.loads(line)
        if event["event"] == "reply":
            return
        if event["event"] == "error":
            raise RuntimeError(f"the shell failed: {line}")
    raise RuntimeError("the shell ended before it had replied")
