"""Splits bytes into frames: server-sent events, newline-delimited JSON, gzip. Bounded, for any chunking."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from llmrepl.providers.errors import ProviderError

FRAME_LIMIT = 16 * 1024 * 1024
"""Maximum bytes of a line, event or response."""

_PIECE = 256 * 1024
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"


class ServerEvent(NamedTuple):
    """An event of a stream: its type (`message` by default) and its data."""

    event: str
    data: str


def _too_long() -> ProviderError:
    return ProviderError(
        f"the server sent one event of more than {FRAME_LIMIT >> 20} MB, which no reply needs",
        "check base_url, or ask for a shorter reply",
    )


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a body without line ends (LF, CR or CRLF); the last may lack one.

    Raises ProviderError for a line of more than FRAME_LIMIT bytes.
    """
    parts: list[bytes] = []
    size, after_cr = 0, False
    for chunk in chunks:
        if after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            after_cr = False
        if not chunk:
            continue
        after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found = chunk.split(b"\n")
        if len(found) > 1:
            parts.append(found[0])
            found[0] = b"".join(parts)
            parts, size = [], 0
            last = found.pop()
            yield from found
        else:
            last = chunk
        if last:
            parts.append(last)
            size += len(last)
            if size > FRAME_LIMIT:
                raise _too_long()
    if parts:
        yield b"".join(parts)


def sse(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the events of a server-sent event stream (WHATWG HTML, section 9.2.6); invalid UTF-8 becomes U+FFFD.

    Lenient in three ways: data without a final blank line counts, since some servers omit it, a field `error`
    (llama.cpp) is an event of that type, and a line of JSON is an event, as gateways append their errors. Raises
    ProviderError for an event beyond FRAME_LIMIT.
    """
    event, size = "", 0
    data: list[bytes] = []
    for line in lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            size += len(line)
            if size > FRAME_LIMIT:
                raise _too_long()
        elif not line:
            if data:
                yield _event(event, data)
            event, data, size = "", [], 0
        elif line.startswith(b"event:"):
            event = line[6:].strip().decode("utf-8", "replace")
        elif line.startswith(b"error:"):
            event, data = "error", [line[6:].strip()]
        elif line.startswith(b"{") and line.endswith(b"}") and not data:
            yield _event(event, [line])
        elif line == b"data":
            data.append(b"")
    if data:
        yield _event(event, data)


def _event(event: str, data: list[bytes]) -> ServerEvent:
    return ServerEvent(event or "message", b"\n".join(data).decode("utf-8", "replace"))


def ndjson(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the non-blank lines of newline-delimited JSON; invalid UTF-8 becomes U+FFFD."""
    for line in lines(chunks):
        if line and not line.isspace():
            yield ServerEvent("message", line.decode("utf-8", "replace"))


def peek_start(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first byte of a body after whitespace and byte order mark (empty if there is none), and the body.

    It distinguishes a JSON document (`{`, `[`) and a web page (`<`) from an event stream.
    """
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if _BOM.startswith(head):
            continue
        if head.startswith(_BOM):
            head = head[len(_BOM) :]
        if head.strip(_BLANK):
            break
        head = head[-1:]
    return head.strip(_BLANK)[:1], chain((head,), source)


def read_all(chunks: Iterable[bytes], limit: int = FRAME_LIMIT) -> bytes:
    """Read the entire body. Raises ProviderError for more than `limit` bytes."""
    parts, size = [], 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            raise _too_long()
    return b"".join(parts)


def json_documents(body: bytes) -> list[Any]:
    """Parse concatenated JSON documents up to the first invalid one."""
    text = body.decode("utf-8", "replace").strip()
    decoder, found, place = json.JSONDecoder(), [], 0
    while place < len(text):
        try:
            document, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            break
        found.append(document)
        place = end
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
    return found


def gunzip(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Decompress a gzip body in small chunks; a truncated body ends where it was cut.

    Raises ProviderError if it is not gzip or has more than `limit` bytes uncompressed.
    """
    unpacker = zlib.decompressobj(wbits=31)
    total = 0
    for chunk in chunks:
        piece = b""
        while chunk or len(piece) == _PIECE:
            try:
                piece = unpacker.decompress(chunk, _PIECE)
            except zlib.error:
                raise ProviderError(
                    "the server says that its answer is gzip, and it is not",
                    "check base_url and what stands between you and the server",
                ) from None
            total += len(piece)
            if total > limit:
                raise ProviderError(f"the server's answer unpacks to more than {limit >> 20} MB", "check base_url")
            if piece:
                yield piece
            chunk = unpacker.unconsumed_tail
            if unpacker.eof:
                chunk = unpacker.unused_data
                unpacker = zlib.decompressobj(wbits=31)
