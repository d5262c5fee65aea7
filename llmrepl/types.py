"""Values shared by sessions and providers: messages, attachments, citations and token usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Attachment:
    """A file sent with a message: `media_type` such as `image/png` or `text/plain`, and its bytes.

    `pages` is the number of pages of a document, None if unknown.
    """

    name: str
    media_type: str
    data: bytes
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A source cited by a reply: its address (or file name) and, if known, its title."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class ProviderData:
    """Opaque parts of a reply, such as encrypted reasoning, that only the same `provider` and `model` can read.

    They are sent back unchanged with the reply, and to nobody else.
    """

    provider: str
    model: str
    items: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class Message:
    """One message of the context; `role` is `user` or `assistant`. `provider_data` belongs to a reply."""

    role: str
    content: str
    attachments: tuple[Attachment, ...] = ()
    provider_data: ProviderData | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of one request. The last of several in a stream counts.

    `prompt_tokens` is the entire input; `cached_tokens` and `cache_write_tokens` are the parts read from and written to
    the provider's cache. `reasoning_tokens` is part of `completion_tokens`. `cost` is in USD, only if the provider
    reported it. `media_tokens` are tokens of audio and generated images; they are included in the other counts but
    priced differently.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = None
    estimated: bool = False
    media_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """All tokens, prompt and completion."""
        return self.prompt_tokens + self.completion_tokens
