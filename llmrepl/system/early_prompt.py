"""Draws the banner and the prompt of the last start before anything else is loaded, as zsh's instant prompt does.

It imports almost nothing. A thread echoes what is typed meanwhile and keeps it. When the program is loaded, it compares
what was drawn with what it would draw, corrects it if need be, and takes over in place.
"""

from __future__ import annotations

import _thread
import os
import select
import sys
import termios
import time

from llmrepl import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "prompt"
"""The file with the last screen, in the cache directory."""

STAMP = "\0"
"""Stands in the file for the time in the name of the session."""

_LONGEST = 4096


class EarlyPrompt:
    """The prompt while the program loads. `at` is when it was drawn, in seconds since 1970, `mode` the terminal's mode.

    `screen` is what stands above the prompt, in `rows` rows; `column` where the input begins.
    """

    def __init__(self, screen: str, rows: int, prompt: str, column: int, columns: int) -> None:
        self.at = time.time()
        stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(self.at))
        self.screen, self.rows = screen.replace(STAMP, stamp), rows
        self.mode = termios.tcgetattr(0)
        self.drawn = True
        self._used, self._columns = column, columns
        self._typed = b""
        self._pending = b""
        self._echoed: list[int] = []
        self._held = False
        self._wake, self._stop = os.pipe()
        self._done = _thread.allocate_lock()
        self._done.acquire()
        mode = termios.tcgetattr(0)
        mode[0] &= ~termios.ICRNL
        mode[3] = mode[3] & ~(termios.ECHO | termios.ICANON | termios.ISIG) | termios.NOFLSH
        termios.tcsetattr(0, termios.TCSANOW, mode)
        os.write(1, (self.screen + prompt).encode())
        _thread.start_new_thread(self._read, ())

    def __enter__(self) -> EarlyPrompt:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave the terminal as it was found, if nothing took over."""
        if self.drawn:
            self.erase()
            termios.tcsetattr(0, termios.TCSANOW, self.mode)

    def stop(self) -> bytes:
        """End the echo, with the cursor at the beginning of the prompt; return what was typed."""
        if self.drawn:
            self.drawn = False
            os.write(self._stop, b".")
            self._done.acquire()
            os.close(self._stop)
            os.close(self._wake)
            os.write(1, b"\r")
        return self._typed

    def erase(self) -> bytes:
        """End the echo and erase all that was drawn; return what was typed."""
        typed = self.stop()
        os.write(1, (f"\x1b[{self.rows}A" if self.rows else "").encode() + b"\r\x1b[J")
        return typed

    def _read(self) -> None:
        try:
            while self._wake not in (ready := select.select([0, self._wake], [], [])[0]):
                if ready and not self._take(os.read(0, 1024)):
                    break
        except OSError:  # the terminal was closed
            pass
        finally:
            self._done.release()

    def _take(self, data: bytes) -> bool:
        """Keep what was typed, and echo it up to the first key that needs an editor."""
        self._typed += data
        if data and not self._held:
            out = "".join(map(self._echo, self._decode(data)))
            if out:
                os.write(1, out.encode())
        return bool(data)

    def _decode(self, data: bytes) -> str:
        """Decode complete characters; the beginning of another waits."""
        data, self._pending = self._pending + data, b""
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                self._held = True
            self._pending = data[error.start :]
            return data[: error.start].decode()

    def _echo(self, character: str) -> str:
        width = 1
        if self._held:
            return ""
        if character in "\x7f\b":
            width = self._echoed.pop() if self._echoed else 0
            self._used -= width
            return "\b \b" * width
        if not character.isascii():
            width = _width(character)
        if not character.isprintable() or not width or self._used + width >= self._columns:
            self._held = True
            return ""
        self._used += width
        self._echoed.append(width)
        return character


def _width(character: str) -> int:
    """Return the cells of a character, 0 if it joins others."""
    import unicodedata

    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf", "Sk"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def draw(environ: Mapping[str, str], cwd: Callable[[], str]) -> EarlyPrompt | None:
    """Draw the prompt of the last start in this directory and terminal; None if there is nothing to draw."""
    try:
        if not all(map(os.isatty, (0, 1, 2))) or environ.get("ACCESSIBLE") or environ.get("LLM_DEBUG"):
            return None
        size = os.get_terminal_size(1)
        columns, lines = size.columns or 80, size.lines or 24
        with open(_path(environ), "rb") as file:
            found, rows, column, prompt, screen = file.read(_LONGEST).decode().split("\x1e")
            own = os.fstat(file.fileno()).st_uid == os.geteuid()
        if not own or found != key(environ, cwd(), columns) or int(rows) + 4 > lines:
            return None
        return EarlyPrompt(screen, int(rows), prompt, int(column), columns)
    except (OSError, ValueError, termios.error):
        return None


def key(environ: Mapping[str, str], cwd: str, columns: int) -> str:
    """Return what must be the same for the last screen to be drawn again."""
    names = ("TERM", "NO_COLOR", "COLORTERM", "LLM_MODEL", "LLM_SESSIONS_DIR", "HOME", "LC_ALL", "LC_CTYPE", "LANG")
    return "\x1f".join((__version__, sys.prefix, cwd, str(columns), *(environ.get(name, "") for name in names)))


def encode(key: str, screen: str, prompt: str, column: int) -> bytes:
    """Return the contents of the file for a screen, whose prompt ends at `column`."""
    return "\x1e".join((key, str(screen.count("\n")), str(column), prompt, screen)).encode("utf-8", "replace")


def _path(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_CACHE_HOME", "")
    base = base if base.startswith("/") else os.path.join(environ["HOME"], ".cache") if "HOME" in environ else ""
    if not base:
        raise FileNotFoundError(NAME)
    return os.path.join(base, "llm", NAME)
