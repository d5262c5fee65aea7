"""The result of a request, before it becomes part of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmrepl.types import Citation, ProviderData, Usage


@dataclass(frozen=True)
class Completion:
    """A reply, complete or partial. `latency_ms` is from prompt to end; `cost` is USD or None if unknown.

    `finish_reason` is the provider's, `interrupted` (the text is partial) or `error` (there is no text). `pictures` are
    the names of files beside the session's.
    """

    text: str
    finish_reason: str
    latency_ms: float
    usage: Usage | None
    cost: float | None
    citations: Sequence[Citation] = ()
    pictures: Sequence[str] = ()
    provider_data: ProviderData | None = None
