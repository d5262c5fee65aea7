"""A server on a bare socket that can send any bytes; its answers are functions of a connection."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

FORMS = "text/event-stream"


@dataclass
class Connection:
    """A request and its connection. Sending raises OSError once the client has disconnected."""

    socket: socket.socket
    head: bytes
    body: bytes

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.socket.sendall(data)

    def status(self, code: int, body: bytes = b"", **headers: str) -> None:
        """Send a complete response."""
        self.begin(code, content_length=str(len(body)), **headers)
        self.send(body)

    def begin(self, code: int = 200, **headers: str) -> None:
        """Send status and headers."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.send(f"HTTP/1.1 {code} Such\r\n{lines}\r\n".encode("latin-1"))

    def stream(self, **headers: str) -> None:
        """Send the head of a chunked response."""
        self.begin(200, **{"content_type": FORMS, "transfer_encoding": "chunked", "connection": "close"} | headers)

    def chunk(self, data: bytes) -> None:
        """Send a chunk; an empty one ends the body."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self) -> None:
        """Reset the connection, so that bytes in flight are lost too."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Answer = Callable[[Connection], None]


def streamed(*pieces: bytes, pause: float = 0.0, **headers: str) -> Answer:
    """Send the pieces as chunks, with a proper end."""

    def answer(connection: Connection) -> None:
        connection.stream(**headers)
        for piece in filter(None, pieces):  # an empty chunk is the end
            connection.chunk(piece)
            time.sleep(pause)
        connection.chunk(b"")

    return answer


def cut(data: bytes, *, reset: bool = False) -> Answer:
    """Send part of a reply and close the connection between two chunks."""

    def answer(connection: Connection) -> None:
        connection.stream()
        connection.chunk(data)
        if reset:
            time.sleep(0.05)  # a reset overtakes what was sent before it
            connection.reset()

    return answer


def packed(data: bytes) -> Answer:
    """Send a gzip response, complete or not."""
    return streamed(data, content_encoding="gzip")


def zipped(data: bytes) -> bytes:
    """Compress with gzip."""
    return gzip.compress(data, mtime=0)


def bomb(size: int) -> Answer:
    """Return `count` empty lines, compressed."""

    def answer(connection: Connection) -> None:
        connection.stream(content_encoding="gzip")
        packer, piece = zlib.compressobj(wbits=31), b"\n" * (1 << 20)
        for _ in range(size >> 20):
            if data := packer.compress(piece):
                connection.chunk(data)
        connection.chunk(packer.flush())
        connection.chunk(b"")

    return answer


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Send a complete response with a status."""
    return lambda connection: connection.status(code, body, **headers)


def for_ever(first: bytes, piece: bytes, pause: float = 0.0) -> Answer:
    """Send a start, then the same piece until the client disconnects."""

    def answer(connection: Connection) -> None:
        connection.stream()
        connection.chunk(first) if first else None
        while True:
            connection.chunk(piece)
            time.sleep(pause)

    return answer


@dataclass
class Server:
    """Sends its answers in order, repeating the last, once `serve` is called."""

    answers: Sequence[Answer]
    requests: list[bytes] = field(default_factory=list)
    port: int = 0
    _listener: socket.socket | None = None

    def serve(self) -> None:
        """Start to answer."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self._listener:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            client.settimeout(30)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head, body = _request(client)
            number = len(self.requests)
            self.requests.append(head + body)
            self.answers[min(number, len(self.answers) - 1)](Connection(client, head, body))
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass


def _request(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            raise ValueError("no request")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while lengths and len(body) < int(lengths[0]):
        body += client.recv(65536)
    return head, body


@contextlib.contextmanager
def listening(answers: Sequence[Answer]) -> Iterator[Server]:
    """Run a server until the block ends. It answers nothing before `serve`."""
    server = Server(answers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server._listener, server.port = listener, listener.getsockname()[1]
        try:
            yield server
        finally:
            server._listener = None
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
