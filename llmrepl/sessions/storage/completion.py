"""The result of a request, before it becomes part of a session."""

from __future__ import annotations

from dataclasses import dataclass

from llmrepl.types import Usage


@dataclass(frozen=True)
class Completion:
    """A reply, complete or partial. `latency_ms` is from prompt to end; `cost` is USD or None if unknown.

    `finish_reason` is the provider's, `interrupted` (the text is partial) or `error` (there is no text).
    """

    text: str
    finish_reason: str
    latency_ms: float
    usage: Usage | None
    cost: float | None
