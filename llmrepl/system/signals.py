"""SIGTERM, SIGHUP and Ctrl-C: they stop the work, but never in the middle of a save."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from llmrepl.errors import SignalExit


class Signals:
    """The process's signals. Until `install` is called it only shields in name.

    `stopped` is the SIGTERM or SIGHUP that came, for when its exception was lost on the way out. Signals are raised in
    the main thread, so only its shields count: work in another thread must survive the end of the process at any point.
    """

    def __init__(self) -> None:
        self.stopped: int | None = None
        self._shields = 0
        self._waiting: int | None = None

    def install(self) -> None:
        """Let SIGINT raise KeyboardInterrupt, SIGTERM and SIGHUP raise Stopped: outside a shield at once."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(signum, self._arrived)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Hold signals back for the length of the block; one that came is raised at its end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
            if not self._shields and self._waiting is not None:
                signum, self._waiting = self._waiting, None
                _raise(signum)

    def _arrived(self, signum: int, _frame: FrameType | None) -> None:
        if signum != signal.SIGINT:
            self.stopped = signum
        if self._shields:
            if self._waiting is None or signum != signal.SIGINT:
                self._waiting = signum
        else:
            self._waiting = None
            _raise(signum)


def die_of(signum: int) -> int:
    """End the process by `signum`'s default action, so that whoever waits for it sees why it ended.

    Returns the exit code to end with where the signal does not end a process.
    """
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    return 128 + signum


def _raise(signum: int) -> None:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SignalExit(signum)
