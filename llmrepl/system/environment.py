"""The outside world as one replaceable object: terminal streams, environment, clock, working directory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from llmrepl.formatting import escape_controls


class OutputError(OSError):
    """Standard output cannot be written, as on a full disk. A closed pipe is a BrokenPipeError instead."""


class _StandardOutput(TextIOWrapper):
    """Standard output whose errors differ from those of files."""

    def write(self, text: str, /) -> int:
        with _output_errors():
            return super().write(text)

    def flush(self) -> None:
        with _output_errors():
            super().flush()


class _StandardError(TextIOWrapper):
    """Standard error whose errors are ignored."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


@dataclass
class Environment:
    """Everything from outside the program; tests pass their own.

    `now` is local time without offset, `monotonic` seconds on a monotonic clock, `sleep` takes seconds. `debug` enables
    the log, with times relative to `started`.
    """

    environ: Mapping[str, str]
    cwd: Path
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    now: Callable[[], datetime] = field(default=datetime.now)
    monotonic: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)
    debug: bool = False
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def real(cls) -> Environment:
        """Create the environment of this process.

        Input is UTF-8; characters that the locale cannot encode are escaped in output. A stream missing at startup is
        empty and discards output. If the working directory was removed, `cwd` is its former path.
        """
        stdin = sys.stdin if isinstance(sys.stdin, TextIOWrapper) else _nothing("r")
        stdin.reconfigure(encoding="utf-8", errors="replace")
        sys.stdout = _wrapped(sys.stdout, _StandardOutput)
        sys.stderr = _wrapped(sys.stderr, _StandardError)
        debug = os.environ.get("LLM_DEBUG", "").lower() not in ("", "0", "false", "off", "no")
        try:
            cwd = Path.cwd()
        except FileNotFoundError:
            cwd = Path(os.environ.get("PWD", "")).absolute() if os.environ.get("PWD", "")[:1] == "/" else Path("/")
        return cls(dict(os.environ), cwd, stdin, sys.stdout, sys.stderr, debug=debug)

    def terminal_size(self) -> os.terminal_size:
        """Return the columns and rows of the terminal, 80 by 24 without one.

        Exported COLUMNS and LINES are not read; they would be stale after a resize.
        """
        for stream in (self.stdout, self.stderr, self.stdin):
            with suppress(OSError, ValueError):  # no file behind it, or not a terminal
                size = os.get_terminal_size(stream.fileno())
                if size.columns > 0 and size.lines > 0:
                    return size
        return os.terminal_size((80, 24))

    def log(self, text: str) -> None:
        """With `debug`, write a line with the ms since start to stderr. Never pass keys."""
        if self.debug:
            self.stderr.write(f"debug: {(self.monotonic() - self.started) * 1000:8.1f} ms  {escape_controls(text)}\n")
            self.stderr.flush()

    def talk_on_terminal(self) -> None:
        """Read further input from the terminal, if any, after standard input was consumed."""
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        os.dup2(terminal, self.stdin.fileno())
        os.close(terminal)

    def interactive(self) -> bool:
        """Whether input and output are a terminal."""
        return self.stdin.isatty() and self.stdout.isatty()


def _wrapped(stream: object, kind: type[TextIOWrapper]) -> TextIOWrapper:
    """Convert a standard stream to the given class."""
    old = stream if isinstance(stream, TextIOWrapper) else _nothing("w")
    encoding, line_buffering = old.encoding, old.line_buffering
    return kind(old.detach(), encoding, "backslashreplace", line_buffering=line_buffering)


def _nothing(mode: str) -> TextIOWrapper:
    return TextIOWrapper(FileIO(os.devnull, mode))
