"""The built-in provider, which needs no key and no network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.errors import UsageError
from llmrepl.providers.base import Event, Finish, Request, TextDelta
from llmrepl.providers.vendors import OFFLINE_MODELS as MODELS
from llmrepl.types import Message, Usage

if TYPE_CHECKING:
    from llmrepl.providers.offline.guide import Guide

_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class OfflineProvider:
    """The built-in models: `guide` answers questions about the shell, `echo` repeats the last message.

    `docs` is the documentation directory. Each word and punctuation mark is a token, at no cost. Only the needed part
    of a request is read, so that the time does not grow with the conversation.
    """

    name = "offline"

    def __init__(self, docs: Path) -> None:
        self._docs = docs

    @cached_property
    def _guide(self) -> Guide:
        from llmrepl.providers.offline.guide import Guide  # some 70 ms, only for those who ask

        return Guide(self._docs)

    def stream(self, request: Request) -> Iterator[Event]:
        """Stream the reply word by word, then usage and Finish. Raises UsageError for an unknown model."""
        if request.model not in MODELS:
            raise UsageError(f"offline has no model {request.model!r}", "choose offline/guide or offline/echo")
        prompt = request.messages[-1].content if request.messages else ""
        answer = prompt if request.model == "echo" else self._guide.reply(_questions(request.messages)).text
        yield from _streamed(prompt, answer, request)


def count_tokens(text: str) -> int:
    """Count words and punctuation marks."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _questions(messages: Sequence[Message], most: int = 6) -> list[str]:
    """Return the last prompts of the user, newest first."""
    recent = messages[-2 * most :]
    return [message.content for message in reversed(recent) if message.role == "user"][:most] or [""]


def _streamed(prompt: str, answer: str, request: Request) -> Iterator[Event]:
    most = request.options.max_tokens
    written = 0
    for piece in [answer] if not request.options.stream and most is None else _PIECE.findall(answer):
        if most is not None and written >= most:
            break
        written += count_tokens(piece)
        yield TextDelta(piece)
    yield Usage(prompt_tokens=count_tokens(prompt), completion_tokens=written, cost=0.0)
    yield Finish("stop" if most is None or written < most or written == count_tokens(answer) else "length")
