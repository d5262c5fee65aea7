"""What only a person at a terminal can be asked for."""

from __future__ import annotations

from typing import Protocol

from llmrepl.commands.results import Choose
from llmrepl.errors import WrongUse
from llmrepl.formatting import safe_name


class Person(Protocol):
    """Whoever the shell runs for."""

    def edit(self, text: str) -> str:
        """`text` as it comes out of the user's editor. Raises WrongUse if there is none."""

    def copy(self, text: str) -> None:
        """Put `text` into the clipboard. Raises WrongUse if there is none."""

    def secret(self, prompt: str) -> str:
        """What is typed unseen. Raises WrongUse where nobody types."""

    def agrees(self, question: str) -> bool:
        """Whether the answer is yes; True where nobody can be asked."""

    def choose(self, wish: Choose) -> str | None:
        """The name of what was picked, None if nothing was. Raises WrongUse where nobody can pick."""


class Nobody:
    """A script: it cannot be asked, and is told what to write instead."""

    def edit(self, text: str) -> str:
        """There is no editor in a script."""
        raise WrongUse("there is no editor in a script", "give the text with the command")

    def copy(self, text: str) -> None:
        """There is no clipboard in a script."""
        raise WrongUse("there is no clipboard in a script", "':export' and ':history' write to a file or to stdout")

    def secret(self, prompt: str) -> str:
        """Nobody types."""
        raise WrongUse("there is nobody to type it", "pipe it in: 'llm keys set PROVIDER < FILE'")

    def agrees(self, question: str) -> bool:
        """A script goes on."""
        return True

    def choose(self, wish: Choose) -> str | None:
        """There is nobody to choose."""
        names = ", ".join(safe_name(choice.name) for choice in wish.choices[:20]) or "there are none"
        raise WrongUse(f"which session? {names}", wish.usage)
