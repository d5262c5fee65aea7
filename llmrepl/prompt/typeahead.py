"""Input typed while a command runs: not echoed, but used by the next prompt."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)|.)?")
"""A function key, or a terminal's response (CSI, OSC, DCS)."""

Mode = list[Any]
"""A terminal's mode, as termios.tcgetattr returns it."""

_PASTE = b"\x1b[200~"
_ENTER = (b"\r", b"\n")


class Typeahead:
    """The input of a terminal with file descriptor `fd` while no prompt reads it.

    `echoed` says that the terminal echoed the beginning of a line before quiet(), so the cursor is within a row.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._quiet = False
        self._rest = b""
        self.echoed = False

    def keep(self, data: bytes) -> None:
        """Take what was read from the terminal before: the next prompt uses it first."""
        self._rest += data

    def drain(self) -> bytes:
        """Return what was typed since the last prompt."""
        data, self._rest = self._rest + (self._pending() if self._quiet else b""), b""
        return data

    @contextmanager
    def quiet(self, before: Mode | None = None) -> Iterator[None]:
        """Turn off echo and the translation of Enter within the block; `before` is the mode to return to, if known.

        Where that differs from the present one, as under an early prompt, signals stay off until allow_signals().

        The block spans the whole session at the prompt: prompts restore this mode when they end, so no key arrives
        between two modes. Ctrl-C and Ctrl-Z keep working and do not discard input.
        """
        try:
            before = before or termios.tcgetattr(self._fd)
            mode = termios.tcgetattr(self._fd)
            has_echo = bool(mode[3] & termios.ECHO)
            mode[0] &= ~termios.ICRNL
            mode[3] = mode[3] & ~(termios.ECHO | termios.ICANON) | termios.NOFLSH
            termios.tcsetattr(self._fd, termios.TCSANOW, mode)
        except termios.error:  # not a terminal
            yield
            return
        self._quiet = True
        try:
            with contextlib.suppress(OSError):  # the terminal was closed
                typed = self._pending() if has_echo else b""
                self._rest += typed
                self.echoed = bool(typed) and typed[-1:] not in _ENTER
            yield
        finally:
            self._quiet = False
            with contextlib.suppress(OSError, termios.error):  # the terminal was closed meanwhile
                termios.tcsetattr(self._fd, termios.TCSANOW, before)

    def allow_signals(self) -> None:
        """Let Ctrl-C and Ctrl-Z be signals."""
        with contextlib.suppress(termios.error):
            mode = termios.tcgetattr(self._fd)
            mode[3] |= termios.ISIG
            termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def take(self, *, unsent: bool = False) -> tuple[str, bool]:
        """Return the next draft typed since the last prompt, and whether to enter it; never if `unsent`.

        Of several commands it is the first; later calls return the others.
        """
        try:
            data = self._rest + (self._pending() if self._quiet else b"")
        except OSError:  # the terminal was closed
            return "", False
        draft, entered, self._rest = (decode_keys(data), False, b"") if unsent else take_first(data)
        return draft, entered

    def _pending(self) -> bytes:
        data = b""
        while select.select([self._fd], [], [], 0)[0]:
            block = os.read(self._fd, 65536)
            if not block:
                break
            data += block
        return data


def needs_editor(data: bytes) -> bool:
    """Whether among the keys are some that only the prompt understands, such as arrows, Tab and Ctrl-C."""
    return any(byte < 32 and byte not in b"\r\n\b\x15" for byte in data)


def take_first(data: bytes) -> tuple[str, bool, bytes]:
    """Split key bytes into a draft, whether Enter followed it, and the rest.

    A command is entered, and so is any single line. Several lines may have been pasted and become one draft. Ctrl-D
    leaves, as at the prompt.
    """
    line, *others = data.lstrip(b"\r\n").splitlines(keepends=True) or [b""]
    if line.startswith(b"\x04"):
        return ":exit", True, b""
    pasted, command = _PASTE in data, decode_keys(line)
    if command.startswith(":") and line[-1:] in _ENTER and not pasted:
        return command, True, b"".join(others)
    text = decode_keys(data)
    one_line = bool(text) and "\n" not in text and '"""' not in text
    return text, one_line and data[-1:] in _ENTER and not pasted, b""


def decode_keys(data: bytes) -> str:
    """Decode key bytes: Backspace and Ctrl-U are applied, other control and function keys are dropped."""
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
