"""Run `llm` as a new user: an empty home and directory, no API key, no network."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from llmrepl.cli import main
from llmrepl.system.environment import Environment

LLM = (sys.executable, "-m", "llmrepl")
CHAT = ("chat", "-m", "offline/echo")


@dataclass(frozen=True)
class Ran:
    """The result of a command: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Parse the JSON objects on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class CliRunner:
    """A user whose working directory is `cwd`, with an empty `home`, at the local time `now`."""

    home: Path
    cwd: Path
    environ: dict[str, str] = field(default_factory=dict)
    now: Callable[[], datetime] = datetime.now

    @classmethod
    def at(cls, place: Path) -> CliRunner:
        """Create a user whose home and working directory are below `place`."""
        for name in ("home", "work"):
            (place / name).mkdir()
        home, package = place / "home", Path(__file__).resolve().parent.parent
        environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(package)}
        environ |= {name: os.environ[name] for name in ("MUTANT_UNDER_TEST",) if name in os.environ}  # of mutmut
        environ["LLM_LOCAL_SERVERS"] = "off"  # whoever runs the tests may have one
        return cls(home, place / "work", environ)

    def llm(self, *words: str, typed: str | Iterator[str] = "", **environ: str) -> Ran:
        """Run `llm WORDS` in this process with `typed` piped in, line by line if it is an iterator."""
        out, err = io.StringIO(), io.StringIO()
        stdin = io.StringIO(typed) if isinstance(typed, str) else _Pipe(typed)
        environment = Environment({**self.environ, **environ}, self.cwd, stdin, out, err, self.now)
        with _signals():
            code = main(list(words), environment)
        return Ran(code, out.getvalue(), err.getvalue())

    def script(self, *lines: str, words: tuple[str, ...] = CHAT, **environ: str) -> Ran:
        """Pipe lines into `llm chat` with the echo model."""
        return self.llm(*words, typed="".join(f"{line}\n" for line in lines), **environ)

    def process(self, *words: str, typed: bytes = b"", **environ: str) -> Ran:
        """Run `llm WORDS` in a subprocess."""
        done = subprocess.run(
            [*LLM, *words], input=typed, capture_output=True, cwd=self.cwd, env=self.environ | environ, timeout=60
        )
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    def start(self, *words: str, environ: Mapping[str, str] | None = None, **more: Any) -> subprocess.Popen[bytes]:
        """Start `llm WORDS` as a subprocess with pipes."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([*LLM, *words], cwd=self.cwd, env=self.environ | dict(environ or {}), **pipes | more)

    @property
    def runs(self) -> Path:
        """The default sessions directory."""
        return self.cwd / "runs"

    def files(self, below: str = ".") -> list[str]:
        """Return the files below a directory as relative paths."""
        return sorted(str(p.relative_to(self.cwd / below)) for p in (self.cwd / below).rglob("*") if p.is_file())

    def session(self, name: str) -> dict[str, Any]:
        """Load the session file NAME.json."""
        data: dict[str, Any] = json.loads((self.runs / f"{name}.json").read_bytes())
        return data

    def said(self, name: str) -> list[tuple[str, str]]:
        """Return prompt and reply of each turn of a session."""
        return [_said(turn) for turn in self.session(name)["turns"]]


class _Pipe(io.StringIO):
    """A stdin whose lines are generated when they are read."""

    def __init__(self, lines: Iterator[str]) -> None:
        super().__init__()
        self._lines = lines

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return self._lines

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        return next(self._lines, "")


def _said(turn: dict[str, Any]) -> tuple[str, str]:
    texts = dict.fromkeys(("user", "assistant"), "") | {m["role"]: m["content"] for m in turn["messages"]}
    return texts["user"], texts["assistant"]


@contextmanager
def _signals() -> Iterator[None]:
    """Restore the signal handlers that the shell replaces."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
