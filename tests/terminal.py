"""A pseudoterminal to run programs in, with the screen that a user would see."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import pyte

from tests.emulator import Emulator

PATIENCE = 10.0
"""Seconds to wait for something to appear. An fsync can take several; only a failing test waits longer."""


class Terminal:
    """A program in a terminal of `rows` by `columns`. Leaving the `with` block kills it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        rows: int = 24,
        columns: int = 100,
    ) -> None:
        self.raw = b""
        self.master, slave = pty.openpty()
        self._screen = _Screen(columns, rows, self.master)
        self._stream = pyte.ByteStream(self._screen)
        _size(slave, rows, columns)
        self.process = subprocess.Popen(
            list(argv),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={"TERM": "xterm-256color", "PAGER": "cat", **environ},
            start_new_session=True,
            preexec_fn=lambda: _control(slave),
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()

    def send(self, keys: str) -> None:
        """Send keys."""
        os.write(self.master, keys.encode())

    def wait_for(self, *texts: str, seconds: float = PATIENCE) -> str:
        """Read until all `texts` are on the screen and return it. Raises AssertionError after `seconds`."""
        return self.wait_until(lambda screen: all(text in screen for text in texts), f"{texts}", seconds)

    def wait_until(self, seen: Callable[[str], bool], what: str = "it", seconds: float = PATIENCE) -> str:
        """Read until `seen` returns true for the text on the screen."""
        end = time.monotonic() + seconds
        while not seen(self.text):
            assert time.monotonic() < end, f"{what} did not appear in\n{self.text}"
            self.read(0.02)
        return self.text

    def read(self, seconds: float) -> None:
        """Read the output within `seconds`, at least once."""
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.master], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the program has closed its side
                return
            if not data:
                return
            self.raw += data
            self._stream.feed(data)

    @property
    def text(self) -> str:
        """Return the text of the screen and the scrollback, without trailing spaces."""
        above = ["".join(line[x].data for x in range(self._screen.columns)) for line in self._screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self._screen.display]).rstrip()

    @property
    def screen(self) -> list[str]:
        """Return the lines of the current screen."""
        return [line.rstrip() for line in self._screen.display]

    def styled(self) -> list[list[tuple[str, str, bool, bool]]]:
        """Return the rows on the screen as runs of text, color, and whether it is bold, and dim."""
        rows = []
        for y in range(self._screen.lines):
            line, runs = self._screen.buffer[y], []
            for (color, bold, dim), cells in groupby(
                (line[x] for x in range(self._screen.columns)), lambda c: (c.fg, c.bold, c.blink or c.reverse)
            ):
                runs.append(("".join(cell.data for cell in cells), color, bold, dim))
            rows.append(runs)
        return rows

    def resize(self, rows: int, columns: int) -> None:
        """Resize the window and notify the program."""
        self._screen.resize(rows, columns)
        _size(self.master, rows, columns)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    def close(self) -> None:
        """Close the window."""
        if self.master >= 0:
            master, self.master = self.master, -1
            os.close(master)

    def ends(self, seconds: float = PATIENCE) -> int:
        """Read until the program ends; return its exit code, negative for a signal."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, f"the program did not end:\n{self.text}"
            if self.master >= 0:
                self.read(0.02)
            else:
                time.sleep(0.01)
        if self.master >= 0:
            self.read(0.0)
        return self.process.returncode


class _Screen(Emulator):
    """A screen that answers cursor position requests."""

    def __init__(self, columns: int, rows: int, master: int) -> None:
        super().__init__(columns, rows, history=5000)
        self._master = master

    def write_process_input(self, data: str) -> None:
        """Send a terminal reply to the program."""
        os.write(self._master, data.encode())


def _size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _control(slave: int) -> None:
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
