"""How a turn ended, before it becomes part of a session file."""

from __future__ import annotations

from dataclasses import dataclass

from llmrepl.types import Usage


@dataclass(frozen=True)
class Completion:
    """The reply to a question, whole or in part: `latency_ms` from question to end, `cost` in USD, None if unknown.

    `finish_reason` is the provider's, or `interrupted` (the text is a part), or `error` (there is no text).
    """

    text: str
    finish_reason: str
    latency_ms: float
    usage: Usage | None
    cost: float | None
