"""A network provider: a vendor, its protocol and a connection."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from llmrepl.errors import UsageError
from llmrepl.providers import refused_parameters
from llmrepl.providers.base import Event, Notice, Request
from llmrepl.providers.effort import add_effort
from llmrepl.providers.error_words import is_for_chat_only, is_no_images, is_no_system, is_stale_reasoning, is_too_long
from llmrepl.providers.errors import Endpoint, ProviderError, lacks_path
from llmrepl.providers.event_reader import read_reply
from llmrepl.providers.protocols import anthropic, gemini, ollama, openai_responses
from llmrepl.providers.protocols import openai_chat as openai
from llmrepl.providers.protocols.base import ModelInfo, Protocol, has_image, without_images
from llmrepl.providers.refused_parameters import Changes, ParameterMemory
from llmrepl.providers.retry import RetryPolicy, retry
from llmrepl.providers.structured_output import add_schema, in_words, is_refusal
from llmrepl.providers.transport import frames
from llmrepl.providers.transport.http import HTTPClient, Network
from llmrepl.providers.urls import check_url, split_query
from llmrepl.providers.vendors import Vendor

PROTOCOLS: dict[str, Protocol] = {
    "openai": openai.PROTOCOL,
    "responses": openai_responses.PROTOCOL,
    "anthropic": anthropic.PROTOCOL,
    "gemini": gemini.PROTOCOL,
    "ollama": ollama.PROTOCOL,
}
LIST_SECONDS = 10.0
LIST_LIMIT = 32 * 1024 * 1024
_MOST_PAGES = 20
REFUSED = (400, 422)
"""Statuses that may refuse a part of a request."""


def retries(most: int = 2, sleep: Callable[[float], None] = time.sleep) -> RetryPolicy:
    """Create a policy of up to `most` retries with the real clock; `sleep` takes seconds."""
    return RetryPolicy(most, sleep, time.monotonic, random.random)


@dataclass(slots=True)
class Fallback:
    """Chat completions at a server that may not have Responses; `used` once it was found to have only these."""

    provider: HTTPProvider
    used: bool = False


@dataclass(frozen=True, slots=True)
class HTTPProvider:
    """Streams replies over HTTP in the protocol of its vendor, or in that of `fallback`."""

    vendor: Vendor
    endpoint: Endpoint
    protocol: Protocol
    client: HTTPClient
    retries: RetryPolicy
    parameters: ParameterMemory = field(default_factory=refused_parameters.NoMemory)
    fallback: Fallback | None = None

    @property
    def name(self) -> str:
        """The vendor's name."""
        return self.vendor.name

    def stream(self, request: Request) -> Iterator[Event]:
        """Send the request and yield its events as they arrive; see base.Provider.

        Usage is yielded once, before Finish or before the ProviderError that ends a partial reply.
        """
        if self.fallback is None:
            yield from self._stream(request)
            return
        if not self.fallback.used:
            try:
                yield from self._stream(request)
                return
            except ProviderError as error:
                always = lacks_path(error)
                if not always and not is_for_chat_only(error.payload):
                    raise
        else:
            always = True
        for event in self.fallback.provider.stream(request):
            self.fallback.used = always
            yield event

    def _stream(self, request: Request) -> Iterator[Event]:
        """Ask for a schema in the parameters of the protocol or, if the server refuses these, in words."""
        if request.schema is not None:
            try:
                yield from self._lightened(request)
                return
            except ProviderError as error:
                if not _refuses_schema(request, error):
                    raise
            yield Notice(f"{request.model} takes no such JSON Schema as a parameter. It is asked for in words.")
            request = replace(request, schema=None, system=in_words(request.system, request.schema))
        yield from self._lightened(request)

    def _lightened(self, request: Request) -> Iterator[Event]:
        """Send a request, and again without what the model does not take of earlier turns."""
        known = self.parameters.changes(request.model)
        if IMAGES in known and not has_image(request.messages[-1]):
            request = replace(request, messages=[without_images(message) for message in request.messages])
        if SYSTEM in known:
            request = _without_system(request)
        for _ in range(_MOST_LIGHTER):
            try:
                yield from self._adapted(request)
                return
            except ProviderError as error:
                lighter = _lighter(request, error)
                if lighter is None:
                    raise
            request, words, learned = lighter
            if learned:
                self.parameters.remember(request.model, (learned, None))
            yield Notice(words)
        yield from self._adapted(request)

    def _adapted(self, request: Request) -> Iterator[Event]:
        """Send a request, and again without each parameter that the server refuses."""
        sent, left_out = self.protocol.body(request, self.vendor)
        for words in left_out:
            yield Notice(words)
        if request.options.effort is not None:
            yield from map(Notice, add_effort(sent, request.options.effort, self.vendor, request.model))
        if request.schema is not None:
            add_schema(sent, request.schema, self.vendor.dialect)
        sent |= request.options.extra
        known = self.parameters.changes(request.model)
        yield from _notices(request.model, sent, known)
        sent = refused_parameters.apply(sent, known)
        for _ in refused_parameters.OPTIONAL:
            body = json.dumps(sent, ensure_ascii=False).encode("utf-8", "replace")
            try:
                yield from retry(partial(self._attempt, request, body), self.retries)
                return
            except ProviderError as error:
                refused = error.status in REFUSED and not _refuses_schema(request, error)
                change = refused_parameters.refused(sent, error.payload) if refused else None
                if change is None:
                    raise
                if not is_too_long(error.message):  # what fits beside this prompt says nothing about others
                    self.parameters.remember(request.model, change)
            yield from _notices(request.model, sent, dict([change]))
            sent = refused_parameters.apply(sent, dict([change]))

    def _attempt(self, request: Request, body: bytes) -> Generator[Event, None, None]:
        path = self.protocol.path(request.model, request.options.stream)
        try:
            with self.client.post(path, self._headers(), body, request.model) as exchange:
                yield from read_reply(exchange.chunks(), self.protocol, request, self.endpoint, exchange.alive)
        except ProviderError as error:
            if self.fallback and lacks_path(error):
                error.retry = False
            raise

    def list_models(self, *, seconds: float = LIST_SECONDS) -> list[ModelInfo]:
        """Return the provider's list of models in its order; each page may take `seconds`. Raises ProviderError."""
        found: list[ModelInfo] = []
        path: str | None = self.protocol.models_path
        for _ in range(_MOST_PAGES):
            if path is None:
                break
            page = self._page(path, seconds)
            found += self.protocol.models(page)
            path = self.protocol.next_page(page)
        return found if self.vendor.key_env else self.protocol.add_details(found, partial(self._fetch, seconds))

    def _fetch(self, seconds: float, path: str, body: Mapping[str, Any] | None) -> Any:
        """Return the JSON at a path of the server itself, above `/v1`; None if there is none."""
        site = replace(self.endpoint, base_url=self.endpoint.base_url.removesuffix("/v1"))
        client = self.client.at(site)
        try:
            if body is None:
                return json.loads(client.get(path, self._headers(), seconds=seconds, limit=LIST_LIMIT))
            with client.post(path, self._headers(), json.dumps(body).encode(), "") as exchange:
                return json.loads(frames.read_all(exchange.chunks(), LIST_LIMIT))
        except (ProviderError, ValueError, RecursionError):
            return None
        finally:
            client.close()

    def _page(self, path: str, seconds: float) -> Any:
        body = self.client.get(path, self._headers(), seconds=seconds, limit=LIST_LIMIT)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderError(
                f"{self.endpoint.base_url} did not answer with a list of models", "check base_url"
            ) from None

    def _headers(self) -> dict[str, str]:
        """Merge the protocol's headers, the vendor's, and the user's, which take precedence."""
        headers = dict(self.protocol.headers(self.endpoint.key))
        if self.vendor.key_header and self.endpoint.key:
            headers.pop("authorization", None)
            headers[self.vendor.key_header] = self.endpoint.key
        return headers | dict(self.vendor.headers)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def _refuses_schema(request: Request, error: ProviderError) -> bool:
    return request.schema is not None and error.status in REFUSED and is_refusal(error.payload)


_MOST_LIGHTER = 3
IMAGES, SYSTEM = "images", "system prompt"
"""Names under which it is remembered that a model takes no images, or no system prompt."""


def _lighter(request: Request, error: ProviderError) -> tuple[Request, str, str] | None:
    """Return the request without what the error refuses of it, a note, and what to remember of the model.

    None if the error is about something else.
    """
    *earlier, last = request.messages
    if error.status not in (*REFUSED, 404, 500):
        return None
    if any(message.provider_data for message in earlier) and is_stale_reasoning(error.payload):
        messages = [replace(message, provider_data=None) for message in request.messages]
        words = "The reasoning of earlier replies is not accepted with this key. It was left out."
        return replace(request, messages=messages), words, ""
    if any(map(has_image, earlier)) and not has_image(last) and is_no_images(error.payload):
        messages = [*map(without_images, earlier), last]
        words = f"{request.model} takes no images. Earlier ones were left out."
        return replace(request, messages=messages), words, IMAGES
    if request.system and is_no_system(error.payload):
        words = f"{request.model} takes no system prompt. It was sent with the first prompt."
        return _without_system(request), words, SYSTEM
    return None


def _without_system(request: Request) -> Request:
    """Return the request with the system prompt at the beginning of the first message."""
    if not request.system:
        return request
    first, *others = request.messages
    first = replace(first, content=f"{request.system}\n\n{first.content}")
    return replace(request, system=None, messages=[first, *others])


def _notices(model: str, sent: dict[str, Any], changes: Changes) -> Iterator[Event]:
    """Yield notices about settings that were not sent."""
    changed = refused_parameters.apply(sent, changes)
    for dotted, change in changes.items():
        if refused_parameters.value_at(changed, dotted) != refused_parameters.value_at(sent, dotted) and (
            words := refused_parameters.describe(model, dotted, change)
        ):
            yield Notice(words)


def create_http_provider(
    vendor: Vendor,
    base_url: str,
    key: str | None,
    key_origin: str,
    network: Network,
    again: RetryPolicy | None = None,
    memory: ParameterMemory | None = None,
) -> HTTPProvider:
    """Create the provider for a vendor at a base URL. No connection is made.

    `key_origin` names the variable or file of the key, `again` is the retry policy for failures before any text (two
    retries by default), `memory` stores what models reject. Raises UsageError if the URL or the key is invalid.
    """
    protocol = PROTOCOLS[vendor.dialect]
    base_url, query = split_query(base_url)
    base_url = check_url(base_url, allow_http=network.allow_http)
    if protocol.suffix:
        base_url = base_url.removesuffix(protocol.suffix)
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key and key):
        raise UsageError(f"the key from {key_origin} has characters that no key has", "copy it again")
    endpoint = Endpoint(vendor.name, base_url, key, key_origin)
    client = HTTPClient(network, endpoint, query | dict(vendor.query))
    made = HTTPProvider(vendor, endpoint, protocol, client, again or retries(), memory or refused_parameters.NoMemory())
    if vendor.dialect != "responses":
        return made
    chat = replace(made, vendor=replace(vendor, dialect="openai"), protocol=openai.PROTOCOL)
    return replace(made, fallback=Fallback(chat))
