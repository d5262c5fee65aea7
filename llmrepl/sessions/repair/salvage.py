"""Read what is left of a damaged session file: complete turns, and parts of broken ones.

Linear time: each turn is read with Python's JSON parser, and leniently only if that fails. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llmrepl.sessions.repair.json_location import is_too_deep
from llmrepl.sessions.repair.lenient_json import DEEPEST, LenientReader
from llmrepl.sessions.storage.packed import PackingError, check_values, looks_packed, unpack_damaged

_TURNS = re.compile(r'"turns"\s*:\s*\[')
_TURN = re.compile(r'\{\s*"messages"\s*:')
_MARK = re.compile(r"^([<=>])\1{6}[^\n]*\n?", re.MULTILINE)
_MOST_REFUSED = 1000
"""Stop trying the strict parser after this many failures: each costs time proportional to its position."""
_ENCODINGS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object with duplicate keys: the longer of two lists wins, otherwise the last value."""
    data: dict[str, Any] = {}
    for key, value in pairs:
        old = data.get(key)
        if not (isinstance(old, list) and isinstance(value, list) and len(old) > len(value)):
            data[key] = value
    return data


def _finite(digits: str) -> float | None:
    number = float(digits)
    return None if abs(number) == float("inf") else number


_reader = json.JSONDecoder(
    strict=False, parse_constant=lambda word: None, parse_float=_finite, object_pairs_hook=_pairs
)


@dataclass
class Salvage:
    """One reading of a damaged file: `head` has the keys other than `turns`, all as JSON data.

    `parts` are the numbers (from 1) of incomplete turns; `lost` describes in sentences what is missing.
    """

    head: dict[str, Any] = field(default_factory=dict)
    turns: list[dict[str, Any]] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    end: int = 0
    refused: int = 0

    @property
    def complete_turns(self) -> int:
        """The number of complete turns."""
        return len(self.turns) - len(self.parts)


def salvage(raw: bytes) -> Salvage | None:
    """Return the best reading of `raw`, or None if it contains nothing of a session."""
    text, lost = decode_damaged(raw)
    try:
        check_values(text.encode("utf-8", "replace"))
    except PackingError:
        return None
    readings = [reading for side in _sides(text) for reading in _readings(side)]
    if not readings:
        return None
    best = max(readings, key=lambda reading: (reading.complete_turns, len(reading.turns)))
    best.lost = lost + best.lost
    _keep_others(best, [turn for other in readings if other is not best for turn in other.turns])
    return best


def _sides(text: str) -> list[str]:
    """Return both versions of a text with merge conflict markers, or the text itself."""
    ours: list[str] = []
    theirs: list[str] = []
    at, state = 0, ""
    for mark in _MARK.finditer(text):
        if mark[1] != {"": "<", "<": "=", "=": ">"}[state]:
            continue
        for side, skipped in ((ours, "="), (theirs, "<")):
            if state != skipped:
                side.append(text[at : mark.start()])
        at, state = mark.end(), mark[1].replace(">", "")
    return [text] if not at else ["".join([*side, text[at:]]) for side in (ours, theirs)]


def decode_damaged(raw: bytes) -> tuple[str, list[str]]:
    """Decode `raw` in whatever compression and encoding, and describe what was lost."""
    lost: list[str] = []
    if looks_packed(raw):
        raw, cut = unpack_damaged(raw)
        lost += ["the gzip data is damaged; what could be unpacked was used"] if cut else []
    encoding = next((name for mark, name in _ENCODINGS if raw.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and raw[:4].count(0) >= 2 and b"{" in raw[:4]:
        encoding = "utf-16-le" if raw[:1] == b"{" else "utf-16-be"
    text = raw.decode(encoding, "replace")
    bad = text.count("\ufffd") - (raw.count("\ufffd".encode()) if encoding == "utf-8-sig" else 0)
    if bad > 0:
        lost.append(f"{bad} places that were not text; each now holds U+FFFD")
    return text, lost


def _readings(text: str) -> list[Salvage]:
    """Read each list of turns in `text`, and turns outside of any list."""
    readings: list[Salvage] = []
    at = 0
    while found := _TURNS.search(text, at):
        reading = _reading(text, at, found)
        _strays(text, at, found.start(), readings)
        readings.append(reading)
        at = max(reading.end, found.end())
    _strays(text, at, len(text), readings)
    return [reading for reading in readings if reading.turns or "model" in reading.head]


def _strays(text: str, start: int, end: int, readings: list[Salvage]) -> None:
    """Read turns outside a list: the remains of a longer file that a shorter one overwrote."""
    if found := _TURN.search(text, start, end):
        stray = Salvage()
        stray.end = _take_turns(text, found.start(), end, stray)
        readings.append(stray)


def _reading(text: str, start: int, found: re.Match[str]) -> Salvage:
    reading = Salvage()
    opening = text.rfind('"model"', start, found.start())
    brace = text.rfind("{", start, opening if opening >= 0 else found.start())
    before = LenientReader(text, brace if brace >= 0 else found.start(), found.start())
    reading.head = before.value if isinstance(before.value, dict) else {}
    end = _take_turns(text, found.end(), len(text), reading)
    following = _TURNS.search(text, end)
    tail = LenientReader("{" + text[end : following.start() if following else len(text)].lstrip(" \r\n\t,"), 0, 1 << 62)
    rest = tail.value if isinstance(tail.value, dict) else {}
    reading.head = {key: value for key, value in {**rest, **reading.head}.items() if key != "turns"}
    reading.end = end
    return reading


class _Starts:
    """Finds where turns begin in `text[:end]`. Queries must ascend, so that each character is scanned once."""

    def __init__(self, text: str, end: int) -> None:
        self._text = text
        self._end = end
        self._next = -1

    def after(self, at: int) -> int:
        """Return the first start at or after `at`, or the end."""
        if self._next < at:
            found = _TURN.search(self._text, at, self._end)
            self._next = found.start() if found else self._end
        return self._next


def _take_turns(text: str, at: int, end: int, reading: Salvage) -> int:
    """Read turns from `at` until the list ends; return that position."""
    starts = _Starts(text, end)
    while True:
        while at < end and text[at] in " \t\r\n,\0":
            at += 1
        if at >= end or text[at] == "]":
            return min(at + 1, end)
        if text[at] == '"' and starts.after(at) == end:  # the next key: the list was never closed
            return at
        at = _take_one(text, at, end, reading, starts)


def _take_one(text: str, at: int, end: int, reading: Salvage, starts: _Starts) -> int:
    value, stop = None, at
    if reading.refused < _MOST_REFUSED:
        try:
            value, stop = _reader.raw_decode(text, at)
        except (ValueError, RecursionError):
            reading.refused += 1
    if isinstance(value, dict) and is_too_deep(value, DEEPEST):
        value, stop = None, at
    if isinstance(value, dict) and isinstance(value.get("messages"), list) and stop <= end:
        reading.turns.append(value)
        return stop
    limit = starts.after(at + 1)
    if value is not None and stop <= limit:  # complete, but not a turn
        reading.lost.append(f"something after turn {len(reading.turns)} that is not a turn")
        return stop
    part = LenientReader(text, at, limit)
    if isinstance(part.value, dict) and part.value.get("messages"):
        reading.turns.append(part.value)
        reading.parts.append(len(reading.turns))
        return limit if limit < end else max(part.stopped, at + 1)
    reading.lost.append(f"{limit - at:,} characters after turn {len(reading.turns)}")
    return limit


def _keep_others(best: Salvage, others: list[dict[str, Any]]) -> None:
    """Append turns that only other versions in the file have, as undone."""
    known = {_key(turn) for turn in best.turns}
    before = len(best.turns)
    for turn in others:
        if (key := _key(turn)) not in known:
            known.add(key)
            best.turns.append({**turn, "undone": True})
    if len(best.turns) > before:
        best.lost.append("turns of another version in the file are kept at its end, out of the context")


def _key(turn: dict[str, Any]) -> str:
    return json.dumps(turn.get("messages"), sort_keys=True, default=str)


def turn_offsets(text: str) -> Iterator[int]:
    """Yield the offset of each turn in a valid JSON text."""
    if found := _TURNS.search(text):
        for turn in _TURN.finditer(text, found.end()):
            yield turn.start()
