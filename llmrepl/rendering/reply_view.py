"""Displays a reply while it streams, as Markdown or plain text."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import IO, Protocol

from rich.console import Console

from llmrepl.config.settings import Settings
from llmrepl.formatting import escape_controls
from llmrepl.rendering.markdown.document import MarkdownStream, can_redraw
from llmrepl.system.environment import Environment

_FRAME = 1 / 30
_SHARE = 8
"""Minimum interval between updates, in multiples of the last update's duration; at most a frame."""

_STALL = 0.1
"""Seconds after which waiting text is drawn even though no more text arrived."""

_CODES = re.compile(r"(\x1b\[[\d;]*m)")
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def create_reply_view(environment: Environment, settings: Settings) -> ReplyView:
    """Create the view of a reply on the terminal of `environment`, according to the settings."""
    # Exported COLUMNS and LINES would be stale after a resize.
    environ = {name: value for name, value in environment.environ.items() if name not in ("COLUMNS", "LINES")}
    console = Console(file=environment.stdout, markup=False, emoji=False, highlight=False, _environ=environ)
    return ReplyView(
        console,
        markdown=settings.flag("markdown") and not environment.environ.get("ACCESSIBLE"),
        reasoning=settings.text("reasoning") != "hide",
        clock=environment.monotonic,
    )


class ReplyView:
    """Displays one reply while it streams.

    With `markdown`, on a capable terminal, blocks are rendered and only the open one is redrawn; otherwise text is
    written as it arrives. `reasoning` shows the model's thinking. `clock` returns seconds. After `stall` seconds
    without more text, waiting text is drawn.
    """

    def __init__(
        self,
        console: Console,
        *,
        markdown: bool = True,
        reasoning: bool = True,
        clock: Callable[[], float] = time.monotonic,
        stall: float = _STALL,
    ) -> None:
        self._console = console
        self._drawn = markdown and can_redraw(console)
        self._reasoning = reasoning
        self._clock = clock
        self._stall = stall
        self._part: _Part | None = None
        self._thinks = False

    def text(self, delta: str) -> None:
        """Add text of the reply."""
        self._add(delta, thinks=False)

    def reasoning(self, delta: str) -> None:
        """Add reasoning text, shown dim and separate from the reply."""
        if self._reasoning:
            self._add(delta, thinks=True)

    def finish(self) -> None:
        """Draw the remaining text for good."""
        if self._part:
            self._part.finish()
            self._part = None

    def _add(self, delta: str, *, thinks: bool) -> None:
        if self._part and self._thinks != thinks:
            self.finish()
            self._console.file.write("\n")
        if self._part is None:
            style = "dim" if thinks else ""
            self._part = self._create_markdown_part(style) if self._drawn else _PlainPart(self._console, style)
            self._thinks = thinks
        self._part.add(delta)

    def _create_markdown_part(self, style: str) -> _Part:
        return _MarkdownPart(self._console, style, self._clock, self._stall)


class _Part(Protocol):
    """The reply, or its reasoning, on the screen."""

    def add(self, delta: str) -> None:
        """Show a chunk of text."""

    def finish(self) -> None:
        """End with a complete line."""


class _StreamEscaper:
    """Escapes control characters in chunks; `\\r\\n` is one line break, even across chunks."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, delta: str) -> str:
        text = self._held + delta
        self._held = "\r" if text.endswith("\r") else ""
        return escape_controls(text.removesuffix("\r").replace("\r\n", "\n"))

    def rest(self) -> str:
        return escape_controls(self._held)


class _PlainPart:
    """Text that is only appended."""

    def __init__(self, console: Console, style: str) -> None:
        self._file = console.file
        self._dim = style and console.color_system and not console.is_dumb_terminal
        self._escaper = _StreamEscaper()
        self._in_line = False

    def add(self, delta: str) -> None:
        self._write(self._escaper.take(delta))

    def finish(self) -> None:
        self._write(self._escaper.rest())
        if self._in_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._in_line = not text.endswith("\n")
            self._file.write(f"{_DIM}{text}{_PLAIN}" if self._dim else text)
            self._file.flush()


class _MarkdownPart:
    """Markdown that is rendered while it streams; fast chunks are drawn together.

    A timer draws waiting text when the stream stalls; `_lock` separates the two threads.
    """

    def __init__(self, console: Console, style: str, clock: Callable[[], float], stall: float) -> None:
        self._document = MarkdownStream(console, style)
        self._screen = Screen(console)
        self._escaper = _StreamEscaper()
        self._clock = clock
        self._waiting: list[str] = []
        self._stall = stall
        self._next = clock()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._finished = False

    def add(self, delta: str) -> None:
        with self._lock:
            self._waiting.append(delta)
            if self._clock() >= self._next:
                self._draw()
            elif self._timer is None:
                self._timer = threading.Timer(self._stall, self._draw_late)
                self._timer.daemon = True
                self._timer.start()

    def finish(self) -> None:
        with self._lock:
            self._finished = True
            if self._timer:
                self._timer.cancel()
            rows = self._document.feed(self._take_waiting() + self._escaper.rest())
            self._screen.show(rows + self._document.end(), [])

    def _draw_late(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # a closed terminal fails again on the next chunk
            self._timer = None
            if self._waiting and not self._finished:
                self._draw()

    def _draw(self) -> None:
        start = self._clock()
        rows = self._document.feed(self._take_waiting())
        self._screen.show(rows, self._document.open_rows())
        done = self._clock()
        self._next = done + min(_FRAME, _SHARE * (done - start))

    def _take_waiting(self) -> str:
        text = self._escaper.take("".join(self._waiting))
        self._waiting.clear()
        return text


class Screen:
    """The last rows of a terminal. Finished rows are never redrawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file: IO[str] = console.file
        self._open: list[str] = []
        self._width = 0
        self._skip = 0

    def show(self, done: list[str], open_rows: list[str]) -> None:
        """Write finished rows, and below them as many open rows as fit, in a single write.

        The cursor moves up only to the first changed open row. After a resize that may have reflowed the open rows,
        they are left as they are, and only what follows is added.
        """
        width, height = self._console.size
        out = ""
        if self._open and (width < self._width or len(self._open) > height):
            self._skip += _count_visible(self._open)
            self._open, out = [], "\n"
        self._width = width
        if self._skip:
            left = max(0, self._skip - _count_visible(done))
            done, open_rows = _skip_visible(done, self._skip), _skip_visible(open_rows, left)
            self._skip = left
        open_rows = open_rows[: height - 1]
        out += self._change([*done, *open_rows])
        if done and not open_rows:
            out += "\n"
        self._open = open_rows
        if out:
            self._file.write(out)
            self._file.flush()

    def _change(self, rows: list[str]) -> str:
        """Return the output that turns the open rows into `rows`. The cursor is at the end of the last row."""
        old = self._open
        same = 0
        while same < min(len(old), len(rows)) and old[same] == rows[same]:
            same += 1
        if same == len(old):
            return "\n" * bool(old and rows[same:]) + "\n".join(rows[same:])
        if same == len(old) - 1 and same < len(rows) and rows[same].startswith(old[same]):
            return "\n".join([rows[same][len(old[same]) :], *rows[same + 1 :]])
        same = min(same, max(len(rows) - 1, 0))  # the cursor ends on the last row, even if rows were only removed
        up = len(old) - 1 - same
        return (f"\x1b[{up}A" if up else "") + "\r\x1b[J" + "\n".join(rows[same:])


def _count_visible(rows: list[str]) -> int:
    """Count the characters other than spaces and quote bars."""
    return sum(len(_CODES.sub("", row)) - sum(map(_CODES.sub("", row).count, " ▌")) for row in rows)


def _skip_visible(rows: list[str], skip: int) -> list[str]:
    """Drop the first `skip` visible characters of the rows."""
    while rows and skip >= _count_visible(rows[:1]) and skip:
        skip -= _count_visible(rows[:1])
        rows = rows[1:]
    if not skip or not rows:
        return rows
    rest = ""
    for part in _CODES.split(rows[0]):
        if not part.startswith("\x1b"):
            while part and skip:
                skip -= part[0] not in " ▌"
                part = part[1:]
        rest += part
    return [rest, *rows[1:]]
