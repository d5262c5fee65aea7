"""HTTP with httpx: one request at a time, the body in chunks, with a deadline extended only by text."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlencode, urlsplit

import httpx

from llmrepl.errors import LLMError, UsageError
from llmrepl.providers.errors import KEPT, Endpoint, ProviderError, error_from_response
from llmrepl.providers.transport import frames
from llmrepl.providers.transport.proxy import proxy_for

_ERROR_LIMIT = 64 * 1024
_ERROR_SECONDS = 10.0
_UNPACKED_LIMIT = 1024 * 1024 * 1024
_SLICE = 0.2
_SUSPENDED = 2.0


@dataclass(frozen=True, slots=True)
class Network:
    """How to reach servers; times in seconds.

    `environ` supplies HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE. `transport` replaces the network
    in tests.
    """

    connect_timeout: float = 10.0
    first_token_timeout: float = 300.0
    idle_timeout: float = 60.0
    allow_http: bool = False
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    transport: httpx.BaseTransport | None = None


class Deadline:
    """Shuts a connection down when its time is over, from its own thread, so that a blocked read ends.

    httpx's read timeout counts bytes, and a server can send bytes forever without a word of text. Time in which the
    process was suspended does not count.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.seconds = seconds
        self._at = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()

    def guard(self, connection: socket.socket) -> None:
        """Set the connection to shut down."""
        self._socket = connection

    def extend(self, seconds: float) -> None:
        """Restart the countdown."""
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def end(self) -> None:
        """Stop the countdown."""
        self._over.set()

    def _watch(self) -> None:
        while (left := self._at - time.monotonic()) > 0:
            asleep, before = min(left, _SLICE), time.monotonic()
            if self._over.wait(asleep):
                return
            overslept = time.monotonic() - before - asleep
            if overslept > _SUSPENDED:
                self._at += overslept
        self.expired = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # an SSLSocket's own would wait for the reader


class ResponseStream:
    """A response with status 200: its body, and the deadline to extend when text arrives."""

    def __init__(self, response: httpx.Response, deadline: Deadline, idle: float, endpoint: Endpoint) -> None:
        self._response = response
        self._deadline = deadline
        self._idle = idle
        self._endpoint = endpoint
        self._alive = False

    def alive(self) -> None:
        """Restart the idle time because text arrived."""
        self._alive = True
        self._deadline.extend(self._idle)

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed body. Raises ProviderError on a connection error or timeout."""
        packing = self._response.headers.get("content-encoding", "identity").strip().lower()
        if packing in ("gzip", "x-gzip"):
            return frames.gunzip(self._raw(), _UNPACKED_LIMIT)
        if packing not in ("identity", ""):
            raise ProviderError(
                f"{self._endpoint.vendor} packed its answer with '{packing}', unasked", "check base_url"
            )
        return self._raw()

    def _raw(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_raw()
        except httpx.HTTPError as error:
            if not self._deadline.expired:
                raise _dropped(error, self._endpoint, begun=self._alive) from None
        if self._deadline.expired:
            raise _late(self._deadline, self._endpoint, begun=self._alive)


class HTTPClient:
    """Sends requests one at a time: no redirects, cookies or .netrc, and a new connection for each.

    Closing a connection when the reader stops is what makes a server stop generating, so connections are not shared.
    """

    def __init__(self, network: Network, endpoint: Endpoint, query: Mapping[str, str] | None = None) -> None:
        self._query = dict(query or {})
        self._network = network
        self._endpoint = endpoint
        self._client: httpx.Client | None = None

    def at(self, endpoint: Endpoint) -> HTTPClient:
        """Create a client for another path of the same server."""
        return HTTPClient(self._network, endpoint, self._query)

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextlib.contextmanager
    def post(self, path: str, headers: Mapping[str, str], body: bytes, model: str) -> Iterator[ResponseStream]:
        """Send JSON to base URL + `path`; the connection is closed at the end of the block.

        Raises ProviderError for any status but 200 and for connection errors.
        """
        sent = {**headers, "content-type": "application/json"}
        with self._open("POST", path, sent, body, model, self._network.first_token_timeout) as response:
            yield response

    def get(self, path: str, headers: Mapping[str, str], *, seconds: float, limit: int) -> bytes:
        """Return the body at base URL + `path`, at most `limit` bytes within `seconds`. Raises ProviderError."""
        with self._open("GET", path, headers, None, "", seconds) as response:
            return frames.read_all(response.chunks(), limit)

    @contextlib.contextmanager
    def _open(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, model: str, seconds: float
    ) -> Iterator[ResponseStream]:
        client = self._client = self._client or _httpx_client(self._network, self._endpoint)
        url = self._endpoint.base_url + path
        if self._query:
            url += f"{'&' if '?' in url else '?'}{urlencode(self._query)}"
        deadline = Deadline(seconds + self._network.connect_timeout)

        def traced(name: str, info: Mapping[str, object]) -> None:
            if name.endswith(("connect_tcp.complete", "start_tls.complete")):
                stream = info["return_value"]
                deadline.guard(stream.get_extra_info("socket"))  # type: ignore[attr-defined]  # httpcore.NetworkStream
                deadline.extend(seconds)

        try:
            request = client.build_request(
                method,
                url,
                headers={**headers, "accept-encoding": "identity"},
                content=body,
                extensions={"trace": traced} | _timeouts(self._network),
            )
            response = self._send(client, request, deadline)
            try:
                if not 200 <= response.status_code < 300:
                    raise self._refusal(response, deadline, model)
                yield ResponseStream(response, deadline, self._network.idle_timeout, self._endpoint)
            finally:
                response.close()
        finally:
            deadline.end()

    def _send(self, client: httpx.Client, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        try:
            return client.send(request, stream=True)
        except httpx.HTTPError as error:
            if deadline.expired:
                raise _late(deadline, self._endpoint, begun=False) from None
            raise _unreached(error, self._endpoint, self._network) from None

    def _refusal(self, response: httpx.Response, deadline: Deadline, model: str) -> ProviderError:
        deadline.extend(_ERROR_SECONDS)
        body = b""
        with contextlib.suppress(httpx.HTTPError):
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > _ERROR_LIMIT:
                    break
        if response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip"):
            with contextlib.suppress(ProviderError):
                body = b"".join(frames.gunzip((body,), _ERROR_LIMIT * 16))
        return error_from_response(
            self._endpoint, model, response.status_code, response.headers, body[: _ERROR_LIMIT * 16], datetime.now(UTC)
        )


@dataclass(frozen=True, slots=True)
class PageResponse:
    """The response to a request for a web page: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    _stream: ResponseStream

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed body. Raises LLMError on a connection error or timeout."""
        try:
            yield from self._stream.chunks()
        except ProviderError as error:
            raise _page_error(error) from None


@contextlib.contextmanager
def open_page(url: str, host: str, address: str, network: Network, seconds: float) -> Iterator[PageResponse]:
    """Request a page of `host` from an `address` of it; the connection is closed at the end of the block.

    All of it may take `seconds`. A proxy that the environment names is asked for that address, too. Raises LLMError.
    """
    endpoint = Endpoint(host, url, None, "")
    deadline = Deadline(seconds)

    def traced(name: str, info: Mapping[str, object]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            stream = info["return_value"]
            deadline.guard(stream.get_extra_info("socket"))  # type: ignore[attr-defined]  # httpcore.NetworkStream

    connect = min(seconds, network.connect_timeout)
    timeout = httpx.Timeout(None, connect=connect).as_dict()
    try:
        with _httpx_client(network, endpoint) as client:
            named = httpx.URL(url)
            request = client.build_request(
                "GET",
                named.copy_with(host=address, fragment=None),
                headers={
                    "host": named.netloc.decode("ascii"),
                    "accept": "text/html, text/*;q=0.9, */*;q=0.1",
                    "accept-encoding": "identity",
                },
                extensions={"trace": traced, "timeout": timeout, "sni_hostname": host},
            )
            response = client.send(request, stream=True)
            try:
                yield PageResponse(
                    response.status_code, response.headers, ResponseStream(response, deadline, seconds, endpoint)
                )
            finally:
                response.close()
    except httpx.InvalidURL:
        raise UsageError(f"{host} has an invalid address.", "check the address") from None
    except httpx.HTTPError as error:
        late = deadline.expired
        raise _page_error(
            _late(deadline, endpoint, begun=False) if late else _unreached(error, endpoint, network)
        ) from None
    finally:
        deadline.end()


def _page_error(error: ProviderError) -> LLMError:
    """Convert an error of `ResponseStream`, whose advice is about providers."""
    message = error.message[0].upper() + error.message[1:]
    return LLMError(f"{message}.", "check the address and the network, or try again")


def _httpx_client(network: Network, endpoint: Endpoint) -> httpx.Client:
    verify: ssl.SSLContext | bool = True
    proxy = proxy_for(endpoint.base_url, network.environ)
    if endpoint.base_url.startswith("http:") and proxy is None:
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # no certificates are needed: saves 30 ms of loading
    elif network.environ.get("SSL_CERT_FILE"):
        try:
            verify = ssl.create_default_context(cafile=network.environ["SSL_CERT_FILE"])
        except OSError:
            raise UsageError("SSL_CERT_FILE names no file of certificates", "correct it or unset it") from None
    limits = httpx.Limits(max_keepalive_connections=0)
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.Client(
        verify=verify,
        proxy=proxy.url if proxy else None,
        limits=limits,
        transport=network.transport,
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies,
        headers={"user-agent": "llmrepl"},
    )


def _timeouts(network: Network) -> dict[str, object]:
    """Use httpx's timeout for connecting only; the Deadline covers the rest."""
    return {"timeout": httpx.Timeout(None, connect=network.connect_timeout).as_dict()}


def _dropped(error: httpx.HTTPError, endpoint: Endpoint, *, begun: bool) -> ProviderError:
    if begun:
        return ProviderError(f"the connection to {endpoint.vendor} broke in the middle of the reply", KEPT)
    return ProviderError(
        f"{endpoint.vendor} closed the connection before it answered", "try again", retry=True, may_be_billed=True
    )


def _late(deadline: Deadline, endpoint: Endpoint, *, begun: bool) -> ProviderError:
    if begun:
        return ProviderError(f"{endpoint.vendor} sent no text for {deadline.seconds:g} s", KEPT)
    return ProviderError(
        f"{endpoint.vendor} sent no text within {deadline.seconds:g} s",
        "try again, or another model",
        may_be_billed=True,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


_CAUSES: tuple[tuple[type[BaseException], bool, str, str], ...] = (
    (
        ssl.SSLCertVerificationError,
        False,
        "the certificate of {host} is not trusted, so nothing was sent",
        "check base_url, or name your own authority's file in SSL_CERT_FILE",
    ),
    (ssl.SSLError, False, "no encrypted connection to {host} can be made", "check base_url and its port"),
    (socket.gaierror, True, "the name {host} is not known", "check base_url and the network"),
    (ConnectionRefusedError, True, "nothing answers at {host}", "start that server, or check base_url"),
    (httpx.ConnectTimeout, True, "{host} did not take the connection within {seconds:g} s", "check the network"),
    (httpx.ProxyError, False, "the proxy on the way to {host} refused", "check HTTPS_PROXY and its password"),
    (httpx.ConnectError, True, "{host} cannot be reached", "check base_url and the network"),
    (httpx.LocalProtocolError, False, "the request to {host} could not be written", "check the key for odd characters"),
)
"""Causes of connection errors: exception, whether to retry, message, hint."""


def _unreached(error: httpx.HTTPError, endpoint: Endpoint, network: Network) -> ProviderError:
    causes = list(_causes(error))
    proxy = proxy_for(endpoint.base_url, network.environ)
    for kind, retry, what, then in _CAUSES:
        if any(isinstance(cause, kind) for cause in causes):
            host = urlsplit(endpoint.base_url).netloc
            if proxy and issubclass(kind, _NEAREST):
                host, then = proxy.place, f"check {proxy.variable}, which names this proxy"
            return ProviderError(what.format(host=host, seconds=network.connect_timeout), then, retry=retry)
    return _dropped(error, endpoint, begun=False)


_NEAREST = (socket.gaierror, ConnectionRefusedError, httpx.ConnectTimeout, httpx.ConnectError)
"""Failures that happen on the way to the nearest server, which is the proxy if there is one."""
