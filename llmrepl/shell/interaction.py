"""Interaction that requires a user at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llmrepl.commands.results import PickOne, ReadLine
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name


class Interaction(Protocol):
    """What a shell can ask of its user."""

    def edit(self, text: str) -> str:
        """Return `text` as edited in the user's editor. Raises UsageError without one."""

    def copy(self, text: str) -> None:
        """Copy `text` to the clipboard. Raises UsageError without one."""

    def run(self, program: Callable[[], int]) -> int:
        """Run a program that uses the terminal; return its exit code."""

    def secret(self, prompt: str) -> str:
        """Read hidden input. Raises UsageError if not interactive."""

    def line(self, result: ReadLine) -> str:
        """Read a line of text. Raises the result's error if not interactive."""

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Ask a yes-or-no question; Enter alone is the default. True if not interactive."""

    def choose(self, result: PickOne) -> str | None:
        """Return the name of the picked item, or None. Raises UsageError if not interactive."""


class NonInteractive:
    """The Interaction of a script: errors tell what to write instead."""

    def edit(self, text: str) -> str:
        """Raise UsageError: a script has no editor."""
        raise UsageError("There is no editor in a script.", "Give the text with the command")

    def copy(self, text: str) -> None:
        """Raise UsageError: a script has no clipboard."""
        raise UsageError("There is no clipboard in a script.", ":copy --to FILE and :export write to a file")

    def run(self, program: Callable[[], int]) -> int:
        """Run the program."""
        return program()

    def secret(self, prompt: str) -> str:
        """Raise UsageError: nobody can type."""
        raise UsageError(
            "Cannot prompt for a key: not running in a terminal.", "llm keys set PROVIDER < FILE reads it from a file"
        )

    def line(self, result: ReadLine) -> str:
        """Raise the error for what is missing: nobody can type."""
        raise result.missing

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Return True: a script continues."""
        return True

    def choose(self, result: PickOne) -> str | None:
        """Raise UsageError: nobody can choose."""
        names = ", ".join(escape_name(choice.name) for choice in result.choices[:20]) or "there are none"
        raise UsageError(f"Which one? {names}.", result.usage)
