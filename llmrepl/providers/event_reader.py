"""From the body of an answer to events: what is the same for every protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llmrepl.providers.base import Event, Finish, Notice, ReasoningDelta, Request, TextDelta
from llmrepl.providers.errors import KEPT, Endpoint, ProviderError, error_from_event
from llmrepl.providers.protocols.base import Protocol, StreamState
from llmrepl.providers.tokens import estimated, tokens, utf8_size
from llmrepl.providers.transport import frames as wire
from llmrepl.types import Usage

REPLY_LIMIT = 16 * 1024 * 1024
"""Bytes of text and reasoning that a reply may have."""

_BYTES_A_TOKEN = 16
_SMALLEST_LIMIT = 64 * 1024
_MOST_TOKENS = 100_000_000
_MOST_USD = 100_000.0
_BAD_EVENTS = 3
_HTML = "check base_url, or open it in a browser: it may be a login page of your network"


def read_reply(
    chunks: Iterable[bytes], protocol: Protocol, request: Request, endpoint: Endpoint, alive: Callable[[], None]
) -> Iterator[Event]:
    """The events of one answer: Text, Reasoning and Notice as they come, then Usage and Finish.

    `alive` is called whenever text or reasoning came. Usage comes exactly once for an answer that began, estimated if
    the server's is missing or makes no sense, also before a Failure is raised in the middle of a reply.
    """
    reply, seam = StreamState(), SurrogateJoiner()
    said = False
    limit = REPLY_LIMIT
    if request.options.max_tokens is not None:
        limit = min(limit, max(_SMALLEST_LIMIT, request.options.max_tokens * _BYTES_A_TOKEN))
    try:
        for event in _events(chunks, protocol, reply, request.model, endpoint):
            if isinstance(event, TextDelta | ReasoningDelta):
                event = seam.join(event)
                if not event.text:
                    continue
                alive()
                said = said or isinstance(event, TextDelta)
                reply.size += utf8_size(event.text)
                if reply.size > limit:
                    raise ProviderError(f"the reply has more than {limit >> 10:,} KiB and was stopped", KEPT)
            yield event
        if rest := seam.rest():
            yield rest
            said = said or isinstance(rest, TextDelta)
            reply.size += utf8_size(rest.text)
    except ProviderError:
        if reply.reason is None and not reply.ended:
            if reply.size:
                yield _usage_of_part(reply, request)
            raise
    yield from _ending(reply, request, said)


def _ending(reply: StreamState, request: Request, said: bool) -> Iterator[Event]:
    whole = reply.reason is not None or reply.ended
    if not whole:
        if reply.size:
            yield _usage_of_part(reply, request)
        raise ProviderError(
            "the reply was cut off: the server ended it without a finish",
            KEPT if reply.size else "try again",
            retry=not reply.size,
            may_be_billed=True,
        )
    usage, complaint = reported_usage(reply.counts, reply.size)
    if complaint:
        yield Notice(complaint)
    yield usage or estimated(request, reply.size)
    if not said:
        what, then = _NOTHING.get(reply.reason or "", ("the model answered nothing", "ask again or in other words"))
        raise ProviderError(what, then)
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
    first, body = wire.peek_start(chunks)
    if first == b"":
        raise ProviderError(
            f"{endpoint.vendor} answered with an empty page", "try again, or check base_url", retry=True
        )
    if first == b"<":
        raise ProviderError(f"{endpoint.base_url} answered with a web page instead of a reply", _HTML)
    if protocol.frames is wire.sse and first in b"{[":
        yield from _whole(wire.read_all(body), protocol, reply, model, endpoint)
        return
    bad, skipped = 0, False
    for frame in protocol.frames(body):
        if skipped:  # said only now: a bad event at the very end is a cut, which is said anyway
            yield Notice("one event of the reply was not JSON and was skipped")
            skipped = False
        if frame.data == "[DONE]":
            reply.ended = True
            return
        try:
            data = json.loads(frame.data)
        except (ValueError, RecursionError):
            bad, skipped = bad + 1, True
            if bad > _BAD_EVENTS:
                raise ProviderError(f"{endpoint.vendor} sends what is not JSON", "check base_url") from None
            continue
        if isinstance(data, dict):
            if data.get("error") or frame.event == "error":
                raise error_from_event(endpoint, model, data, begun=reply.size > 0)
            yield from protocol.read(data, reply)
            if reply.ended:
                return


def _whole(body: bytes, protocol: Protocol, reply: StreamState, model: str, endpoint: Endpoint) -> Iterator[Event]:
    """An answer that came as one JSON document (or an array of events) instead of a stream."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ProviderError(f"{endpoint.vendor} sent a JSON answer that is damaged", "try again", retry=True) from None
    for data in document if isinstance(document, list) else [document]:
        if isinstance(data, dict):
            if data.get("error"):
                raise error_from_event(endpoint, model, data, begun=False)
            yield from protocol.read(data, reply)
    reply.ended = True


def reported_usage(counts: dict[str, Any], size: int) -> tuple[Usage | None, str]:
    """The server's own usage if it can be trusted, and else what to say about it (nothing, if it just sent none).

    Zero tokens for a reply of `size` bytes, negative, absurd or non-numeric counts are not trusted.
    """
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if prompt is None or completion is None:
        return None, ""
    extra = [counts.get(name) or 0 for name in ("cached_tokens", "cache_write_tokens", "reasoning_tokens")]
    sane = all(_count(value) for value in (prompt, completion, *extra))
    if not sane or not prompt or (size and not completion):
        return None, "the server's token counts make no sense; they are estimated instead"
    cached, written, reasoning = extra
    if cached + written > prompt or reasoning > completion:
        return None, "the server's token counts contradict each other; they are estimated instead"
    cost = counts.get("cost")
    number = isinstance(cost, int | float) and not isinstance(cost, bool)
    if cost is not None and not (number and 0 <= cost <= _MOST_USD):
        return Usage(prompt, completion, cached, written, reasoning), "the cost that the server reports makes no sense"
    return Usage(prompt, completion, cached, written, reasoning, float(cost) if cost is not None else None), ""


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS


def _usage_of_part(reply: StreamState, request: Request) -> Usage:
    """The usage of a reply that was cut: what the server said of the prompt, and the larger guess of the rest."""
    guess = estimated(request, reply.size)
    told, _ = reported_usage(reply.counts, reply.size)
    if told is None:
        return guess
    return Usage(
        told.prompt_tokens,
        max(told.completion_tokens, tokens(reply.size)),
        told.cached_tokens,
        told.cache_write_tokens,
        told.reasoning_tokens,
        estimated=True,
    )


class SurrogateJoiner:
    """Joins surrogate pairs that a server cut in two, and replaces lone halves by U+FFFD."""

    def __init__(self) -> None:
        self._held = ""
        self._kind: type[TextDelta] | type[ReasoningDelta] = TextDelta

    def join(self, event: TextDelta | ReasoningDelta) -> TextDelta | ReasoningDelta:
        """`event` with its text made whole; a half pair at its end is kept for the next event of its kind."""
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
        """What was kept when the reply ended."""
        held, self._held = self._held, ""
        return self._kind("\ufffd") if held else None
