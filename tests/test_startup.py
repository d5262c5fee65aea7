"""Which libraries startup must not import, according to Python's own -X importtime."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from llmrepl.commands.value_sources import SOURCES

SLOW = ("httpx", "prompt_toolkit", "pydantic", "rich")

MODULE = re.compile(r"import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)")


def environ(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLM_", "XDG_"))}
    return {**kept, "HOME": str(home), "LLM_MODEL": "offline/echo", "TERM": "xterm-256color"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-X", "importtime", "-c", "from llmrepl.cli import run; run()", *words]


def slow_ones(listing: str) -> set[str]:
    """Return the slow libraries that appear in the output of `-X importtime`."""
    assert "llmrepl" in listing
    return {name.partition(".")[0] for name in MODULE.findall(listing)} & set(SLOW)


def loaded(home: Path, *words: str, stdin: str = "") -> set[str]:
    """Return the slow libraries that `llm WORDS` imports, off a terminal."""
    done = subprocess.run(
        command(*words), input=stdin, text=True, capture_output=True, env=environ(home), cwd=home, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return slow_ones(done.stderr)


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (["--version"], SLOW),
        (["--help"], SLOW),
        (["export", "--help"], SLOW),
        (["completions", "bash"], SLOW),
        (["config", "path"], SLOW),
        *((["--complete", source, ""], SLOW) for source in SOURCES if source != "models"),  # some are in the price data
        (["ask", "hello"], ("prompt_toolkit", "rich", "httpx")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_needs(tmp_path: Path, words: list[str], forbidden: Collection[str]) -> None:
    assert not loaded(tmp_path, *words) & set(forbidden)


def test_a_script_loads_no_terminal(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "chat", "--no-save", stdin="hello\n:help\n") & {"prompt_toolkit", "rich", "httpx"}


def test_the_prompt_appears_with_prompt_toolkit_alone(tmp_path: Path) -> None:
    drawn = until_prompt(command(), environ(tmp_path), tmp_path)
    assert slow_ones(drawn) == {"prompt_toolkit"}


def until_prompt(words: list[str], env: dict[str, str], cwd: Path, seconds: float = 20) -> str:
    """Return the output before the prompt, including the import list on stderr."""
    master, slave = pty.openpty()
    process = subprocess.Popen(words, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    seen = b""
    try:
        while b"You:" not in seen:
            assert select.select([master], [], [], seconds)[0], f"no prompt in {seconds} s: {seen[-500:]!r}"
            seen += os.read(master, 65536)
    except OSError:  # how Linux says that nobody has the other side any more
        pytest.fail(f"the shell ended before its prompt: {seen[-2000:]!r}")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)
    return seen.partition(b"You:")[0].decode("utf-8", "replace")
