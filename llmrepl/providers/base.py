"""What every provider shares: the request it gets and the few events that it turns the reply into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


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
class Options:
    """What the user set for the request; None leaves the choice to the provider. `max_tokens` caps the reply."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stream: bool = True


@dataclass(slots=True)
class Request:
    """One question to one model: `model` is the provider's own name for it, `messages` the context, oldest first."""

    model: str
    messages: Sequence[Message]
    system: str | None = None
    options: Options = field(default_factory=Options)


@dataclass(slots=True)
class Text:
    """A piece of the reply."""

    text: str


@dataclass(slots=True)
class Reasoning:
    """A piece of the model's thinking, which is not part of the reply."""

    text: str


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


@dataclass(slots=True)
class Finish:
    """The reply is whole; `reason` is `stop`, `length`, `content_filter`, `refusal` or the provider's own word."""

    reason: str


@dataclass(slots=True)
class Notice:
    """Something worth telling beside the reply, such as a malformed event that was skipped."""

    text: str


@dataclass(slots=True)
class Waiting:
    """The request failed before any text and is tried again: about `seconds` are left of the wait, `why` says why.

    Sent about once a second while waiting, so that a face can show a countdown; a new attempt begins at 0. `worked`:
    the server may ask money for the attempt that failed.
    """

    seconds: float
    why: str
    worked: bool = False


Event = Text | Reasoning | Usage | Finish | Notice | Waiting


class Provider(Protocol):
    """Streams a reply. A stream that ends without `Finish` was cut; a `Failure` says what went wrong.

    `Failure` raised after the first `Text` leaves what came as a kept part. Closing the iterator (or an exception
    such as KeyboardInterrupt thrown inside it) closes the connection, which stops the generation at the server.
    """

    @property
    def name(self) -> str:
        """The provider's name, the part before the slash in `provider/model`."""
        ...

    def stream(self, request: Request) -> Iterator[Event]:
        """Send the request and yield its events as they come."""
        ...
