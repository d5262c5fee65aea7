"""What every provider shares: the request it gets and the few events that it turns the reply into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llmrepl.types import Attachment, Citation, Message, ProviderData, Usage


@dataclass(slots=True)
class Options:
    """What the user set for the request; None leaves the choice to the provider. `max_tokens` caps the reply.

    `effort` is how much the model may think: off, minimal, low, medium, high, max or a number of tokens. `extra` are
    fields that go into the request as they are.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    effort: str | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Request:
    """One question to one model: `model` is the provider's own name for it, `messages` the context, oldest first."""

    model: str
    messages: Sequence[Message]
    system: str | None = None
    options: Options = field(default_factory=Options)


@dataclass(slots=True)
class TextDelta:
    """A piece of the reply."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of the model's thinking, which is not part of the reply."""

    text: str


@dataclass(slots=True)
class Finish:
    """The reply is whole; `reason` is `stop`, `length`, `content_filter`, `refusal` or the provider's own word."""

    reason: str


@dataclass(slots=True)
class Notice:
    """Something worth telling beside the reply, such as a malformed event that was skipped."""

    text: str


@dataclass(slots=True)
class Retrying:
    """The request failed before any text and is tried again: about `seconds` are left of the wait, `why` says why.

    Sent about once a second while waiting, so that an interface can show a countdown; a new attempt begins at 0.
    `may_be_billed`: the server may charge for the attempt that failed.
    """

    seconds: float
    why: str
    may_be_billed: bool = False


Event = TextDelta | ReasoningDelta | Attachment | Citation | ProviderData | Usage | Finish | Notice | Retrying
"""An Attachment is a picture in the reply; Citation and ProviderData come after the text."""


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
