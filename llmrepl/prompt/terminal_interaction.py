"""Interaction with a user at a terminal."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.input.vt100 import cooked_mode

from llmrepl.commands.results import PickOne, ReadLine
from llmrepl.formatting import escape_name
from llmrepl.prompt.clipboard import copy
from llmrepl.prompt.picker import pick
from llmrepl.system.environment import Environment


class TerminalInteraction:
    """The Interaction of the prompt."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def edit(self, text: str) -> str:
        """Return `text` as edited in $VISUAL or $EDITOR."""
        from llmrepl.prompt.editor import edit_text

        with cooked_mode(self._environment.stdin.fileno()):
            return edit_text(text, self._environment.environ)

    def copy(self, text: str) -> None:
        """Copy `text` to the clipboard."""
        copy(text, self._environment)

    def run(self, program: Callable[[], int]) -> int:
        """Run a program with the terminal as it was before the prompt."""
        with cooked_mode(self._environment.stdin.fileno()):
            return program()

    def secret(self, prompt: str) -> str:
        """Read hidden input."""
        return PromptSession[str]().prompt(prompt, is_password=True)

    def line(self, result: ReadLine) -> str:
        """Read a line of text."""
        return PromptSession[str]().prompt(result.prompt)

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Ask a yes-or-no question; Enter alone is the default. Ctrl-C and Ctrl-D mean no."""
        try:
            answer = PromptSession[str]().prompt(question).strip().lower()
            return answer.startswith("y") if answer else default
        except (KeyboardInterrupt, EOFError):
            return False

    def choose(self, result: PickOne) -> str | None:
        """Let the user pick from the filterable list."""
        if self._environment.environ.get("ACCESSIBLE") or self._environment.environ.get("TERM") == "dumb":
            return self._choose_by_number(result)
        return pick(result.choices)

    def _choose_by_number(self, result: PickOne) -> str | None:
        """Let the user choose by number or name, for screens on which nothing may be redrawn."""
        err = self._environment.stderr
        for number, item in enumerate(result.choices, 1):
            shown = "  ".join(filter(None, (item.name, "pinned" if item.starred else "", *item.details)))
            err.write(escape_name(f"{number}. {shown}") + "\n")
        err.flush()
        try:
            typed = PromptSession[str]().prompt("Number, or Enter to cancel: ").strip()
        except (KeyboardInterrupt, EOFError):
            return None
        if typed.isascii() and typed.isdigit() and 0 < int(typed[:9]) <= len(result.choices):
            return result.choices[int(typed) - 1].name
        return next((item.name for item in result.choices if item.name == typed), None)
