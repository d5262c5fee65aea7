"""Reads events from a response body: the part that all protocols share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llmrepl.providers.base import Event, Finish, Notice, ReasoningDelta, Request, TextDelta
from llmrepl.providers.errors import KEPT, Endpoint, ProviderError, error_from_event, error_in
from llmrepl.providers.protocols.base import TOOLS, Protocol, StreamState
from llmrepl.providers.think_tags import ThinkTags
from llmrepl.providers.tokens import utf8_size
from llmrepl.providers.transport import frames
from llmrepl.providers.usage_counts import read_usage, usage_of_part
from llmrepl.types import Attachment, ProviderData

REPLY_LIMIT = 16 * 1024 * 1024
"""Maximum bytes of text and reasoning in a reply."""

_BYTES_A_TOKEN = 16
_SMALLEST_LIMIT = 64 * 1024
_BAD_EVENTS = 3
_HTML = "check base_url, or open it in a browser: it may be a login page of your network"

FAILED = frozenset(
    """error failed failure server_error internal_error internal_server_error network_error timeout
    insufficient_system_resource abort aborted interrupted cancelled canceled disconnected""".split()
)
"""Finish reasons, in lower case, that mean an incomplete reply because the server failed."""


def read_reply(
    chunks: Iterable[bytes], protocol: Protocol, request: Request, endpoint: Endpoint, alive: Callable[[], None]
) -> Iterator[Event]:
    """Yield the events of a response: text, reasoning, images and notices, then citations, Usage and Finish.

    `alive` is called for each chunk of text or reasoning. Usage is yielded exactly once for a reply that started,
    estimated if the server's is missing or invalid, also before a ProviderError in the middle of a reply.
    """
    reply = StreamState()
    said = False
    limit = REPLY_LIMIT
    if request.options.max_tokens is not None:
        limit = min(limit, max(_SMALLEST_LIMIT, request.options.max_tokens * _BYTES_A_TOKEN))
    try:
        for event in _joined(_events(chunks, protocol, reply, request.model, endpoint), protocol):
            if isinstance(event, TextDelta | ReasoningDelta):
                alive()
                said = said or isinstance(event, TextDelta)
                reply.size += utf8_size(event.text)
                if reply.size > limit:
                    raise ProviderError(f"the reply has more than {limit >> 10:,} KiB and was stopped", KEPT)
            elif isinstance(event, Attachment):
                alive()
                said = True
            yield event
    except ProviderError:
        if reply.error is not None or (reply.reason is None and not reply.ended):
            if reply.size:
                yield usage_of_part(reply.counts, request, reply.size)
            raise
    yield from _ending(reply, request, endpoint, said)


def _joined(events: Iterable[Event], protocol: Protocol) -> Iterator[Event]:
    """Yield the events with surrogate pairs joined, reasoning separated from text, and no empty ones."""
    surrogates, tags = SurrogateJoiner(), ThinkTags() if protocol.think_tags else None
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta):
            event = surrogates.join(event)
            if event.text:
                yield from tags.split(event.text) if tags and isinstance(event, TextDelta) else (event,)
        else:
            yield event
    rest = surrogates.rest()
    if tags:
        yield from tags.split(rest.text) if isinstance(rest, TextDelta) else ()
        yield from tags.end()
    if rest and not (tags and isinstance(rest, TextDelta)):
        yield rest


def _ending(reply: StreamState, request: Request, endpoint: Endpoint, said: bool) -> Iterator[Event]:
    if reply.reason is None and not reply.ended:
        if reply.size:
            yield usage_of_part(reply.counts, request, reply.size)
        raise ProviderError(
            "the reply was cut off: the server ended it without a finish",
            KEPT if reply.size else "try again",
            retry=not reply.size,
            may_be_billed=True,
        )
    explanation = endpoint.said(reply.explanation)
    failed = (reply.reason or "").lower() in FAILED
    if said and explanation and not failed:
        yield Notice(f"{endpoint.vendor}: {explanation}")
    yield from reply.citations.values()
    if reply.items:
        yield ProviderData(endpoint.vendor, request.model, tuple(reply.items))
    usage, notices = read_usage(reply.counts, request, reply.size)
    yield from map(Notice, notices)
    yield usage
    if failed:
        begun = said or reply.size > 0
        what = f"{endpoint.vendor} broke the reply off: {explanation or reply.reason}"
        raise ProviderError(what, KEPT if begun else "try again", retry=not begun, may_be_billed=True)
    if not said:
        reason = "tool_calls" if TOOLS in reply.noted else reply.reason or ""
        nothing = (
            f"the model answered nothing ({reason})" if reason not in ("", "stop") else "the model answered nothing"
        )
        what, then = _NOTHING.get(reason, (nothing, "ask again or in other words"))
        raise ProviderError(f"{what}: {explanation}" if explanation else what, then)
    yield Finish(reply.reason or "stop")


_NOTHING = {
    "content_filter": ("the provider's filter stopped the reply before any text", "ask in other words"),
    "refusal": ("the model refused to answer", "ask in other words"),
    "length": ("the reply used up max_tokens before any text", "raise it with :set max_tokens"),
    "tool_calls": ("the model asked for a tool, which this shell does not have", "ask in other words"),
}


def _events(
    chunks: Iterable[bytes], protocol: Protocol, reply: StreamState, model: str, endpoint: Endpoint
) -> Iterator[Event]:
    first, body = frames.peek_start(chunks)
    if first == b"":
        raise ProviderError(
            f"{endpoint.vendor} answered with an empty page", "try again, or check base_url", retry=True
        )
    if first == b"<":
        raise ProviderError(f"{endpoint.base_url} answered with a web page instead of a reply", _HTML)
    json_first = first in b"{["
    if json_first and protocol.frames is frames.sse:
        yield from _read_document(frames.read_all(body), protocol, reply, model, endpoint)
        return
    bad, skipped, junk = 0, False, False
    for frame in protocol.frames(body) if json_first else frames.sse(body):
        if skipped:  # reported late: a bad event at the very end means a cut-off reply, which is reported anyway
            yield Notice("one event of the reply was not JSON and was skipped")
            skipped = False
        text = frame.data.strip()
        if text[:6].upper() == "[DONE]":
            reply.ended = True
            return
        if frame.event == "error" and not text.startswith("{"):
            raise error_from_event(endpoint, model, text, begun=reply.size > 0)
        if not text.startswith(("{", "[")):  # a heartbeat: `ping`, `: PROCESSING`, or nothing
            junk = junk or bool(text)
            continue
        documents = _documents(text)
        if not documents:
            bad, skipped = bad + 1, True
            if bad > _BAD_EVENTS:
                raise ProviderError(f"{endpoint.vendor} sends what is not JSON", "check base_url")
        for data in documents:
            if isinstance(data, dict):
                junk = False
                yield from _read(data, frame.event, protocol, reply, model, endpoint)
                if reply.ended:
                    return
        if len(documents) > 1 and text.endswith("[DONE]"):
            reply.ended = True
            return
    if junk and not reply.size and reply.reason is None:
        raise ProviderError(f"{endpoint.vendor} sends what is not JSON", "check base_url")


def _documents(text: str) -> list[Any]:
    """The JSON in an event: one document, or several where a server forgets what separates events."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        found = frames.json_documents(text.encode())
        return found if len(found) > 1 else []


def _read(
    data: dict[str, Any], name: str, protocol: Protocol, reply: StreamState, model: str, endpoint: Endpoint
) -> Iterator[Event]:
    """Yield the events of one decoded object. Raises ProviderError for an error object, also inside an event."""
    error = error_in(data, name)
    if error is None:
        if "type" not in data and "." in name:  # the kind is only in the event's name
            data = {**data, "type": name}
        yield from protocol.read(data, reply)
        error = reply.error
    if error is not None:
        raise error_from_event(endpoint, model, error, begun=reply.size > 0)


def _read_document(
    body: bytes, protocol: Protocol, reply: StreamState, model: str, endpoint: Endpoint
) -> Iterator[Event]:
    """Read a response that is JSON (a document, an array of events, or several documents) instead of a stream."""
    documents = frames.json_documents(body)
    if not documents:
        raise ProviderError(f"{endpoint.vendor} sent a JSON answer that is damaged", "try again", retry=True)
    for document in documents:
        for data in document if isinstance(document, list) else [document]:
            if isinstance(data, dict):
                yield from _read(data, "", protocol, reply, model, endpoint)
    if len(documents) == 1:
        reply.ended = True


class SurrogateJoiner:
    """Joins surrogate pairs that a server split, and replaces lone surrogates by U+FFFD."""

    def __init__(self) -> None:
        self._held = ""
        self._kind: type[TextDelta] | type[ReasoningDelta] = TextDelta

    def join(self, event: TextDelta | ReasoningDelta) -> TextDelta | ReasoningDelta:
        """Return `event` with complete text; a high surrogate at its end is held for the next event of its kind."""
        text = event.text
        if text.isascii() and not self._held:
            return event
        kind = type(event)
        if self._held:
            text = self._held + text if kind is self._kind else text
            self._held = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held, self._kind, text = text[-1], kind, text[:-1]
        return kind(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    def rest(self) -> TextDelta | ReasoningDelta | None:
        """Return what was held when the reply ended."""
        held, self._held = self._held, ""
        return self._kind("\ufffd") if held else None
