"""Find model servers on this machine quickly, without loading any protocol."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SECONDS = 0.05
"""Timeout for all servers together."""

_MOST = 4 * 1024 * 1024


@dataclass(slots=True)
class _Connection:
    """An HTTP exchange with one server: what remains to be sent, and what was received."""

    socket: socket.socket
    request: bytes
    answer: bytearray = field(default_factory=bytearray)

    def advance(self, events: int) -> bool:
        """Do all I/O that does not block; return whether the exchange is complete."""
        try:
            if events & selectors.EVENT_WRITE:
                self.request = self.request[self.socket.send(self.request) :]
                return False
            piece = self.socket.recv(1 << 16)
        except OSError:  # connection refused
            return True
        self.answer += piece
        return not piece or len(self.answer) > _MOST or _is_complete(self.answer)


def probe(urls: Mapping[str, str], monotonic: Callable[[], float], seconds: float = SECONDS) -> dict[str, object]:
    """Return the JSON received from `urls` (by vendor) within `seconds` in total, without servers that do not respond.

    Only local addresses are supported: `http://127.0.0.1:PORT/PATH`, with HTTP/1.0, so that the response ends with the
    connection.
    """
    pages = {vendor: _parse_response(answer) for vendor, answer in _ask(urls, monotonic, seconds).items()}
    return {vendor: page for vendor, page in pages.items() if page is not None}


def find_loading(urls: Mapping[str, str], monotonic: Callable[[], float], seconds: float = SECONDS) -> list[str]:
    """Return the vendors whose servers are there, but still load their model: they respond with status 503."""
    return [vendor for vendor, answer in _ask(urls, monotonic, seconds).items() if answer[8:12] == b" 503"]


def _ask(urls: Mapping[str, str], monotonic: Callable[[], float], seconds: float) -> dict[str, bytes]:
    """Return what was received from each of `urls` within `seconds` in total."""
    until = monotonic() + seconds
    talks: dict[str, _Connection] = {}
    with selectors.DefaultSelector() as selector:
        try:
            for vendor, url in urls.items():
                if talk := _connect(url):
                    talks[vendor] = talk
                    selector.register(talk.socket, selectors.EVENT_WRITE, talk)
            while selector.get_map() and (left := until - monotonic()) > 0:
                for key, events in selector.select(left):
                    talk = key.data
                    if talk.advance(events):
                        selector.unregister(talk.socket)
                    elif not talk.request:
                        selector.modify(talk.socket, selectors.EVENT_READ, talk)
        finally:
            for talk in talks.values():
                talk.socket.close()
    return {vendor: bytes(talk.answer) for vendor, talk in talks.items()}


def _connect(url: str) -> _Connection | None:
    """Start a non-blocking connection to a local server."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n\r\n"
    connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.setblocking(False)
    try:
        connection.connect_ex((host, parts.port or 80))
    except OSError:
        connection.close()
        return None
    return _Connection(connection, request.encode("ascii", "replace"))


def _is_complete(answer: bytearray) -> bool:
    """Whether as many bytes arrived as the server announced."""
    head, end, body = answer.partition(b"\r\n\r\n")
    _, said, rest = bytes(head).lower().partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    return bool(end and said) and length.isdigit() and len(body) >= int(length)


def _parse_response(answer: bytes) -> object:
    """Return the JSON of a response with status 200, otherwise None."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if head[:12] not in (b"HTTP/1.0 200", b"HTTP/1.1 200"):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
