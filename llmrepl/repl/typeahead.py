"""What is typed while the shell is at work: not shown in the middle of that, but kept for the next prompt."""

from __future__ import annotations

import codecs
import os
import re
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|.)?")
"""A function key, or what a terminal answers to a question (CSI, OSC, DCS)."""


class Typeahead:
    """The keys of a terminal with file descriptor `fd` while something else is drawn.

    `draft` is what was typed. `entered`: it is one line, and Enter was pressed after it; what has more lines may have
    been pasted.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.draft, self.entered = "", False

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Within the block keys are not echoed; Ctrl-C and Ctrl-Z work as ever, and throw away nothing that came."""
        try:
            before = termios.tcgetattr(self._fd)
        except termios.error:  # not a terminal any more
            yield
            return
        quiet = termios.tcgetattr(self._fd)
        quiet[3] = quiet[3] & ~(termios.ECHO | termios.ICANON) | termios.NOFLSH
        termios.tcsetattr(self._fd, termios.TCSANOW, quiet)
        try:
            yield
        finally:
            try:
                self.draft, self.entered = kept(self._pending())
                termios.tcsetattr(self._fd, termios.TCSANOW, before)
            except (OSError, termios.error):  # the terminal was closed meanwhile
                self.draft, self.entered = "", False

    def take(self) -> tuple[str, bool]:
        """The draft, and whether it was entered, once."""
        taken, (self.draft, self.entered) = (self.draft, self.entered), ("", False)
        return taken

    def _pending(self) -> bytes:
        data = b""
        while select.select([self._fd], [], [], 0)[0]:
            block = os.read(self._fd, 65536)
            if not block:
                break
            data += block
        return data


def kept(data: bytes) -> tuple[str, bool]:
    """Key bytes as text, and whether they are one line with Enter at its end."""
    text = typed(data)
    return text, bool(text) and "\n" not in text and '"""' not in text and data[-1:] in (b"\r", b"\n")


def typed(data: bytes) -> str:
    """Key bytes as text: line ends stay, Backspace and Ctrl-U work, other control and function keys are left out."""
    text = codecs.decode(data, "utf-8", "ignore").replace("\r\n", "\n").replace("\r", "\n")
    out: list[str] = []
    for char in _ESCAPE.sub("", text):
        if char in "\x7f\b":
            out = out[:-1]
        elif char == "\x15":
            out = out[: "".join(out).rfind("\n") + 1]
        elif char == "\n" or char >= " ":
            out.append(char)
    return "".join(out).rstrip("\n")
