"""Commands of other programs, as typed at the prompt out of habit, and the commands that do the same here."""

from __future__ import annotations

import re
from collections.abc import Container

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

SHORT = {
    "?": "help",
    "h": "help",
    "q": "exit",
    "q!": "exit",
    "wq": "exit",
    "x": "exit",
    "w": "save",
    "e": "load",
    "ls": "sessions",
    "clear": "reset",
}
"""Short commands of editors and shells, run as the command they stand for."""

SLASH = {
    **SHORT,
    "bye": "exit",
    "add": "attach",
    "file": "attach",
    "image": "attach",
    "resume": "load",
    "login": "keys set",
    "logout": "keys remove",
    "tokens": "context",
    "summarize": "compact",
    "regenerate": "retry",
    "settings": "config",
    "status": "context",
    **dict.fromkeys(("memory", "init", "agents", "mcp", "code", "diff", "commit", "review", "permissions"), "help"),
}
"""Commands that begin with a slash elsewhere and have another name here; `help` where there is no such command."""

ALONE = {"q": "exit", "help": "help", "?": "help"}
"""Words that are no question when they are the only one in a prompt."""


def expand(command: str) -> str:
    """Return a command line, without its colon, with a short command replaced by its full name."""
    word, blank, rest = command.partition(" ")
    return SHORT.get(word, word) + blank + rest


def refuse(text: str, names: Container[str]) -> None:
    """Raise UsageError for a prompt that is a command of another program, or one of `names` after a slash."""
    if text in ALONE:
        raise UsageError(f"'{text}' alone is not sent.", f"Use ':{ALONE[text]}'.")
    if not (found := re.fullmatch(r"/([A-Za-z?][\w!-]*)(?:\s.*)?", text)):
        return
    word = found[1].lower()
    if ours := SLASH.get(word) or (word if word in names else ""):
        raise UsageError(f"'/{escape_name(found[1])}' is not a command here.", f"Use ':{ours}'.")
