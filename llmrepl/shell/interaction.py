"""What only a person at a terminal can be asked for."""

from __future__ import annotations

from typing import Protocol

from llmrepl.commands.results import PickOne
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name


class Interaction(Protocol):
    """Whoever the shell runs for."""

    def edit(self, text: str) -> str:
        """`text` as it comes out of the user's editor. Raises UsageError if there is none."""

    def copy(self, text: str) -> None:
        """Put `text` into the clipboard. Raises UsageError if there is none."""

    def secret(self, prompt: str) -> str:
        """What is typed unseen. Raises UsageError where nobody types."""

    def agrees(self, question: str) -> bool:
        """Whether the answer is yes; True where nobody can be asked."""

    def choose(self, result: PickOne) -> str | None:
        """The name of what was picked, None if nothing was. Raises UsageError where nobody can pick."""


class NonInteractive:
    """A script: it cannot be asked, and is told what to write instead."""

    def edit(self, text: str) -> str:
        """There is no editor in a script."""
        raise UsageError("there is no editor in a script", "give the text with the command")

    def copy(self, text: str) -> None:
        """There is no clipboard in a script."""
        raise UsageError("there is no clipboard in a script", "':export' and ':history' write to a file or to stdout")

    def secret(self, prompt: str) -> str:
        """Nobody types."""
        raise UsageError("there is nobody to type it", "pipe it in: 'llm keys set PROVIDER < FILE'")

    def agrees(self, question: str) -> bool:
        """A script goes on."""
        return True

    def choose(self, result: PickOne) -> str | None:
        """There is nobody to choose."""
        names = ", ".join(escape_name(choice.name) for choice in result.choices[:20]) or "there are none"
        raise UsageError(f"which session? {names}", result.usage)
