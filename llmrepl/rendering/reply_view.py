"""A reply as it comes: Markdown that is only ever added to, or plain text."""

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
from llmrepl.rendering.markdown.document import MarkdownStream, drawable
from llmrepl.system.environment import Environment

_FRAME = 1 / 30
_SHARE = 8
"""An update waits until so many times the time that the last one took has passed, but no longer than a frame."""

_STALL = 0.1
"""Seconds after which a piece that waits is drawn although no other came after it."""

_CODES = re.compile(r"(\x1b\[[\d;]*m)")
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


def reply_view(environment: Environment, settings: Settings) -> ReplyView:
    """The view of a reply for a person at the terminal of `world`, as the settings say."""
    # A COLUMNS or LINES that a shell exported knows nothing of a resize.
    environ = {name: value for name, value in environment.environ.items() if name not in ("COLUMNS", "LINES")}
    console = Console(file=environment.stdout, markup=False, emoji=False, highlight=False, _environ=environ)
    return ReplyView(
        console,
        markdown=settings.flag("markdown") and not environment.environ.get("ACCESSIBLE"),
        reasoning=settings.text("reasoning") != "hide",
        clock=environment.monotonic,
    )


class ReplyView:
    """Shows one reply while it comes.

    With `markdown`, on a terminal that can do it, blocks are drawn and only the open one is drawn again; else the text
    is written as it comes. `reasoning` says whether the model's thinking is shown. `clock` gives seconds.
    After `stall` seconds without another piece, what waits is drawn.
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
        self._drawn = markdown and drawable(console)
        self._reasoning = reasoning
        self._clock = clock
        self._stall = stall
        self._part: _Part | None = None
        self._thinks = False

    def text(self, delta: str) -> None:
        """A piece of the reply."""
        self._add(delta, thinks=False)

    def reasoning(self, delta: str) -> None:
        """A piece of the model's thinking: dim, and apart from the reply."""
        if self._reasoning:
            self._add(delta, thinks=True)

    def finish(self) -> None:
        """The reply is whole, cut off, or something else is to be printed: what is open is drawn for good."""
        if self._part:
            self._part.finish()
            self._part = None

    def _add(self, delta: str, *, thinks: bool) -> None:
        if self._part and self._thinks != thinks:
            self.finish()
            self._console.file.write("\n")
        if self._part is None:
            style = "dim" if thinks else ""
            self._part = self._drawn_part(style) if self._drawn else _Written(self._console, style)
            self._thinks = thinks
        self._part.add(delta)

    def _drawn_part(self, style: str) -> _Part:
        return _Drawn(self._console, style, self._clock, self._stall)


class _Part(Protocol):
    """The reply, or its thinking, on the screen."""

    def add(self, delta: str) -> None:
        """Show a piece of text."""

    def finish(self) -> None:
        """End on a line of its own."""


class _Escaped:
    """Text made harmless piece by piece. `\\r\\n` is one line end, also where it is cut in two."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, delta: str) -> str:
        text = self._held + delta
        self._held = "\r" if text.endswith("\r") else ""
        return escape_controls(text.removesuffix("\r").replace("\r\n", "\n"))

    def rest(self) -> str:
        return escape_controls(self._held)


class _Written:
    """Text appended as it comes, never drawn again."""

    def __init__(self, console: Console, style: str) -> None:
        self._file = console.file
        self._dim = style and console.color_system and not console.is_dumb_terminal
        self._harmless = _Escaped()
        self._in_line = False

    def add(self, delta: str) -> None:
        self._write(self._harmless.take(delta))

    def finish(self) -> None:
        self._write(self._harmless.rest())
        if self._in_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._in_line = not text.endswith("\n")
            self._file.write(f"{_DIM}{text}{_PLAIN}" if self._dim else text)
            self._file.flush()


class _Drawn:
    """Markdown drawn as it comes. Pieces that come faster than they can be drawn well are drawn together.

    When the stream stalls, a timer draws what waits; `_lock` keeps the two apart.
    """

    def __init__(self, console: Console, style: str, clock: Callable[[], float], stall: float) -> None:
        self._document = MarkdownStream(console, style)
        self._screen = Screen(console)
        self._harmless = _Escaped()
        self._clock = clock
        self._waiting: list[str] = []
        self._stall = stall
        self._next = clock()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._over = False

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
            self._over = True
            if self._timer:
                self._timer.cancel()
            rows = self._document.feed(self._taken() + self._harmless.rest())
            self._screen.show(rows + self._document.end(), [])

    def _draw_late(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # a terminal that is gone is met by the next piece as well
            self._timer = None
            if self._waiting and not self._over:
                self._draw()

    def _draw(self) -> None:
        begun = self._clock()
        rows = self._document.feed(self._taken())
        self._screen.show(rows, self._document.open_rows())
        done = self._clock()
        self._next = done + min(_FRAME, _SHARE * (done - begun))

    def _taken(self) -> str:
        text = self._harmless.take("".join(self._waiting))
        self._waiting.clear()
        return text


class Screen:
    """The rows at the bottom of a terminal. Those that are done are never touched again."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file: IO[str] = console.file
        self._open: list[str] = []
        self._width = 0
        self._skip = 0

    def show(self, done: list[str], open_rows: list[str]) -> None:
        """Draw rows that are done, and below them as many of the open ones as the screen has room for, in one write.

        The cursor goes up only to the first open row that changed. After a resize that may have moved the open rows,
        they stay as they are, and only what comes after them is added.
        """
        width, height = self._console.size
        out = ""
        if self._open and (width < self._width or len(self._open) > height):
            self._skip += _visible(self._open)
            self._open, out = [], "\n"
        self._width = width
        if self._skip:
            left = max(0, self._skip - _visible(done))
            done, open_rows = _after(done, self._skip), _after(open_rows, left)
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
        """What turns the open rows on the screen into `rows`; the cursor is at the end of the last row."""
        old = self._open
        same = 0
        while same < min(len(old), len(rows)) and old[same] == rows[same]:
            same += 1
        if same == len(old):
            return "\n" * bool(old and rows[same:]) + "\n".join(rows[same:])
        if same == len(old) - 1 and same < len(rows) and rows[same].startswith(old[same]):
            return "\n".join([rows[same][len(old[same]) :], *rows[same + 1 :]])
        same = min(same, max(len(rows) - 1, 0))  # the cursor ends on the last row, also if only rows went away
        up = len(old) - 1 - same
        return (f"\x1b[{up}A" if up else "") + "\r\x1b[J" + "\n".join(rows[same:])


def _visible(rows: list[str]) -> int:
    """How many characters other than blanks and bars the rows show."""
    return sum(len(_CODES.sub("", row)) - sum(map(_CODES.sub("", row).count, " ▌")) for row in rows)


def _after(rows: list[str], skip: int) -> list[str]:
    """The rows without the first `skip` visible characters of them."""
    while rows and skip >= _visible(rows[:1]) and skip:
        skip -= _visible(rows[:1])
        rows = rows[1:]
    if not skip or not rows:
        return rows
    kept = ""
    for part in _CODES.split(rows[0]):
        if not part.startswith("\x1b"):
            while part and skip:
                skip -= part[0] not in " ▌"
                part = part[1:]
        kept += part
    return [kept, *rows[1:]]
