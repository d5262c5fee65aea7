"""The terminal's title while the prompt is there."""

from __future__ import annotations

from contextlib import suppress

from llmrepl.formatting import escape_name
from llmrepl.system.environment import Environment

_CAPABLE = (
    "xterm",
    "screen",
    "tmux",
    "rxvt",
    "alacritty",
    "foot",
    "kitty",
    "wezterm",
    "konsole",
    "gnome",
    "vte",
    "st-",
    "contour",
    "ghostty",
)
"""Beginnings of TERM for terminals that have a title."""

_SAVE, _RESTORE = "\x1b[22;0t", "\x1b[23;0t"


class TerminalTitle:
    """Sets the title of the terminal (OSC 0) and restores the one before (XTWINOPS 22 and 23)."""

    def __init__(self, environment: Environment) -> None:
        self._out = environment.stdout
        term = environment.environ.get("TERM", "")
        self._capable = term.startswith(_CAPABLE) and not environment.environ.get("ACCESSIBLE") and self._out.isatty()
        self._set = False

    def show(self, name: str) -> None:
        """Set the title to `llm: NAME`."""
        if self._capable:
            self._out.write(f"{'' if self._set else _SAVE}\x1b]0;llm: {escape_name(name)[:80]}\x1b\\")
            self._out.flush()
            self._set = True

    def restore(self) -> None:
        """Restore the title."""
        if self._set:
            self._set = False
            with suppress(OSError):  # the terminal was closed
                self._out.write(_RESTORE)
                self._out.flush()
