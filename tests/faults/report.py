"""The result of an injected fault."""

from __future__ import annotations

from dataclasses import dataclass

PROMISES = ("lost", "damaged", "hung", "leaked")
"""What must never be: a word lost, a file damaged, a process that does not end, a secret or a control byte let out."""


@dataclass(frozen=True)
class Outcome:
    """A case: its part of the suite, the promises it broke, and a sentence about it."""

    part: str
    case: str
    lost: bool = False
    damaged: bool = False
    hung: bool = False
    leaked: bool = False
    said: str = ""

    @property
    def broken(self) -> tuple[str, ...]:
        """The broken promises."""
        return tuple(name for name in PROMISES if getattr(self, name))
