"""A server on 127.0.0.1 with scripted answers, and realistic replies in every protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmrepl.providers.base import Options, Request
from llmrepl.providers.http_provider import HTTPProvider, create_http_provider
from llmrepl.providers.retry import RetryPolicy
from llmrepl.providers.transport.http import Network
from llmrepl.providers.vendors import VENDORS, Vendor
from llmrepl.types import Message

KEY = "sk-test-0123456789abcdef"


@dataclass
class Seen:
    """A request as the server received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Sends its answers in order, repeating the last."""

    answers: list[Answer]
    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    """Run a server with these answers until the block ends."""
    server = Server(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.close_connection = True
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.seen.append(Seen(self.command, self.path, headers, body))
            turn = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            try:
                turn(self)
            except OSError:
                server.left.set()

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    server.url = f"http://127.0.0.1:{httpd.server_port}"
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()


def status(code: int, body: object = "", **headers: str) -> Answer:
    """Return an answer with a status and a body, sent as JSON unless it is text or bytes."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


def stream(*pieces: bytes, wait: Callable[[], object] = lambda: None, whole: bool = True, **headers: str) -> Answer:
    """Return a chunked answer. `wait` is called before the last chunk; if incomplete, the connection closes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for number, piece in enumerate(pieces, 1):
            if number == len(pieces):
                wait()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            handler.wfile.flush()
        if whole:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""


def sse(*events: object) -> bytes:
    """Encode server-sent events; text is sent as it is."""
    return b"".join(
        b"data: %s\n\n" % (event if isinstance(event, str) else json.dumps(event)).encode() for event in events
    )


def ndjson(*events: object) -> bytes:
    """Encode newline-delimited JSON."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def retries(most: int = 2) -> tuple[RetryPolicy, list[float]]:
    """Return a retry policy whose clock advances only by sleeping, and the list of its sleeps."""
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    return RetryPolicy(most, sleep, lambda: now[0], lambda: 0.0), slept


def vendor_of(dialect: str) -> Vendor:
    """Return a vendor that speaks a protocol: OpenAI for `openai` and `responses`."""
    if dialect in ("openai", "responses"):
        return replace(VENDORS["openai"], dialect=dialect)
    return VENDORS[dialect]


def provider(
    url: str, dialect: str = "openai", *, key: str | None = KEY, network: Network | None = None, most: int = 0
) -> HTTPProvider:
    """Return a provider for a test server."""
    return create_http_provider(vendor_of(dialect), url, key, "$TEST_KEY", network or Network(), retries(most)[0])


def question(
    text: str = "hello",
    *,
    system: str | None = None,
    options: Options | None = None,
    model: str = "m",
    earlier: Sequence[Message] = (),
) -> Request:
    """Return a request that ends with a prompt."""
    return Request(model, [*earlier, Message("user", text)], system, options or Options())
