"""Progress on stderr for work that lasts longer than a second."""

from __future__ import annotations

from llmrepl.system.environment import Environment

SILENT_SECONDS = 1.0
TERMINAL_SECONDS = 0.1
LINE_SECONDS = 10.0
"""Delay of the first message, interval of changes on a terminal, and interval of lines elsewhere, in seconds."""


class Progress:
    """Called with a description, the amount done and the total. On a terminal one line is updated."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._what = ""
        self._next = 0.0
        self._drawn = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report progress if it is due."""
        now, screen = self._environment.monotonic(), self._environment.stderr.isatty()
        if what != self._what or done == total:
            self._what, self._next = what if done < total else "", now + SILENT_SECONDS
            self._wipe()
        elif now >= self._next:
            self._next = now + (TERMINAL_SECONDS if screen else LINE_SECONDS)
            line = f"{what}: {done:,} of {total:,}"
            self._environment.stderr.write(f"\r{line}" if screen else f"{line}\n")
            self._environment.stderr.flush()
            self._drawn = screen

    def wait(self, reason: str, seconds: float) -> None:
        """Report a wait and its duration in seconds; 0 ends it."""
        screen = self._environment.stderr.isatty()
        if not seconds:
            self._what = ""
            self._wipe()
        elif seconds >= SILENT_SECONDS and (screen or self._what != reason):
            self._what = reason
            self._environment.stderr.write(f"\r{reason} · {seconds:.0f} s · Ctrl-C stops" if screen else f"{reason}\n")
            self._environment.stderr.flush()
            self._drawn = screen

    def _wipe(self) -> None:
        if self._drawn:
            self._environment.stderr.write("\r\x1b[K")
            self._environment.stderr.flush()
            self._drawn = False
