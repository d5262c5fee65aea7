"""The line that shows progress while a reply is awaited."""

from __future__ import annotations

import threading

from llmrepl.formatting import escape_controls
from llmrepl.system.environment import Environment

DELAY = 0.3
"""Seconds until the line appears."""

_HELD = 2.0
"""Seconds that a message stays without an update."""

_HINT, _HINT_FROM = "Ctrl-C stops", 60
"""The hint at the end of the line, and the width of the terminal from which it is shown."""

_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


class StatusLine:
    """One dim line on stderr: `waiting for MODEL · 3 s · Ctrl-C stops`, updated every second by a thread.

    It is replaced in place, cut to the width, and leaves no trace. With `redraw` off, as for a screen reader, it is
    printed once and stays. Nothing is drawn unless stderr is a terminal.
    """

    def __init__(self, environment: Environment, *, redraw: bool = True) -> None:
        self._environment = environment
        self._redraw = redraw
        self._lock = threading.Lock()
        self._stopped: threading.Event | None = None
        self._since = 0.0
        self._model = ""
        self._reasoning_bytes = 0
        self._message, self._until = "", 0.0
        self._drawn = False

    @property
    def waiting(self) -> bool:
        """Whether a wait has begun and not ended, or a message is shown."""
        return self._stopped is not None or self._drawn

    def wait(self, model: str) -> None:
        """Begin to wait for `model`; call it for each request."""
        if not self._environment.stderr.isatty():
            return
        with self._lock:
            self._since = self._environment.monotonic()
            self._model, self._message, self._reasoning_bytes = model, "", 0
            if self._stopped is None:
                self._stopped = threading.Event()
                threading.Thread(target=self._tick, args=(self._stopped,), name="status line", daemon=True).start()

    def wait_again(self) -> None:
        """Begin to wait for another attempt of the same request."""
        if self._stopped:
            self.wait(self._model)

    def think(self, text: str) -> None:
        """Count hidden reasoning."""
        from llmrepl.providers.tokens import utf8_size

        self._reasoning_bytes += utf8_size(text)

    def show(self, message: str) -> None:
        """Show another message now, instead of the time; it goes if it is not updated."""
        if self._redraw and self._environment.stderr.isatty():
            with self._lock:
                self._message, self._until = message, self._environment.monotonic() + _HELD
                self._draw(message)

    def erase(self) -> None:
        """Erase the line, so that something else can be written; the next update draws it again."""
        with self._lock:
            self._erase()

    def stop(self) -> None:
        """Erase the line for good."""
        with self._lock:
            if self._stopped:
                self._stopped.set()
                self._stopped = None
            self._message = ""
            self._erase()

    def _tick(self, stopped: threading.Event) -> None:
        pause = DELAY
        while not stopped.wait(pause):
            with self._lock:
                if stopped.is_set():
                    return
                now = self._environment.monotonic()
                if not self._redraw:
                    self._environment.stderr.write(f"{self._text(0)} · {_HINT}\n")
                    self._environment.stderr.flush()
                    return
                if now >= self._until or not self._message:
                    self._draw(self._text(now - self._since))
            pause = max(0.05, 1 - (now - self._since) % 1)

    def _text(self, seconds: float) -> str:
        from llmrepl.providers.tokens import tokens

        counted = tokens(self._reasoning_bytes)
        what = f"thinking · {counted:,} tokens" if counted else f"waiting for {self._model}"
        return f"{what} · {seconds:.0f} s" if seconds >= 1 else what

    def _draw(self, text: str) -> None:
        from llmrepl.rendering.table_fit import cut_line

        width = max(20, self._environment.terminal_size().columns) - 1
        text = " ".join(escape_controls(text).split())
        text = cut_line(text if width < _HINT_FROM else f"{text} · {_HINT}", width)
        styled = text if "NO_COLOR" in self._environment.environ else f"{_DIM}{text}{_PLAIN}"
        self._environment.stderr.write(f"\r\x1b[K{styled}")
        self._environment.stderr.flush()
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._drawn = False
            self._environment.stderr.write("\r\x1b[K")
            self._environment.stderr.flush()
