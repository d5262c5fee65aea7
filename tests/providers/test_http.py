"""HTTP against a real server on loopback: retries, waits, timeouts, redirects, disconnects."""

from __future__ import annotations

import gzip
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import cast

import httpx
import pytest

from llmrepl.errors import LLMError, UsageError
from llmrepl.providers.base import Event, Finish, Options, ReasoningDelta, Retrying, TextDelta
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.http_provider import create_http_provider
from llmrepl.providers.retry import back_off
from llmrepl.providers.transport.http import Network
from llmrepl.providers.vendors import VENDORS
from llmrepl.types import ProviderData, Usage
from tests.providers.loopback import (
    KEY,
    Answer,
    Server,
    hang_up,
    provider,
    question,
    retries,
    serving,
    sse,
    status,
    stream,
    vendor_of,
)
from tests.providers.recorded import REPLIES, TEXT

GOOD = stream(REPLIES["openai"][1])
HELLO = sse({"choices": [{"index": 0, "delta": {"content": "Hello"}}]})


def ask(
    server: Server,
    dialect: str = "openai",
    *,
    most: int = 2,
    network: Network | None = None,
    options: Options | None = None,
) -> tuple[list[Event], LLMError | None, list[float]]:
    """Return the events of a request, the final error, and the seconds slept."""
    clock, slept = retries(most)
    asked = create_http_provider(vendor_of(dialect), server.url, KEY, "$TEST_KEY", network or Network(), clock)
    events: list[Event] = []
    try:
        events.extend(asked.stream(question(options=options)))
    except LLMError as failure:
        return events, failure, slept
    finally:
        asked.close()
    return events, None, slept


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_arrives_complete_over_the_network(name: str) -> None:
    dialect, body, expected = REPLIES[name]
    with serving(stream(*(body[place : place + 37] for place in range(0, len(body), 37)))) as server:
        vendor = vendor_of(dialect).name
        events = [replace(event, provider=vendor) if isinstance(event, ProviderData) else event for event in expected]
        assert ask(server, dialect) == (events, None, [])
    [seen] = server.seen
    assert seen.method == "POST"
    assert (
        seen.path
        == {
            "openai": "/chat/completions",
            "responses": "/responses",
            "anthropic": "/v1/messages",
            "ollama": "/api/chat",
            "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
        }[dialect]
    )
    assert seen.headers["accept-encoding"] == "identity"
    assert KEY not in seen.path
    assert sum(KEY in value for value in seen.headers.values()) == 1
    assert "cookie" not in seen.headers


@pytest.mark.parametrize(
    "answer",
    [
        stream(gzip.compress(REPLIES["openai"][1]), content_encoding="gzip"),
        stream(REPLIES["openai"][1], content_type="text/plain", set_cookie="a=b"),
        stream(REPLIES["openai"][1] * 2),
    ],
)
def test_odd_but_harmless_answers_are_read(answer: Answer) -> None:
    with serving(answer) as server:
        events, failure, _ = ask(server)
    assert failure is None
    assert text_of(events) == TEXT


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again_and_then_answered(code: int) -> None:
    with serving(status(code, {"error": {"message": "later"}}), hang_up, GOOD) as server:
        events, failure, slept = ask(server)
    assert failure is None
    assert text_of(events) == TEXT
    assert len(server.seen) == 3
    assert slept == [0.5, 1.0]
    assert [event.seconds for event in events if isinstance(event, Retrying)] == [0.5, 0, 1.0, 0]


@pytest.mark.parametrize(
    ("code", "body", "sentence"),
    [
        (400, {"error": {"message": "bad\nprompt", "code": 400}}, "the server refused the request (400): bad prompt"),
        (400, {"error": "text"}, "(400): text"),
        (422, {"detail": [{"loc": ["body"], "msg": "Extra inputs"}]}, "(422): Extra inputs"),
        (422, {"object": "error", "message": {"detail": [{"msg": "Extra inputs"}]}}, "(422): Extra inputs"),
        (
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {"raw": '{"error":{"message":"too long"}}', "provider_name": "X"},
                }
            },
            "Provider returned error: too long",
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            "rejected the API key (401)",
        ),
        (
            401,
            {"error": {"message": f"Incorrect API key provided: Bearer {KEY}."}},
            "the API key (401): Incorr",
        ),
        (402, {"error": {"message": "Insufficient credits"}}, "no credit left (402): Insufficient credits"),
        (403, {"message": "region"}, "openai does not allow this with the key from $TEST_KEY (403): region"),
        (404, {"error": {"message": "no"}}, "openai has no model 'm' at http://127.0.0.1"),
        (400, {"error": {"message": "ov\0er\u202eloaded"}}, r"(400): ov\x00er\u202eloaded"),
        (400, {"error": {"message": "x" * 590 + KEY}}, "x[key]"),
        (413, "", "the request is too large for openai (413)"),
        (418, "<html><body>teapot</body></html>", "openai answered with status 418; "),
        (
            429,
            {"error": {"code": "insufficient_quota", "message": "plan"}},
            "quota of the key from $TEST_KEY is used up",
        ),
    ],
)
def test_permanent_errors_are_reported_at_once(code: int, body: object, sentence: str) -> None:
    with serving(status(code, body)) as server:
        events, failure, slept = ask(server)
    assert isinstance(failure, ProviderError)
    assert (events, slept, len(server.seen)) == ([], [], 1)
    assert sentence in str(failure)
    assert failure.hint
    assert KEY not in str(failure) + repr(failure)
    assert "<" not in str(failure)


def test_after_the_last_attempt_the_failure_says_how_often() -> None:
    with serving(status(502, "<html><title>502 Bad Gateway</title></html>")) as server:
        _, failure, slept = ask(server, most=4)
    assert slept == [0.5] + [1.0] * 7
    assert len(server.seen) == 5
    assert "(tried 5 times)" in str(failure)
    assert "Bad Gateway" not in str(failure)


def test_back_off_doubles_to_eight_seconds_and_spreads_downward() -> None:
    assert [back_off(tried, 0) for tried in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert back_off(1, 0.999) == pytest.approx(0.375, abs=0.001)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry_After": "7"}, 7, 7),
        ({"retry_after_ms": "1500"}, 1.5, 1.5),
        ({"Retry_After": "0.25"}, 0.25, 0.25),
        ({"Retry_After": "junk"}, 0.5, 0.5),
        ({"Retry_After": "-5"}, 0.5, 0.5),
        ({"Retry_After": "nan"}, 0.5, 0.5),
        ({"Retry_After": "inf"}, 0.5, 0.5),
        ({"Retry_After": "0"}, 0.5, 0.5),
        ({"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.5, 0.5),
        ({"Retry_After": "Wed, 99 Oct 99999 07:28:00 GMT"}, 0.5, 0.5),
    ],
)
def test_the_wait_is_what_the_server_asks_for_if_that_is_sane(
    headers: dict[str, str], least: float, most: float
) -> None:
    with serving(status(429, {"error": {"message": "slow down"}}, **headers), GOOD) as server:
        events, failure, slept = ask(server)
    assert failure is None
    assert least <= sum(slept) <= most
    assert all(seconds <= 1 for seconds in slept)
    waits = [event for event in events if isinstance(event, Retrying)]
    assert waits[-1].seconds == 0
    assert all("slow down" in event.why for event in waits)


def test_a_date_to_come_is_waited_for() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=45), usegmt=True)
    with serving(status(429, {"error": {"message": "slow down"}}, Retry_After=soon), GOOD) as server:
        _, failure, slept = ask(server)
    assert failure is None
    assert 20 <= sum(slept) <= 45


def test_googles_retry_delay_is_obeyed() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13s"}]
    with serving(status(429, {"error": {"code": 429, "details": details}}), GOOD) as server:
        _, failure, slept = ask(server)
    assert failure is None
    assert sum(slept) == 13


@pytest.mark.parametrize("asked", ["61", "86400", "1e12"])
def test_a_long_wait_is_not_waited_but_named(asked: str) -> None:
    with serving(status(429, {}, Retry_After=asked), GOOD) as server:
        _, failure, slept = ask(server)
    assert slept == []
    assert len(server.seen) == 1
    assert "it asks to wait" in str(failure)


def test_nothing_is_tried_again_once_text_came() -> None:
    with serving(stream(HELLO, whole=False), GOOD) as server:
        events, failure, slept = ask(server)
    assert text_of(events) == "Hello"
    assert isinstance(events[-1], Usage) and events[-1].estimated
    assert len(server.seen) == 1
    assert "broke in the middle" in str(failure)
    assert ":retry" in str(failure)
    assert slept == []


def test_an_error_at_the_start_of_a_stream_is_tried_again() -> None:
    error = stream(sse({"error": {"type": "overloaded_error", "message": "Overloaded"}}))
    with serving(error, stream(b""), status(200, b""), GOOD) as server:
        events, failure, _ = ask(server, most=3)
    assert failure is None
    assert text_of(events) == TEXT


@pytest.mark.parametrize("where", ["https://evil.example/v1", "/elsewhere", ""])
def test_a_redirect_is_not_followed_but_named(where: str) -> None:
    with serving(status(307, b"", Location=where), GOOD) as server:
        _, failure, _ = ask(server)
    assert len(server.seen) == 1
    assert f"redirects to {where or 'nowhere'} (307)" in str(failure)


def quick(idle: float) -> Network:
    return Network(first_token_timeout=idle, idle_timeout=idle)


def for_ever(piece: bytes, first: bytes = b"", every: float = 0.02) -> Answer:
    """Answer with `first`, then the same piece again and again."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        stream(*([first] if first else []), whole=False)(handler)
        while True:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
            time.sleep(every)

    return answer


EMPTY = sse({"choices": [{"index": 0, "delta": {"content": ""}}]})
SILENT = threading.Event()


@pytest.mark.parametrize(
    ("answer", "text", "sentence"),
    [
        (lambda handler: SILENT.wait(5), "", "sent no text within 0.3 s"),
        (stream(HELLO, EMPTY, wait=lambda: SILENT.wait(5)), "Hello", "sent no text for 0.3 s"),
        (for_ever(b": ping\n\n"), "", "sent no text within 0.3 s"),
        (for_ever(b": ping\n\n", HELLO), "Hello", "sent no text for 0.3 s"),
        (for_ever(EMPTY, HELLO), "Hello", "sent no text for 0.3 s"),
        (for_ever(b"d"), "", "sent no text within 0.3 s"),
    ],
)
def test_the_time_limit_counts_text_and_not_bytes(answer: Answer, text: str, sentence: str) -> None:
    with serving(answer) as server:
        begun = time.monotonic()
        events, failure, _ = ask(server, network=quick(0.3))
        took = time.monotonic() - begun
    assert text_of(events) == text
    assert failure is not None and sentence in str(failure)
    assert len(server.seen) == 1
    assert 0.25 < took < 2


def test_text_and_reasoning_keep_a_slow_reply_alive() -> None:
    def slowly(handler: BaseHTTPRequestHandler) -> None:
        thought = sse({"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]})
        stream(*[thought] * 4, whole=False)(handler)
        for piece in [thought, HELLO] * 4 + [sse("[DONE]")]:
            time.sleep(0.1)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with serving(slowly) as server:
        events, failure, _ = ask(server, network=quick(0.4))
    assert failure is None
    assert text_of(events) == "Hello" * 4
    assert sum(isinstance(event, ReasoningDelta) for event in events) == 8


def test_a_trickle_of_headers_is_ended() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            handler.wfile.write(b"X-%d: y\r\n" % number)
            time.sleep(0.02)

    with serving(answer) as server:
        begun = time.monotonic()
        _, failure, _ = ask(server, network=quick(0.3))
    assert failure is not None and "sent no text within" in str(failure)
    assert time.monotonic() - begun < 2


def test_closing_the_iterator_closes_the_connection() -> None:
    with serving(for_ever(HELLO)) as server:
        events = provider(server.url).stream(question())
        assert next(events) == TextDelta("Hello")
        events.close()  # type: ignore[attr-defined]  # streams are generators
        assert server.left.wait(2)


def test_ctrl_c_in_a_wait_ends_it() -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    clock, _ = retries()
    with serving(status(503)) as server, pytest.raises(KeyboardInterrupt):
        asked = create_http_provider(
            VENDORS["openai"],
            server.url,
            KEY,
            "$K",
            Network(),
            type(clock)(2, interrupted, time.monotonic, lambda: 0.0),
        )
        list(asked.stream(question()))
    assert len(server.seen) == 1


def test_a_connection_that_is_refused_is_tried_again_and_named() -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        server = Server([], url=f"http://127.0.0.1:{held.getsockname()[1]}")
        events, failure, slept = ask(server)
    assert slept == [0.5, 1.0]
    assert f"nothing answers at 127.0.0.1:{server.url[-5:].lstrip(':')}" in str(failure)
    assert all(isinstance(event, Retrying) for event in events)


def test_an_untrusted_certificate_ends_the_request(certificate: Path) -> None:
    with tls_server(certificate) as (port, heard):
        server = Server([], url=f"https://localhost:{port}")
        _, failure, slept = ask(server)
        assert failure is not None and "certificate" in str(failure) and "not trusted" in str(failure)
        assert slept == []
        assert heard == []


def test_an_authority_of_ones_own_is_named_in_ssl_cert_file(certificate: Path) -> None:
    with tls_server(certificate) as (port, heard):
        server = Server([], url=f"https://localhost:{port}")
        network = Network(environ={"SSL_CERT_FILE": str(certificate)}, first_token_timeout=20)
        events, failure, _ = ask(server, network=network, most=0)
        assert failure is None, failure
        assert text_of(events) == "Hello"
    assert any(KEY.encode() in part for part in heard)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a self-signed certificate for localhost with its key, in one file."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is needed to make a certificate")
    made = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            made / "key.pem",
            "-out",
            made / "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,DNS:llm.example",
        ],
        check=True,
        capture_output=True,
    )
    (made / "both.pem").write_bytes((made / "key.pem").read_bytes() + (made / "cert.pem").read_bytes())
    return made / "both.pem"


def whole_request(connection: socket.socket) -> bytes:
    """Read headers and body; closing with unread bytes would reset the connection."""
    data = b""
    while b"\r\n\r\n" not in data and (part := connection.recv(65536)):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]) and (part := connection.recv(65536)):
        body += part
    return head + body


@contextmanager
def tls_server(certificate: Path, *, silent: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Run a TLS server that answers Hello, or nothing for 5 seconds; yield what it could read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []
    body = HELLO + sse("[DONE]")

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as wrapped:
                        heard.append(whole_request(wrapped))
                        if silent:
                            SILENT.wait(5)
                        wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                except OSError:
                    connection.close()
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield cast("int", listener.getsockname()[1]), heard
    finally:
        listener.close()


def test_the_time_limit_holds_over_tls(certificate: Path) -> None:
    with tls_server(certificate, silent=True) as (port, heard):
        network = Network(environ={"SSL_CERT_FILE": str(certificate)}, first_token_timeout=0.3)
        begun = time.monotonic()
        _, failure, _ = ask(Server([], url=f"https://localhost:{port}"), network=network, most=0)
    assert failure is not None and "sent no text within 0.3 s" in str(failure)
    assert time.monotonic() - begun < 2
    assert heard


def test_netrc_and_proxies_of_the_process_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password evil\n")
    (tmp_path / ".netrc").chmod(0o600)
    for name, value in {
        "HOME": str(tmp_path),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with serving(GOOD) as server:
        _, failure, _ = ask(server)
    assert failure is None
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_proxy_of_the_environment_is_used() -> None:
    with serving(stream(HELLO + sse("[DONE]"))) as proxy:
        network = Network(environ={"http_proxy": proxy.url}, allow_http=True)
        events, failure, _ = ask(Server([], url="http://llm.example/v1"), network=network)
    assert failure is None
    assert text_of(events) == "Hello"
    assert proxy.seen[0].path == "http://llm.example/v1/chat/completions"


def test_through_a_proxy_the_key_stays_in_the_tunnel_and_the_time_limit_holds(certificate: Path) -> None:
    heard: list[bytes] = []
    with tls_server(certificate, silent=True) as (port, _), closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def pipe(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    heard.append(data)
                    target.sendall(data)
                target.shutdown(socket.SHUT_RDWR)

        def tunnel() -> None:
            near, _ = listener.accept()
            heard.append(near.recv(65536))
            far = socket.create_connection(("127.0.0.1", port))
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=pipe, args=(far, near), daemon=True).start()
            pipe(near, far)

        threading.Thread(target=tunnel, daemon=True).start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        network = Network(environ={"HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(certificate)}, first_token_timeout=0.3)
        begun = time.monotonic()
        _, failure, _ = ask(Server([], url="https://llm.example/v1"), network=network, most=0)
    assert failure is not None and "sent no text within 0.3 s" in str(failure)
    assert time.monotonic() - begun < 2
    assert heard[0].startswith(b"CONNECT llm.example:443 ")
    assert not any(KEY.encode() in data for data in heard)


def test_a_complete_response_arrives_without_streaming() -> None:
    answer = {
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    with serving(status(200, answer)) as server:
        events, failure, _ = ask(server, options=Options(stream=False))
    assert failure is None
    assert events == [TextDelta("Hello"), Usage(3, 1), Finish("stop")]
    assert server.seen[0].body["stream"] is False
    assert "stream_options" not in server.seen[0].body


def test_a_key_that_no_header_can_hold_is_refused_before_anything_is_sent() -> None:
    for key in ("sk-\n", "sk ü", "", "a b"):
        with pytest.raises(UsageError) as caught:
            create_http_provider(VENDORS["openai"], "https://api.openai.com/v1", key, "$K", Network())
        assert "$K" in str(caught.value)
        assert not key or key not in str(caught.value)


def test_the_key_is_in_no_representation() -> None:
    made = provider("http://127.0.0.1:1/v1")
    assert KEY not in repr(made) + str(made) + repr(made.endpoint) + repr(vars(made.client) | {"_client": None})


def test_a_replaced_transport_stands_for_the_network() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([REPLIES["openai"][1]]))

    network = Network(transport=httpx.MockTransport(answer))
    made = create_http_provider(VENDORS["openai"], "https://api.openai.com/v1", KEY, "$K", network, retries()[0])
    assert text_of(list(made.stream(question()))) == TEXT
