"""Model servers on this machine: who answers, found out in a moment and without loading the protocols."""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SECONDS = 0.05
"""How long all servers together are waited for."""

_MOST = 4 * 1024 * 1024


@dataclass(slots=True)
class _Connection:
    """A conversation with one server: what is still to be sent, and what came."""

    socket: socket.socket
    request: bytes
    answer: bytearray = field(default_factory=bytearray)

    def go_on(self, events: int) -> bool:
        """Do what can be done without waiting; whether that was the end."""
        try:
            if events & selectors.EVENT_WRITE:
                self.request = self.request[self.socket.send(self.request) :]
                return False
            piece = self.socket.recv(1 << 16)
        except OSError:  # nobody listens there
            return True
        self.answer += piece
        return not piece or len(self.answer) > _MOST or _whole(self.answer)


def probe(urls: Mapping[str, str], monotonic: Callable[[], float], seconds: float = SECONDS) -> dict[str, object]:
    """The JSON that came from each of `urls` (by vendor) within `seconds` in all; who did not answer is left out.

    Only addresses of this machine are asked: `http://127.0.0.1:PORT/PATH`, with HTTP/1.0, so that the answer ends
    with the connection.
    """
    until = monotonic() + seconds
    talks: dict[str, _Connection] = {}
    with selectors.DefaultSelector() as selector:
        try:
            for vendor, url in urls.items():
                if talk := _begun(url):
                    talks[vendor] = talk
                    selector.register(talk.socket, selectors.EVENT_WRITE, talk)
            while selector.get_map() and (left := until - monotonic()) > 0:
                for key, events in selector.select(left):
                    talk = key.data
                    if talk.go_on(events):
                        selector.unregister(talk.socket)
                    elif not talk.request:
                        selector.modify(talk.socket, selectors.EVENT_READ, talk)
        finally:
            for talk in talks.values():
                talk.socket.close()
    pages = {vendor: _page(bytes(talk.answer)) for vendor, talk in talks.items()}
    return {vendor: page for vendor, page in pages.items() if page is not None}


def _begun(url: str) -> _Connection | None:
    """A connection on its way to a server on this machine."""
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


def _whole(answer: bytearray) -> bool:
    """Whether as much came as the server said it would send."""
    head, end, body = answer.partition(b"\r\n\r\n")
    _, said, rest = bytes(head).lower().partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    return bool(end and said) and length.isdigit() and len(body) >= int(length)


def _page(answer: bytes) -> object:
    """The JSON of an answer with status 200; None for anything else."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if head[:12] not in (b"HTTP/1.0 200", b"HTTP/1.1 200"):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
