"""The plain values that sessions and providers share: messages, their attachments, and token usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Attachment:
    """A file that goes with a message: `media_type` such as `image/png` or `text/plain`, and its bytes."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that a reply cites: its address (for a file its name) and, if known, its title."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class ProviderData:
    """Opaque parts of a reply, such as encrypted reasoning, that only the `model` of the same `provider` can read.

    They are sent back with the reply as they came, and to nobody else.
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
    """Tokens of one request. Of several in a stream the last one counts.

    `prompt_tokens` is everything that was read, `cached_tokens` and `cache_write_tokens` the parts of it that came
    from or went into the provider's cache; `reasoning_tokens` is part of `completion_tokens`. `cost` is in USD and
    only there when the provider itself reported it. `media_tokens` are audio tokens and tokens of generated pictures,
    which are part of the other counts and do not cost what text costs.
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
        """All tokens read and written."""
        return self.prompt_tokens + self.completion_tokens
