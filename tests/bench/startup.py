"""Startup: from exec to a usable prompt, against a bare prompt_toolkit prompt; `llm --version`."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from llmrepl.system.early_prompt import NAME
from tests.bench import Figure, cli, llm

ROUNDS = 15

BARE = 'from prompt_toolkit import PromptSession\nPromptSession().prompt("You: ")\n'

INTERACTIVE = [sys.executable, "-i", "-q"]
"""The quickest prompt that Python has: readline, and nothing else imported."""

KEY = b"~"  # a character that nothing prints by itself


def measure() -> list[Figure]:
    """Measure startup against a bare prompt and `python -i`, and `llm --version` against an idle Python."""
    environ = cli()
    with TemporaryDirectory(prefix="llmrepl-bench-") as cwd:
        bare = Path(cwd, "bare.py")
        bare.write_text(BARE, encoding="utf-8")
        prompt = interleaved(
            lambda: until_usable(llm(), environ, cwd),
            lambda: until_usable([sys.executable, str(bare)], environ, cwd),
        )
        until_remembered(environ, cwd)
        echoed = interleaved(
            lambda: until_usable(llm(), environ, cwd),
            lambda: until_usable(INTERACTIVE, environ, cwd, b">>>"),
        )
        version = interleaved(
            lambda: until_ended([*llm(), "--version"], environ, cwd),
            lambda: until_ended([sys.executable, "-c", "pass"], environ, cwd),
        )
    shutil.rmtree(environ["HOME"], ignore_errors=True)
    return [
        figure("exec to usable prompt / bare PromptSession", 1.25, prompt),
        figure("exec to echoed key / python -i", 2.5, echoed),
        figure("llm --version / python -c pass", 2.5, version),
    ]


def interleaved(ours: Callable[[], float], baseline: Callable[[], float]) -> tuple[float, float]:
    """Return both medians in seconds, interleaved, after one warm-up round."""
    pairs = [(ours(), baseline()) for _ in range(ROUNDS + 1)][1:]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def figure(name: str, limit: float, seconds: tuple[float, float]) -> Figure:
    """Return the ratio of two medians as a figure."""
    ours, baseline = seconds
    return Figure(name, ours / baseline, limit, f"{ours * 1000:.0f} ms / {baseline * 1000:.0f} ms")


def until_ended(command: list[str], environ: dict[str, str], cwd: str) -> float:
    """Return the seconds from exec to the end of `command`."""
    began = time.perf_counter()
    subprocess.run(command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began


def until_usable(command: list[str], environ: dict[str, str], cwd: str, prompt: bytes = b"You:") -> float:
    """Return the seconds from exec until the prompt is drawn and echoes a key, at 80 columns."""
    master, slave = pty.openpty()
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environ, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    try:
        _read_until(master, prompt)
        os.write(master, KEY)
        _read_until(master, KEY)
        return time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)


def until_remembered(environ: dict[str, str], cwd: str) -> None:
    """Leave the prompt open until it has kept its screen for the next start, as any visit does."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        llm(), env=environ, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    kept, deadline = Path(environ["HOME"], ".cache", "llm", NAME), time.perf_counter() + 30
    while not kept.exists() and time.perf_counter() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            os.read(master, 65536)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(master)


def _read_until(master: int, text: bytes, seconds: float = 30) -> None:
    """Read output until it contains `text`, answering cursor position requests."""
    seen = b""
    deadline = time.perf_counter() + seconds
    while text not in seen:
        if not select.select([master], [], [], deadline - time.perf_counter())[0]:
            raise TimeoutError(f"{text!r} did not appear in {seconds} s; there was: {seen[-500:]!r}")
        try:
            piece = os.read(master, 65536)
        except OSError as error:  # how Linux says that nobody has the other side any more
            raise RuntimeError(f"the program ended before {text!r} appeared; there was: {seen[-500:]!r}") from error
        seen += piece
        if b"\x1b[6n" in piece:
            os.write(master, b"\x1b[1;1R")
