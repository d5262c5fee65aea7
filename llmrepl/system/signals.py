"""SIGINT, SIGTERM and SIGHUP end the work, but never in the middle of a save."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from llmrepl.errors import SignalExit


class Signals:
    """The signal handlers of the process. Before `install`, shields have no effect.

    `stopped` is the SIGTERM or SIGHUP received, in case its exception was lost. Signals are raised in the main thread,
    so only its shields count: work in another thread must survive the end of the process at any point.
    """

    def __init__(self) -> None:
        self.stopped: int | None = None
        self._shields = 0
        self._waiting: int | None = None

    def install(self) -> None:
        """Make SIGINT raise KeyboardInterrupt, SIGTERM and SIGHUP raise SignalExit; outside a shield at once."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(signum) != signal.SIG_IGN:  # ignored under nohup
                signal.signal(signum, self._on_signal)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Defer signals to the end of the block."""
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

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if signum != signal.SIGINT:
            self.stopped = signum
        if self._shields:
            if self._waiting is None or signum != signal.SIGINT:
                self._waiting = signum
        else:
            self._waiting = None
            _raise(signum)


def exit_by_signal(signum: int) -> int:
    """End the process by the default action of `signum`, so that its parent sees the cause.

    Returns the exit code to use where that does not end the process.
    """
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    return 128 + signum


def _raise(signum: int) -> None:
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    raise SignalExit(signum)
