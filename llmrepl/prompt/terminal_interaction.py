"""A person at a terminal: has an editor, a clipboard, and can pick from a list."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.input.vt100 import cooked_mode

from llmrepl.commands.results import PickOne
from llmrepl.prompt.clipboard import copy
from llmrepl.prompt.editor import edit_text
from llmrepl.prompt.picker import pick
from llmrepl.system.environment import Environment


class TerminalInteraction:
    """The Person of the prompt."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def edit(self, text: str) -> str:
        """`text` as it comes out of $VISUAL or $EDITOR."""
        with cooked_mode(self._environment.stdin.fileno()):
            return edit_text(text, self._environment.environ)

    def copy(self, text: str) -> None:
        """Put `text` into the clipboard."""
        copy(text, self._environment)

    def secret(self, prompt: str) -> str:
        """What is typed, shown as stars."""
        return PromptSession[str]().prompt(prompt, is_password=True)

    def agrees(self, question: str) -> bool:
        """Whether the answer begins with a y; Ctrl-C and Ctrl-D are a no."""
        try:
            return PromptSession[str]().prompt(question).strip().lower().startswith("y")
        except (KeyboardInterrupt, EOFError):
            return False

    def choose(self, result: PickOne) -> str | None:
        """Let the user pick, with what is typed narrowing the list."""
        return pick(result.choices)
