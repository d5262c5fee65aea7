"""What came of one injected fault."""

from __future__ import annotations

from dataclasses import dataclass

PROMISES = ("lost", "damaged", "hung", "leaked")
"""What must never be: a word lost, a file damaged, a process that does not end, a secret or a control byte let out."""


@dataclass(frozen=True)
class Outcome:
    """A case of a part of the suite, which promises it broke, and a sentence about it."""

    part: str
    case: str
    lost: bool = False
    damaged: bool = False
    hung: bool = False
    leaked: bool = False
    said: str = ""

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that it broke."""
        return tuple(name for name in PROMISES if getattr(self, name))
