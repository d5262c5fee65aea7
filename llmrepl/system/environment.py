"""The outside world as one replaceable object: terminal streams, environment, clock, working directory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from llmrepl.formatting import escape_controls


@dataclass
class Environment:
    """Everything that comes from outside; a test passes its own.

    `now` is local time without offset, `monotonic` seconds on a clock that never goes back, `sleep` takes seconds.
    `debug` turns the log on, whose times count from `started`.
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
        """The process's own world. Input is UTF-8; output that the locale cannot show is written as escapes.

        A stream that the process was started without is empty, and takes everything.
        """
        stdin, stdout, stderr = (
            stream if isinstance(stream, TextIOWrapper) else _nothing(mode)
            for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
        )
        stdin.reconfigure(encoding="utf-8", errors="replace")
        for stream in (stdout, stderr):
            stream.reconfigure(errors="backslashreplace")
        debug = os.environ.get("LLM_DEBUG", "0") not in ("", "0")
        return cls(dict(os.environ), Path.cwd(), stdin, stdout, stderr, debug=debug)

    def log(self, text: str) -> None:
        """With `debug`, a line on stderr with the ms since the start. Keys have no business here."""
        if self.debug:
            self.stderr.write(f"debug: {(self.monotonic() - self.started) * 1000:8.1f} ms  {escape_controls(text)}\n")
            self.stderr.flush()

    def talk_on_terminal(self) -> None:
        """Once standard input was read, let what follows come from the terminal, if there is one."""
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        os.dup2(terminal, self.stdin.fileno())
        os.close(terminal)

    def interactive(self) -> bool:
        """Whether a person types at a terminal and sees one."""
        return self.stdin.isatty() and self.stdout.isatty()


def _nothing(mode: str) -> TextIOWrapper:
    return TextIOWrapper(FileIO(os.devnull, mode))
