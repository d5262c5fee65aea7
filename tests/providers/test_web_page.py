"""A page is fetched only from where the user said, only from public addresses, in bounded time and size."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.errors import LLMError, UsageError
from llmrepl.providers.transport.addresses import is_public, resolve
from llmrepl.providers.transport.http import Network
from llmrepl.providers.transport.web_page import MAX_BYTES, WebPage, content_type, fetch
from tests.providers.loopback import Answer, serving, status, stream

PUBLIC = "93.184.216.34"
HTML = {"content_type": "text/html; charset=utf-8"}


def names(**hosts: Sequence[str]) -> Callable[[str, int, float], Sequence[str]]:
    """A resolver that knows these hosts, with `_` for dots; an address is its own."""

    def look_up(host: str, port: int, seconds: float) -> Sequence[str]:
        return hosts.get(host.replace(".", "_"), [host])

    return look_up


def plain(text: str) -> httpx.Response:
    """A response that is read as it comes, as from a network."""
    return httpx.Response(
        200, headers={"content-type": "text/plain; charset=utf-8"}, stream=httpx.ByteStream(text.encode())
    )


def get(
    url: str,
    handler: Callable[[httpx.Request], httpx.Response] | None = None,
    *,
    allow_private: bool = False,
    look_up: Callable[[str, int, float], Sequence[str]] = resolve,
    seconds: float = 5.0,
    **environ: str,
) -> WebPage:
    network = Network(environ=environ, transport=httpx.MockTransport(handler) if handler else None)
    accepted = ("text/", "application/json")
    return fetch(url, network, allow_private=allow_private, accepted=accepted, resolve=look_up, seconds=seconds)


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 255.255.255.255 224.0.0.1
    240.0.0.1 192.0.2.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1
    2002:7f00:1:: 2001:0:1:: 2001:db8::1 not-an-address""".split(),
)
def test_addresses_of_this_machine_and_its_networks_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_an_address_in_ipv6_clothes_is_judged_as_what_it_is(number: int) -> None:
    plain = ".".join(str(byte) for byte in number.to_bytes(4, "big"))
    high, low = divmod(number, 1 << 16)
    assert is_public(f"::ffff:{plain}") == is_public(f"64:ff9b::{high:x}:{low:x}") == is_public(plain)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://localhost/",
        "http://[::ffff:7f00:1]/",
    ],
)
def test_private_addresses_are_refused_before_a_connection(url: str) -> None:
    with serving(status(200, "secret", **HTML)) as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(UsageError, match="private address, so nothing was fetched"):
            get(url.removesuffix("/") + f":{port}/")
    assert not server.seen


def test_a_name_with_one_private_address_is_refused() -> None:
    look_up = names(mixed_example=[PUBLIC, "10.0.0.1"])
    with pytest.raises(UsageError, match=r"mixed.example \(10.0.0.1\)"):
        get("https://mixed.example/", lambda request: httpx.Response(200, text="x"), look_up=look_up)


def test_the_address_that_was_checked_is_connected_to() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])  # a name that changes its address
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return plain("hello")

    page = get("https://public.example/a?q=1#part", handler, look_up=lambda *_: next(answers))
    assert (page.data, page.media_type, page.charset) == (b"hello", "text/plain", "utf-8")
    [request] = seen
    assert str(request.url) == f"https://{PUBLIC}/a?q=1"
    assert request.headers["host"] == "public.example"
    assert request.extensions["sni_hostname"] == "public.example"
    assert not {"authorization", "cookie", "referer"} & set(request.headers)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/latest",
        "//10.0.0.1/",
        "http://inside.example/",
        "file:///etc/passwd",
    ],
)
def test_each_redirect_is_checked_again(target: str) -> None:
    look_up = names(public_example=[PUBLIC], inside_example=["192.168.0.9"])
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["host"])
        return httpx.Response(302, headers={"location": target})

    with pytest.raises(UsageError, match=r"private address|not the address of a web page"):
        get("https://public.example/", handler, look_up=look_up)
    assert asked == ["public.example"]


def test_redirects_are_followed_but_not_for_ever() -> None:
    look_up = names(public_example=[PUBLIC], other_example=["8.8.8.8"])

    def handler(request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == "public.example":
            return httpx.Response(301, headers={"location": "https://other.example/end"})
        return plain("the end")

    page = get("https://public.example/", handler, look_up=look_up)
    assert (page.url, page.data) == ("https://other.example/end", b"the end")
    with pytest.raises(LLMError, match="redirects more than 5 times"):
        get("https://public.example/", lambda r: httpx.Response(302, headers={"location": "/again"}), look_up=look_up)


def test_allowing_a_private_address_allows_only_that_host() -> None:
    with serving(status(200, "mine", **HTML)) as server:
        assert get(server.url, allow_private=True).data == b"mine"
    look_up = names(home_example=["192.168.0.9"])
    with pytest.raises(UsageError, match=r"169\.254\.169\.254 is a private address"):
        get(
            "http://home.example/",
            lambda r: httpx.Response(302, headers={"location": "http://169.254.169.254/"}),
            look_up=look_up,
            allow_private=True,
        )


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    for _ in range(1 << 14):  # 1 GB
        handler.wfile.write(b"x" * (1 << 16))


def announced(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()


def trickle(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b"x")
        time.sleep(0.1)


BOMB = gzip.compress(b"\0" * (200 << 20), 9)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (endless, "larger than 5 MiB"),
        (announced, "larger than 5 MiB"),
        (stream(BOMB, content_type="text/plain", content_encoding="gzip"), "larger than 5 MiB"),
        (stream(b"x", content_type="text/plain", content_encoding="br"), "packed its answer with 'br'"),
        (
            stream(b"not gzip at all", content_type="text/plain", content_encoding="gzip"),
            "says that its answer is gzip, and it is not",
        ),
        (status(200, b"\x89PNG", content_type="image/png"), "is image/png, not text"),
        (status(200, b"x", content_type="application/octet-stream"), "is application/octet-stream, not text"),
        (status(200, b"x"), "is of an unknown type, not text"),
        (status(404, "gone"), "answered with status 404"),
        (trickle, "sent no text|broke|closed"),
    ],
    ids=["1 GB", "1 GB announced", "gzip bomb", "brotli", "no gzip", "image", "bytes", "untyped", "404", "trickle"],
)
def test_what_is_no_page_ends_soon_and_is_named(answer: Answer, what: str) -> None:
    begun = time.monotonic()
    with serving(answer) as server, pytest.raises(LLMError, match=what):
        get(server.url, allow_private=True, seconds=1.5)
    assert time.monotonic() - begun < 5


def test_a_page_may_be_as_large_as_the_limit() -> None:
    with serving(stream(gzip.compress(b"x" * MAX_BYTES), content_type="text/plain", content_encoding="gzip")) as server:
        assert len(get(server.url, allow_private=True).data) == MAX_BYTES


@pytest.mark.parametrize(
    "url", ["https://user:pass@h.example/", "ftp://h.example/", "https:///x", "https://h.example:port/", "https://a b/"]
)
def test_what_is_no_address_of_a_page_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        get(url, lambda request: httpx.Response(200, text="x"), look_up=names(h_example=[PUBLIC]))
    assert "user:pass" not in raised.value.message


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == PUBLIC:
            raise httpx.ConnectError("no route")
        return plain("here")

    assert get("https://p.example/", handler, look_up=names(p_example=[PUBLIC, "8.8.8.8"])).data == b"here"


def test_a_lookup_that_takes_too_long_ends() -> None:
    with pytest.raises(LLMError, match="not known"):
        resolve("no-such-host.invalid", 80, 5)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text/html; charset=UTF-8", ("text/html", "UTF-8")),
        ('Text/HTML;a=b; Charset="iso-8859-1"', ("text/html", "iso-8859-1")),
        ("", ("", "")),
    ],
)
def test_content_types(header: str, expected: tuple[str, str]) -> None:
    assert content_type({"content-type": header}) == expected
