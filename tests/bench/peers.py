"""Other programs, measured on the same tasks. Each is installed from PyPI into an environment of its own.

They live in $LLMREPL_PEERS, else ~/.cache/llmrepl-peers. Nothing here is part of a test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench import cli, llm
from tests.bench.network import serving
from tests.bench.renderer import WHOLE
from tests.bench.startup import until_ended, until_usable

ROUNDS = 3
PATIENCE = 60.0
"""Seconds for the long reply."""


@dataclass(frozen=True)
class Peer:
    """A program: its package, extra requirements and command lines. `{url}` is the server, `{model}` a model there.

    `prompt` is what its interactive prompt ends in.
    """

    name: str
    packages: tuple[str, ...]
    ask: tuple[str, ...]
    chat: tuple[str, ...]
    prompt: bytes
    environ: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


_AIDER = (
    *("aider", "--model", "openai/{model}", "--openai-api-base", "{url}", "--openai-api-key", "sk-bench", "--no-git"),
    *("--yes-always", "--no-show-model-warnings", "--no-check-update", "--analytics-disable", "--no-gitignore"),
)
_ROW = '- {{model_id: {0}, model_name: {0}, api_base: "{{url}}"}}\n'
_MODELS = _ROW.format("1-tokens") + _ROW.format(f"{WHOLE}-tokens")

PEERS = (
    Peer(
        "llm (simonw)",
        ("llm",),
        ("llm", "-m", "{model}", "hello"),
        ("llm", "chat", "-m", "{model}"),
        b"> ",
        (("LLM_USER_PATH", "{home}/llm"),),
        (("llm/extra-openai-models.yaml", _MODELS),),
    ),
    Peer(
        "shell-gpt",
        ("shell-gpt", "click<8.2"),
        ("sgpt", "--no-cache", "--model", "{model}", "hello"),
        ("sgpt", "--repl", "temp"),
        b">>> ",
        (("API_BASE_URL", "{url}"), ("DEFAULT_MODEL", "{model}")),
    ),
    Peer(
        "gptme",
        ("gptme",),
        ("gptme", "--non-interactive", "--no-confirm", "-m", "local/{model}", "hello"),
        ("gptme", "-m", "local/{model}"),
        b"User",
        (("OPENAI_BASE_URL", "{url}"),),
    ),
    Peer("aider", ("aider-chat",), (*_AIDER, "--message", "hello"), _AIDER, b"> "),
)

WORK = ("version", "usable prompt", "one token", f"{WHOLE:,} tokens of Markdown at a terminal")


def measure() -> dict[str, list[float | None]]:
    """Return the seconds per program and task; None if it cannot do it, or not within a minute."""
    found: dict[str, list[float | None]] = {}
    with TemporaryDirectory(prefix="llmrepl-bench-") as cwd, serving() as url:
        environ = cli() | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-bench", "LLM_LOCAL_SERVERS": "off"}
        ours = [*llm(), "ask", "-m", "openai/{model}", "hello"]
        chat = [*llm(), "chat", "-m", "offline/echo"]
        found["llmrepl"] = _row(environ, cwd, [*llm(), "--version"], ours, chat, b"You:")
        for peer in PEERS:
            found[peer.name] = _peer(peer, url, cwd)
            print(peer.name, found[peer.name], flush=True)
    return found


def _peer(peer: Peer, url: str, cwd: str) -> list[float | None]:
    place = _installed(peer)
    environ = cli() | {"OPENAI_API_KEY": "sk-bench"}
    home = environ["HOME"]

    def filled(text: str) -> str:
        return text.replace("{url}", url).replace("{home}", home).replace("{model}", "1-tokens")

    environ |= {name: filled(value) for name, value in peer.environ}
    for name, text in peer.files:
        (Path(home) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(home) / name).write_text(text.replace("{url}", url))
    ask = [str(place / peer.ask[0]), *(word.replace("{url}", url) for word in peer.ask[1:])]
    chat = [str(place / peer.chat[0]), *map(filled, peer.chat[1:])]
    return _row(environ, cwd, [ask[0], "--version"], ask, chat, peer.prompt)


def _row(
    environ: dict[str, str], cwd: str, version: list[str], ask: list[str], chat: list[str], prompt: bytes
) -> list[float | None]:
    one = [word.replace("{model}", "1-tokens") for word in ask]
    many = [word.replace("{model}", f"{WHOLE}-tokens") for word in ask]
    return [
        _median(lambda: until_ended(version, environ, cwd)),
        _median(lambda: until_usable(chat, environ, cwd, prompt)),
        _median(lambda: until_ended(one, environ, cwd)),
        _median(lambda: _at_terminal(many, environ, cwd), 0),
    ]


def _median(work: Callable[[], float], rounds: int = ROUNDS) -> float | None:
    """Return the median of several rounds after a warm-up, or of the warm-up alone if it is slow; None on failure."""
    try:
        return median([work() for _ in range(rounds + 1)][min(rounds, 1) :])
    except (subprocess.SubprocessError, OSError, RuntimeError):
        return None


def _at_terminal(command: list[str], environ: dict[str, str], cwd: str) -> float:
    """Return the seconds at a terminal made by `script`, draining all output at once."""
    began = time.perf_counter()
    words = ["script", "-qec", " ".join(map(_quoted, command)), "/dev/null"]
    still = subprocess.DEVNULL
    subprocess.run(words, env=environ, cwd=cwd, stdin=still, stdout=still, check=True, timeout=PATIENCE)
    return time.perf_counter() - began


def _quoted(word: str) -> str:
    return f"'{word}'"


def _installed(peer: Peer) -> Path:
    """Install a peer if necessary and return the directory of its programs."""
    top = Path(os.environ.get("LLMREPL_PEERS", "~/.cache/llmrepl-peers")).expanduser()
    place = top / peer.packages[0]
    if not (place / "bin" / peer.ask[0]).exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin/pip"), "install", "--quiet", *peer.packages], check=True)
    return place / "bin"
