"""The interface of protocols, and helpers they share."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from llmrepl.errors import UsageError
from llmrepl.providers.base import Event, Notice, Request
from llmrepl.providers.transport.frames import ServerEvent
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Citation, Message


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model in a provider's list; None means that the provider does not tell.

    `context_window` and `max_output` (the longest reply) are in tokens, prices in USD per token, `created` and `ends`
    (retirement) in seconds since 1970. `chat` is False for a model with another purpose; a `retired` one no longer
    answers. `vision` means that it takes images. `efforts` are the efforts that it takes, empty if it does not reason.
    """

    id: str
    name: str = ""
    context_window: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    created: int | None = None
    ends: float | None = None
    deprecated: bool = False
    chat: bool | None = None
    max_output: int | None = None
    retired: bool = False
    vision: bool | None = None
    efforts: tuple[str, ...] | None = None

    def end_date(self) -> str | None:
        """Return the date of its retirement in ISO 8601 (UTC), None if there is none."""
        return _iso_date(self.ends)

    def release_date(self) -> str | None:
        """Return the date of its release in ISO 8601 (UTC), None if it is unknown."""
        return _iso_date(self.created)


def _iso_date(seconds: float | None) -> str | None:
    """Format a time in seconds since 1970 as a date in UTC; None for no time or one that no calendar has."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}" if seconds else None
    except (OverflowError, ValueError, OSError):
        return None


@dataclass(slots=True)
class StreamState:
    """What is known of a reply while it streams. `size` counts bytes of text and reasoning.

    `reason` is the finish reason as in base.Finish, `explanation` the server's message about it. `ended` is set by the
    protocol's terminator, `error` is an error object found in an event. `counts` has the server's unvalidated token
    counts under the names of types.Usage and `total_tokens`. `parts` is state of the protocol between events, `items`
    the contents of ProviderData.
    """

    size: int = 0
    reason: str | None = None
    explanation: str = ""
    ended: bool = False
    error: object = None
    counts: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    citations: dict[str, Citation] = field(default_factory=dict)
    refused: bool = False
    noted: set[str] = field(default_factory=set)

    def note(self, text: str) -> list[Event]:
        """Return a Notice with `text`, but only the first time."""
        if text in self.noted:
            return []
        self.noted.add(text)
        return [Notice(text)]

    def count(self, counts: Mapping[str, Any]) -> None:
        """Merge token counts, ignoring missing ones and zeros after nonzero ones."""
        given = {name: value for name, value in counts.items() if value is not None}
        if any(given.get(name) for name in COUNTED) or not self.counts:
            self.counts.update(given)

    def cite(self, citations: Iterable[Citation]) -> None:
        """Add citations, one per address; a title that arrives later is added."""
        for citation in citations:
            known = self.citations.get(citation.url)
            if known is None or (citation.title and not known.title):
                self.citations[citation.url] = citation


COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens")
"""Counts of which at least one must be nonzero."""


Fetch = Callable[[str, Mapping[str, Any] | None], Any]
"""Fetches JSON from a path of the server, with a body as POST; None if that fails."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A provider's protocol as pure functions.

    `path(model, stream)` follows the base URL; `body` returns the JSON to send and describes what had to be omitted;
    `frames` splits a stream; `read` converts a decoded event or a complete response to events. `models` reads a page of
    the list at `models_path`; `next_page` returns the path of the next page, if any.
    """

    path: Callable[[str, bool], str]
    headers: Callable[[str | None], Mapping[str, str]]
    body: Callable[[Request, Vendor], tuple[dict[str, Any], list[str]]]
    frames: Callable[[Iterable[bytes]], Iterator[ServerEvent]]
    read: Callable[[dict[str, Any], StreamState], Iterable[Event]]
    models_path: str
    models: Callable[[Any], list[ModelInfo]]
    next_page: Callable[[Any], str | None] = lambda page: None
    think_tags: bool = False
    """Whether servers may leave reasoning in the text, between tags."""
    add_details: Callable[[list[ModelInfo], Fetch], list[ModelInfo]] = lambda models, fetch: models
    """Add what a server on this machine says of its models elsewhere than in the list."""
    suffix: str = ""
    """Suffix that a base URL may have although `path` includes it: `/v1` of https://host/v1."""


def picture(data: str, media_type: str) -> list[Event]:
    """Decode a base64 image; no events if it is invalid or not an image."""
    kind = media_type.partition("/")[2].partition("+")[0]
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError:
        return []
    return [Attachment(f"picture.{kind}", media_type, raw)] if raw and media_type.startswith("image/") else []


def picture_of_url(url: str) -> list[Event]:
    """Decode an image in a `data:` URL."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return []
    return picture(data, head.removeprefix("data:").removesuffix(";base64"))


TOOLS = "the model asked for a tool, which this shell does not have; that part was left out"


def own_items(message: Message, vendor: Vendor, model: str) -> list[dict[str, Any]]:
    """Return the opaque parts of a reply that this model at this provider made, which it takes back; else none."""
    data = message.provider_data
    own = data is not None and (data.provider, data.model) == (vendor.name, model)
    return [dict(item) for item in data.items] if data and own else []


def has_image(message: Message) -> bool:
    """Whether an image is attached to a message."""
    return any(attachment.media_type.startswith("image/") for attachment in message.attachments)


def without_images(message: Message) -> Message:
    """Return a message with a line of text in place of each image."""
    if not has_image(message):
        return message
    names = [one.name for one in message.attachments if one.media_type.startswith("image/")]
    others = tuple(one for one in message.attachments if not one.media_type.startswith("image/"))
    text = "\n".join([*(f"[image {name}]" for name in names), message.content])
    return replace(message, content=text, attachments=others)


def is_text(attachment: Attachment) -> bool:
    """Whether an attachment is sent as text of the prompt."""
    kind = attachment.media_type
    return kind.startswith("text/") or kind in {"application/json", "application/xml", "application/toml"}


def as_text(attachment: Attachment) -> str:
    """Format a text attachment with its name as heading; invalid UTF-8 becomes U+FFFD."""
    return f"{attachment.name}:\n\n{attachment.data.decode('utf-8', 'replace')}"


def as_base64(attachment: Attachment) -> str:
    """Encode an attachment in base64."""
    return base64.b64encode(attachment.data).decode("ascii")


def cannot_send(attachment: Attachment, vendor: Vendor) -> UsageError:
    """Create the error for an attachment that the protocol does not support."""
    return UsageError(
        f"{vendor.name} takes no {attachment.media_type} file: {attachment.name}",
        "attach text or an image, or use another provider",
    )


def dicts(value: object) -> list[dict[str, Any]]:
    """Return the objects in a JSON array; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> str:
    """Return `value` if it is a string, otherwise an empty one."""
    return value if isinstance(value, str) else ""


def whole_number(value: object) -> int | None:
    """Return `value` if it is a non-negative integer, otherwise None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def price(value: object) -> float | None:
    """Parse a price per token, a number or a string; None if it is not a price (OpenRouter's -1 is `varies`)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1 else None
