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
    "resume": "load",
}
"""Commands of editors, shells and chat programs, run as the command they stand for."""

SAID = {"clear": "':clear' is ':reset' here"}
"""What is said when a short command runs, where its name promises something else."""

SLASH = {
    **SHORT,
    **dict.fromkeys(("bye", "stop"), "exit"),
    **dict.fromkeys(("add", "file", "image", "paste", "read-only"), "attach"),
    **dict.fromkeys(("resume", "continue", "chat", "open", "restore"), "load"),
    **dict.fromkeys(("branch", "checkpoint"), "fork"),
    **dict.fromkeys(("rewind", "back"), "undo"),
    **dict.fromkeys(("regenerate", "again"), "retry"),
    **dict.fromkeys(("tokens", "status"), "context"),
    **dict.fromkeys(("summarize", "compress"), "compact"),
    **dict.fromkeys(("memory", "prompt", "persona", "instructions"), "system"),
    **dict.fromkeys(("settings", "preferences"), "config"),
    **dict.fromkeys(("effort", "think", "reasoning", "think-tokens", "reasoning-effort"), "set effort"),
    **dict.fromkeys(("vim", "vi", "keybindings", "multiline-mode"), "set keys"),
    **dict.fromkeys(("editor", "multiline"), "help keys"),
    **dict.fromkeys(("stats", "insights"), "sessions stats"),
    "login": "keys set",
    "logout": "keys remove",
    "voice": "",
    "theme": "",
    "drop": "attach --clear",
    "privacy": "incognito",
    "private": "incognito",
    "sh": "!",
    "shell": "!",
    "list": "sessions",
    "threads": "sessions",
    "about": "help",
    "docs": "help",
    "web": "attach",
    "btw": "aside",
    "side": "aside",
    **dict.fromkeys(
        ("agents", "mcp", "hooks", "plugin", "plugins", "skills", "permissions", "approvals", "sandbox", "plan"), ""
    ),
    **dict.fromkeys(("init", "code", "architect", "diff", "commit", "review", "lint", "test", "tools", "ide"), ""),
    **dict.fromkeys(("bug", "feedback", "upgrade", "update", "terminal-setup", "output-style", "statusline"), ""),
}
"""Commands that begin with a slash elsewhere and have another name here; empty where there is nothing like them."""

ALONE = {"q": "exit", "help": "help", "?": "help"}
"""Words that are no question when they are the only one in a prompt."""


def expand(command: str) -> tuple[str, str]:
    """Return a command line, without its colon, with a short command replaced by its full name, and what to say."""
    word, blank, rest = command.partition(" ")
    return SHORT.get(word, word) + blank + rest, SAID.get(word, "")


def refuse(text: str, names: Container[str]) -> None:
    """Raise UsageError for a prompt that is a command of another program, or one of `names` after a slash."""
    if text in ALONE:
        raise UsageError(f"'{text}' alone is not sent.", f"Use ':{ALONE[text]}'.")
    if not (found := re.fullmatch(r"/([A-Za-z?][\w!-]*)(?:\s.*)?", text)):
        return
    word = found[1].lower()
    ours = word if word in names else SLASH.get(word)
    if ours is None:
        return
    what = f"'/{escape_name(found[1])}' is not a command here"
    if ours and (ours in names or ours.split()[0] in names):
        raise UsageError(f"{what}.", f"Use ':{ours}'.")
    raise UsageError(f"{what}, and there is nothing like it.", ":help lists the commands")
