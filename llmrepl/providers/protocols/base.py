"""What each provider's protocol says about itself, and what all of them need to say it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrepl.errors import UsageError
from llmrepl.providers.base import Event, Notice, Request
from llmrepl.providers.transport.frames import ServerEvent
from llmrepl.providers.vendors import Vendor
from llmrepl.types import Attachment, Citation


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a provider's own list; None is what the provider does not tell.

    `context_window` and `max_output` (the longest reply) are in tokens, prices in USD per token, `created` and `ends`
    (when it is shut down) in seconds since 1970. `chat` is False for a model that is made for something else.
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


@dataclass(slots=True)
class StreamState:
    """What is known of a reply while it arrives; `size` is the bytes of text and reasoning so far.

    `reason` is why it finished, in the words of base.Finish, `explanation` what the server says about that, `ended`
    that the protocol's terminator came, `error` an error object that was found in an event. `counts` holds the
    server's token counts under the names of types.Usage's fields and `total_tokens`, as sent: anything may be in them.
    `parts` is for what a protocol has to remember between events, `items` for what goes into ProviderData.
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
        """A Notice with `text`, the first time only."""
        if text in self.noted:
            return []
        self.noted.add(text)
        return [Notice(text)]

    def count(self, counts: Mapping[str, Any]) -> None:
        """Merge token counts; an absent one, or zeros after real ones, change nothing."""
        given = {name: value for name, value in counts.items() if value is not None}
        if any(given.get(name) for name in COUNTED) or not self.counts:
            self.counts.update(given)

    def cite(self, citations: Iterable[Citation]) -> None:
        """Add sources that the reply cites, each address once; a title that comes later is added."""
        for citation in citations:
            known = self.citations.get(citation.url)
            if known is None or (citation.title and not known.title):
                self.citations[citation.url] = citation


COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens")
"""The counts of which one must not be 0 in a usage that counts."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A provider's protocol as pure functions.

    `path(model, stream)` is what follows the base URL; `body` makes the JSON to send and says in words what it had to
    leave out; `frames` cuts a stream; `read` turns one decoded event, or one whole answer, into events. `models` reads
    a page of the list of models at `models_path`; `next_page` gives the path of the next one, if there is one.
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
    """Whether servers may leave a model's reasoning in the text, between tags."""
    suffix: str = ""
    """What the base URL may end with although `path` brings it: `/v1` of https://host/v1."""


def picture(data: str, media_type: str) -> list[Event]:
    """A picture in a reply, out of base64; nothing for what is no picture or damaged."""
    kind = media_type.partition("/")[2].partition("+")[0]
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError:
        return []
    return [Attachment(f"picture.{kind}", media_type, raw)] if raw and media_type.startswith("image/") else []


def picture_of_url(url: str) -> list[Event]:
    """A picture out of a `data:` URL."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return []
    return picture(data, head.removeprefix("data:").removesuffix(";base64"))


TOOLS = "the model asked for a tool, which this shell does not have; that part was left out"


def is_text(attachment: Attachment) -> bool:
    """Whether an attachment goes into the prompt as text."""
    kind = attachment.media_type
    return kind.startswith("text/") or kind in {"application/json", "application/xml", "application/toml"}


def as_text(attachment: Attachment) -> str:
    """A text attachment as a part of the prompt, headed by its name; undecodable bytes as U+FFFD."""
    return f"{attachment.name}:\n\n{attachment.data.decode('utf-8', 'replace')}"


def as_base64(attachment: Attachment) -> str:
    """The bytes of an attachment in base64."""
    return base64.b64encode(attachment.data).decode("ascii")


def cannot_send(attachment: Attachment, vendor: Vendor) -> UsageError:
    """The failure for an attachment that the protocol has no place for."""
    return UsageError(
        f"{vendor.name} takes no {attachment.media_type} file: {attachment.name}",
        "attach text or an image, or use another provider",
    )


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON array; nothing for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: object) -> str:
    """`value` if it is a string, else nothing."""
    return value if isinstance(value, str) else ""


def whole_number(value: object) -> int | None:
    """`value` as a whole number if it is one and not negative."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def price(value: object) -> float | None:
    """A price per token out of JSON, a number or a string; None for what is no price (OpenRouter's -1 is `varies`)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 1 else None
