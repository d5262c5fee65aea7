"""Unpack and check session files within bounds, so that a small file cannot take much memory or time."""

from __future__ import annotations

import re
import zlib

from llmrepl.system.limits import (
    MAX_PACKING_RATIO,
    MAX_SEPARATORS,
    MAX_SESSION_BYTES,
    MAX_VALUES,
    SMALL_UNPACKED_BYTES,
)

GZIP_MAGIC = b"\x1f\x8b"

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


class PackingError(ValueError):
    """Why bytes cannot be unpacked, or are refused."""


def unpacked_limit(packed_bytes: int) -> int:
    """Return how much a gzip file of this size may unpack to."""
    return min(MAX_SESSION_BYTES, max(SMALL_UNPACKED_BYTES, packed_bytes * MAX_PACKING_RATIO))


def unpack(raw: bytes) -> bytes:
    """Decompress gzip bytes of one or several members; other bytes are returned unchanged.

    Raises PackingError for damage, data after the last member other than NULs, or more than `unpacked_limit`.
    """
    if not raw.startswith(GZIP_MAGIC):
        return raw
    limit = unpacked_limit(len(raw))
    parts: list[bytes] = []
    left = limit
    while raw:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(raw, left + 1))
        except zlib.error as error:
            raise PackingError("the gzip data is corrupt") from error
        left -= len(parts[-1])
        if left < 0:
            raise PackingError(f"it unpacks to more than {limit >> 20} MiB")
        if not unpacker.eof:
            raise PackingError("the gzip data is cut off")
        raw = unpacker.unused_data.lstrip(b"\0")
        if raw and not raw.startswith(GZIP_MAGIC):
            raise PackingError("there is something after the gzip data")
    return b"".join(parts) if len(parts) != 1 else parts[0]


def has_several_members(raw: bytes) -> bool:
    """Whether bytes are gzip data of more than one member, of which some programs read only the first."""
    if not raw.startswith(GZIP_MAGIC):
        return False
    _, end = _inflate(raw, _member_body(raw, 0)[0], unpacked_limit(len(raw)))
    return end > 0 and bool(raw[end + 8 :].lstrip(b"\0"))


def check_values(plain: bytes) -> None:
    """Raise PackingError if JSON text has so many values that parsing it would take much more memory than the text."""
    if len(plain) <= MAX_VALUES:
        return
    if plain.count(b"{") + plain.count(b"[") <= MAX_VALUES and plain.count(b",") <= MAX_SEPARATORS:
        return
    values = separators = at = 0
    while at < len(plain):  # texts may hold those characters too
        text = _STRING.search(plain, at)
        end = text.start() if text else len(plain)
        values += plain.count(b"{", at, end) + plain.count(b"[", at, end)
        separators += plain.count(b",", at, end)
        if values > MAX_VALUES or separators > MAX_SEPARATORS:
            raise PackingError("it holds too many values to be a session")
        at = text.end() if text else end


def looks_packed(raw: bytes) -> bool:
    """Whether bytes begin like a gzip file, of whose first three bytes one may be damaged."""
    return sum(one == other for one, other in zip(raw, b"\x1f\x8b\x08", strict=False)) >= 2


def unpack_damaged(raw: bytes) -> tuple[bytes, bool]:
    """Return what can be unpacked of damaged gzip data, at most `unpacked_limit`, and whether anything is wrong.

    Neither a wrong checksum nor damage further on costs what came before; a member after the damage is unpacked too.
    """
    limit = unpacked_limit(len(raw))
    parts: list[bytes] = []
    damaged = False
    at = 0
    while at < len(raw) and limit > 0:
        body, is_header = _member_body(raw, at)
        plain, end = _inflate(raw, body, limit)
        parts.append(plain)
        limit -= len(plain)
        trailer = raw[end : end + 8] if end else b""
        expected = zlib.crc32(plain).to_bytes(4, "little") + (len(plain) & 0xFFFFFFFF).to_bytes(4, "little")
        damaged = damaged or not is_header or trailer != expected
        after = end + 8 if end else at + 1
        while after < len(raw) and raw[after] == 0 and end:
            after += 1
        following = raw.find(b"\x1f\x8b\x08", after)
        damaged = damaged or (following != after and after < len(raw))
        at = following if following >= 0 else len(raw)
    return b"".join(parts), damaged or limit <= 0


def _member_body(raw: bytes, at: int) -> tuple[int, bool]:
    """Return where the compressed data of a member begins, and whether its header (RFC 1952, 2.3) is valid."""
    flags = raw[at + 3] if at + 3 < len(raw) else 0xFF
    if raw[at : at + 3] != b"\x1f\x8b\x08" or flags & 0xE0:
        return at + 10, False
    end = at + 10
    if flags & 4:
        end += 2 + int.from_bytes(raw[end : end + 2], "little")
    for flag in (8, 16):  # name and comment, each up to a NUL
        if flags & flag:
            end = raw.find(b"\0", end) + 1 or len(raw)
    return end + (2 if flags & 2 else 0), True


def _inflate(raw: bytes, at: int, limit: int, block: int = 4096) -> tuple[bytes, int]:
    """Decompress deflate data up to its end, damage or `limit`. Returns also where it ended, 0 if it did not."""
    unpacker = zlib.decompressobj(wbits=-15)
    parts: list[bytes] = []
    size = 0
    for start in range(at, len(raw), block):
        before = unpacker.copy()
        try:
            parts.append(unpacker.decompress(raw[start : start + block]))
        except zlib.error:
            parts.append(_inflate_bytewise(before, raw[start : start + block]))
            return b"".join(parts), 0
        size += len(parts[-1])
        if unpacker.eof:
            return b"".join(parts), min(start + block, len(raw)) - len(unpacker.unused_data)
        if size > limit:
            break
    return b"".join(parts)[:limit], 0


def _inflate_bytewise(unpacker: zlib._Decompress, block: bytes) -> bytes:
    """Return everything that a block decompresses to before the byte that is damaged."""
    parts: list[bytes] = []
    for at in range(len(block)):
        try:
            parts.append(unpacker.decompress(block[at : at + 1]))
        except zlib.error:
            break
    return b"".join(parts)
