"""The plain values that sessions and providers share: messages, their attachments, and token usage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Attachment:
    """A file that goes with a message: `media_type` such as `image/png` or `text/plain`, and its bytes."""

    name: str
    media_type: str
    data: bytes


@dataclass(slots=True)
class Message:
    """One message of the context; `role` is `user` or `assistant`."""

    role: str
    content: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(slots=True)
class Usage:
    """Tokens of one request. Of several in a stream the last one counts.

    `prompt_tokens` is everything that was read, `cached_tokens` and `cache_write_tokens` the parts of it that came
    from or went into the provider's cache; `reasoning_tokens` is part of `completion_tokens`. `cost` is in USD and
    only there when the provider itself reported it.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """All tokens read and written."""
        return self.prompt_tokens + self.completion_tokens
