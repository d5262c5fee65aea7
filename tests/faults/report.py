"""What came of one injected fault."""

from __future__ import annotations

from dataclasses import dataclass


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
