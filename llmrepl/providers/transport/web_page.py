"""Fetch a web page that the user named: only from public addresses, checked again at each redirect.

The address that was checked is the one that is connected to, so that a second DNS answer cannot lead elsewhere.
Nothing is sent along: no cookie, no key, no referrer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.providers.transport import addresses, http
from llmrepl.providers.transport.addresses import Resolve
from llmrepl.providers.transport.http import Network
from llmrepl.providers.transport.proxy import proxy_for
from llmrepl.providers.urls import display_url

MAX_BYTES = 5 << 20
"""Maximum size of a page, uncompressed."""

SECONDS = 30.0
"""Maximum time for a page with all its redirects."""

_MAX_REDIRECTS = 5
_MAX_ADDRESSES = 3
_PORTS = {"http": 80, "https": 443}
ALLOW_PRIVATE = "--allow-private"


@dataclass(frozen=True)
class WebPage:
    """A page as it arrived: its final URL, media type, charset (empty if not given) and bytes."""

    url: str
    media_type: str
    charset: str
    data: bytes


@dataclass(frozen=True)
class _Target:
    """An allowed URL: its host, and the addresses of it that were checked."""

    url: str
    host: str
    addresses: Sequence[str]


def fetch(
    url: str,
    network: Network,
    *,
    allow_private: bool,
    accepted: tuple[str, ...],
    resolve: Resolve = addresses.resolve,
    seconds: float = SECONDS,
) -> WebPage:
    """Fetch a page of one of the `accepted` media types (`text/` stands for all of these).

    With `allow_private` the host in `url` may have a private address, but a redirect may still not lead to another.
    Raises UsageError for what is refused, LLMError for a network error, a status that is not 200, or a page that is
    too large or too slow.
    """
    end = time.monotonic() + seconds
    named = _host(url)
    for _ in range(_MAX_REDIRECTS + 1):
        left = max(end - time.monotonic(), 0.1)
        target = _check(url, network, resolve, left, allow_private=allow_private and _host(url) == named)
        with ExitStack() as stack:
            response = _open(stack, target, network, end)
            if response.status in (301, 302, 303, 307, 308) and (location := response.headers.get("location")):
                url = urljoin(url, location)
                continue
            return _read(url, response, accepted)
    raise LLMError(f"{_shown(url)} redirects more than {_MAX_REDIRECTS} times.", "open it in a browser")


def _open(stack: ExitStack, target: _Target, network: Network, end: float) -> http.PageResponse:
    """Request the page from the first address that answers. Raises LLMError."""
    *others, last = target.addresses[:_MAX_ADDRESSES]
    for address in others:
        left = max((end - time.monotonic()) / 2, 0.1)
        with suppress(LLMError):
            return stack.enter_context(http.open_page(target.url, target.host, address, network, left))
    left = max(end - time.monotonic(), 0.1)
    return stack.enter_context(http.open_page(target.url, target.host, last, network, left))


def _check(url: str, network: Network, resolve: Resolve, seconds: float, *, allow_private: bool) -> _Target:
    """Return where to connect to. Raises UsageError for a URL or address that is not allowed."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, host, port = urlsplit(""), "", 0
    if parts.scheme not in _PORTS or not host or any(ord(letter) <= 32 for letter in url):
        raise UsageError(f"{_shown(url)} is not the address of a web page.", "':attach https://HOST/PATH' fetches one")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"The address of {escape_name(host)} has a name or a password in it.", "leave it out")
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise UsageError(f"{_shown(url)} is not the address of a web page.", "check the host name") from None
    found = resolve(host, port, seconds)
    if not allow_private:
        for address in found:
            if not addresses.is_public(address):
                where = "" if address == host else f" ({escape_name(address)})"
                raise UsageError(
                    f"{escape_name(host)}{where} is a private address, so nothing was fetched.",
                    f"{ALLOW_PRIVATE} fetches a page of your own network",
                )
    proxy_for(url, network.environ)  # raises for one that cannot be used
    return _Target(url, host, found)


def _read(url: str, response: http.PageResponse, accepted: tuple[str, ...]) -> WebPage:
    """Read the body of a final response. Raises UsageError, LLMError."""
    if response.status != 200:
        raise LLMError(f"{_shown(url)} answered with status {response.status}.", "open it in a browser")
    media_type, charset = content_type(response.headers)
    if not media_type.startswith(accepted):
        what = escape_name(media_type)[:60] or "of an unknown type"
        raise UsageError(f"{_shown(url)} is {what}, not text.", "download it, and attach the file")
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:18]) > MAX_BYTES:
        raise _too_large(url)
    data = bytearray()
    for chunk in response.chunks():
        data += chunk
        if len(data) > MAX_BYTES:
            raise _too_large(url)
    return WebPage(url, media_type, charset, bytes(data))


def _too_large(url: str) -> UsageError:
    return UsageError(f"{_shown(url)} is larger than {MAX_BYTES >> 20} MiB.", "download it, and attach a part of it")


def content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return the media type and the charset of a response; both empty if it does not tell."""
    media_type, *parameters = headers.get("content-type", "").split(";")
    named = (one.strip().partition("=") for one in parameters)
    charset = next((value.strip("\"' ") for name, _, value in named if name.strip().lower() == "charset"), "")
    return media_type.strip().lower(), charset


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _shown(url: str) -> str:
    return escape_name(display_url(url))[:200]
