"""Frames do not depend on how the network splits the bytes."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.providers.errors import ProviderError
from llmrepl.providers.transport import frames
from llmrepl.providers.transport.frames import ServerEvent


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Split `data` at these positions."""
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(borders)]


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\ndata: b\ndata\n\n", ["a\nb\n"]),
        (b": hello\n\nid: 7\nretry: 10\nwhat: ever\ndata: a\n:\n\n", ["a"]),
        (b"data: a\n\ndata: cut o", ["a", "cut o"]),
        ("data: x\u2028y\u2029z\u0085\x0b\x0c\x1c\n\n".encode(), ["x\u2028y\u2029z\u0085\x0b\x0c\x1c"]),
        (b"data: bad\xff\xfe\n\n", ["bad\ufffd\ufffd"]),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(body: bytes, data: list[str]) -> None:
    assert [event.data for event in frames.sse([body])] == data
    assert [event.data for event in frames.sse(bytes([byte]) for byte in body)] == data


def test_events_have_names() -> None:
    body = b'event: error\ndata: {}\n\ndata: 1\n\nerror: {"code":500}\n\n'
    assert list(frames.sse([body])) == [
        ServerEvent("error", "{}"),
        ServerEvent("message", "1"),
        ServerEvent("error", '{"code":500}'),
    ]


_line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.lists(_line, min_size=1, max_size=3), max_size=4),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.lists(st.integers(0, 500), max_size=8),
)
def test_any_events_come_back_whatever_the_line_ends_and_the_cuts(
    events: list[list[str]], end: str, places: list[int]
) -> None:
    body = "".join("".join(f"data: {line}{end}" for line in event) + end for event in events).encode()
    assert [event.data for event in frames.sse(cut(body, places))] == ["\n".join(event) for event in events]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(_line.filter(lambda line: bool(line.encode().strip())), max_size=5), st.lists(st.integers(0, 200)))
def test_lines_of_json_come_back_whatever_the_cuts(lines: list[str], places: list[int]) -> None:
    assert [event.data for event in frames.ndjson(cut("\n".join(lines).encode(), places))] == lines


@pytest.mark.parametrize("read", [frames.sse, frames.ndjson])
def test_a_line_that_never_ends_is_refused_in_bounded_memory(read: object) -> None:
    sent = 0

    def endless() -> object:
        nonlocal sent
        yield b"data: "
        while True:
            sent += 1 << 20
            yield b"a" * (1 << 20)

    with pytest.raises(ProviderError, match="more than 16 MB"):
        list(read(endless()))  # type: ignore[operator]
    assert sent <= frames.FRAME_LIMIT + (1 << 20)


def test_an_event_of_endless_empty_lines_is_refused() -> None:
    with pytest.raises(ProviderError, match="more than 16 MB"):
        list(frames.sse(b"data:\n" * 100_000 for _ in range(1000)))


@pytest.mark.parametrize(
    ("body", "first"),
    [
        (b"data: x", b"d"),
        (b"  \r\n{}", b"{"),
        (b"\xef\xbb\xbf[1]", b"["),
        (b"\n<html>", b"<"),
        (b"", b""),
        (b" \n", b""),
    ],
)
def test_the_first_byte_tells_what_came(body: bytes, first: bytes) -> None:
    for chunks in ([body], [bytes([byte]) for byte in body]):
        found, rest = frames.peek_start(chunks)
        assert found == first
        assert b"".join(rest).strip() == body.removeprefix(b"\xef\xbb\xbf").strip()


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.binary(max_size=2000), st.lists(st.integers(0, 3000), max_size=6))
def test_gzip_comes_back_whatever_the_cuts(data: bytes, places: list[int]) -> None:
    body = gzip.compress(data) + gzip.compress(b"more")
    assert b"".join(frames.gunzip(cut(body, places), 1 << 20)) == data + b"more"


def test_a_gzip_bomb_stops_at_the_limit_in_small_pieces() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b"a" * (1 << 20)) for _ in range(64)) + packer.flush()
    pieces = frames.gunzip([bomb], 8 << 20)
    with pytest.raises(ProviderError, match="unpacks to more than 8 MB"):
        for piece in pieces:
            assert len(piece) <= 1 << 20


def test_what_is_not_gzip_is_refused_and_what_is_cut_ends() -> None:
    with pytest.raises(ProviderError, match="is not"):
        list(frames.gunzip([b"data: plain"], 1 << 20))
    assert b"".join(frames.gunzip([gzip.compress(b"abc" * 1000)[:-12]], 1 << 20)) != b""
