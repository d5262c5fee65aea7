"""Hints for inputs that are probably mistyped commands, instead of a paid reply."""

from __future__ import annotations

LEAVE = ("exit", "quit")

_HINTS = {
    "help": "':help' lists the commands; a question needs more than one word",
    "/help": "commands begin with a colon here: ':help'",
    "/exit": "commands begin with a colon here: ':exit', or Ctrl-D",
    "/quit": "commands begin with a colon here: ':quit', or Ctrl-D",
    "q": "':exit' or Ctrl-D leaves",
    ":q": "':exit' or Ctrl-D leaves",
}


def hint_for(text: str) -> str | None:
    """Return the hint for a mistyped command, or None."""
    return _HINTS.get(text.strip())
