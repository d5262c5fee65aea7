"""The request that providers receive and the events that they turn the reply into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from llmrepl.types import Attachment, Citation, Message, ProviderData, Usage


@dataclass(slots=True)
class Options:
    """Request options set by the user; None leaves the choice to the provider. `max_tokens` caps the reply.

    `effort` is the amount of reasoning: off, minimal, low, medium, high, max or a number of tokens. `extra` fields are
    sent unchanged. `longest` is the longest reply that the model writes, if known, for protocols that require a cap.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    effort: str | None = None
    stream: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    longest: int | None = None


@dataclass(slots=True)
class Request:
    """A prompt for a model: `model` is the provider's name for it, `messages` the context, oldest first.

    `schema` is a JSON Schema that the reply has to fit.
    """

    model: str
    messages: Sequence[Message]
    system: str | None = None
    options: Options = field(default_factory=Options)
    schema: Mapping[str, Any] | None = None


@dataclass(slots=True)
class TextDelta:
    """A chunk of the reply."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """A chunk of the model's reasoning, which is not part of the reply."""

    text: str


@dataclass(slots=True)
class Finish:
    """The reply is complete; `reason` is `stop`, `length`, `content_filter`, `refusal` or the provider's own word."""

    reason: str


@dataclass(slots=True)
class Notice:
    """A message besides the reply, such as a skipped malformed event."""

    text: str


@dataclass(slots=True)
class Requesting:
    """A request is about to be sent to `model`, as PROVIDER/MODEL."""

    model: str


@dataclass(slots=True)
class Retrying:
    """The request failed before any text and is retried: `seconds` remain of the wait, `why` is the reason.

    Sent about once a second while waiting, for a countdown; a new attempt starts at 0. `may_be_billed`: the server may
    charge for the failed attempt.
    """

    seconds: float
    why: str
    may_be_billed: bool = False


@dataclass(slots=True)
class Loading:
    """The model file `name` is being loaded, for `seconds` so far. Sent several times a second, the first at 0."""

    name: str
    seconds: float


@runtime_checkable
class Closable(Protocol):
    """A provider that holds something until it is closed: a connection, a process."""

    def close(self) -> None:
        """Let go of it."""
        ...


Event = (
    TextDelta
    | ReasoningDelta
    | Attachment
    | Citation
    | ProviderData
    | Usage
    | Finish
    | Notice
    | Requesting
    | Retrying
    | Loading
)
"""An Attachment is an image in the reply; Citation and ProviderData follow the text."""


class Provider(Protocol):
    """Streams a reply. A stream that ends without `Finish` was cut off; errors are ProviderErrors.

    A ProviderError after the first TextDelta leaves the partial reply valid. Closing the iterator (or an exception such
    as KeyboardInterrupt inside it) closes the connection, which stops the generation at the server.
    """

    @property
    def name(self) -> str:
        """The provider's name, the part before the slash in `provider/model`."""
        ...

    def stream(self, request: Request) -> Iterator[Event]:
        """Send the request and yield its events as they arrive."""
        ...
