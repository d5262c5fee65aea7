"""The session file: strict parsing that locates errors, and exact serialization."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.session_file import Unreadable

GUIDE: dict[str, Any] = {
    "model": "openai/gpt-4o-mini",
    "system": "You are a helpful programming assistant",
    "created_at": "2024-01-08T14:30:22.123456",
    "turns": [
        {
            "messages": [
                {"role": "user", "content": "How do I create a Python class?"},
                {"role": "assistant", "content": "Use the `class` keyword… 日本語 🙂"},
            ],
            "usage": {"prompt_tokens": 25, "completion_tokens": 187, "total_tokens": 212},
            "latency_ms": 1450.2,
            "cost_estimate": 0.0034,
        }
    ],
    "usage_totals": {"prompt_tokens": 25, "completion_tokens": 187, "total_tokens": 212},
    "meta": {"user_id": "default", "session_type": "chat", "tags": ["python", "programming"]},
}


def raw(data: object) -> bytes:
    return json.dumps(data, indent=2, ensure_ascii=False).encode() + b"\n"


def test_the_guides_file_comes_back_byte_for_byte() -> None:
    assert session_file.dump(session_file.load(raw(GUIDE))) == raw(GUIDE)


def test_keys_are_written_in_the_guides_order_whatever_order_they_came_in() -> None:
    backwards = dict(reversed(GUIDE.items()))
    assert list(json.loads(session_file.dump(session_file.load(raw(backwards))))) == list(GUIDE)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def with_extras(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Generate objects with known and unknown keys."""
    extras = st.dictionaries(texts.filter(lambda key: key not in KNOWN), values, max_size=3)
    return st.builds(lambda more, fixed: fixed | more, extras, st.fixed_dictionaries(known))


KNOWN = {
    *("role", "content", "model", "system", "created_at", "turns", "usage_totals", "meta"),
    *("messages", "usage", "latency_ms", "cost_estimate", "answered_by", "finish_reason", "undone"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "estimated"),
}
messages = with_extras({"role": st.sampled_from(["user", "assistant", "tool"]), "content": st.none() | texts})
counts = with_extras({"prompt_tokens": st.none() | st.integers(0, 10**9)})
turns = with_extras(
    {
        "messages": st.lists(messages, max_size=3),
        "usage": st.none() | counts,
        "cost_estimate": st.none() | st.floats(0, 1e6),
    }
)
metas = st.dictionaries(texts, values, max_size=3)
sessions = with_extras(
    {"model": texts, "system": st.none() | texts, "turns": st.lists(turns, max_size=3), "meta": st.none() | metas}
)


@settings(max_examples=80, deadline=None)
@given(sessions)
def test_every_key_survives_known_or_not(data: dict[str, Any]) -> None:
    once = session_file.dump(session_file.load(raw(data)))
    assert json.loads(once) == data
    assert session_file.dump(session_file.load(once)) == once


@settings(max_examples=80, deadline=None)
@given(sessions, st.data())
def test_a_file_cut_anywhere_is_refused(data: dict[str, Any], draw: st.DataObject) -> None:
    whole = raw(data).rstrip()
    cut = draw.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Unreadable):
        session_file.load(whole[:cut])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(Unreadable):
        session_file.load(data)


HEAD = b'{\n  "model": "m",\n  "turns": [],\n'
REFUSED = {
    "NaN": (HEAD + b'  "x": NaN\n}', "NaN is not a number", 4),
    "Infinity": (HEAD + b'  "x": [1, -Infinity]\n}', "-Infinity is not a number", 4),
    "a number too large": (HEAD + b'  "x": 1e999\n}', "a number too large", 4),
    "a duplicate key": (HEAD + b'  "x": 1,\n  "x": 2\n}', "the key 'x' stands twice", 5),
    "a duplicate key deep inside": (HEAD + b'  "x": [{"y": 1, "y": 2}]\n}', "the key 'y' stands twice", 4),
    "a lone surrogate": (HEAD + b'  "x": "\\ud800"\n}', "half of a surrogate pair in a text", 4),
    "six thousand digits": (HEAD + b'  "x": ' + b"9" * 6000 + b"\n}", "a number with too many digits", 4),
    "deep nesting": (HEAD + b'  "x": ' + b"[" * 200_000, "nested too deeply", 4),
    "not UTF-8": (HEAD + b'  "x": "\xff"\n}', "a byte that is not UTF-8", 4),
    "cut off": (HEAD + b'  "x": "abc', "cut off", 4),
    "two documents": (HEAD + b'  "x": 1\n}\n{}', "extra data", 6),
    "a raw control character": (HEAD + b'  "x": "\x01"\n}', "invalid control character at", 4),
}


def nested(depth: int) -> bytes:
    return HEAD + b'  "x": ' + b"[" * depth + b"]" * depth + b"\n}"


def test_what_can_be_read_can_be_written_again_however_deep() -> None:
    deepest = session_file.load(nested(199))
    assert session_file.load(session_file.dump(deepest)) == deepest
    with pytest.raises(Unreadable, match="line 4, column 207: nested too deeply"):
        session_file.load(nested(260))


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_reported_with_their_position(case: str) -> None:
    data, reason, line = REFUSED[case]
    with pytest.raises(Unreadable) as refused:
        session_file.load(data)
    assert (refused.value.reason, refused.value.line) == (reason, line)
    assert refused.value.column > 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\0" * 4096, "the file holds no text"),
        (b" \n", "the file holds no text"),
        (b"[]", "the file is JSON, but not a session"),
        (b'{"turns": []}', "'model' is missing"),
        (b'{"model": 3, "turns": []}', "'model' is of the wrong type"),
        (b'{"model": "m", "turns": {}}', "'turns' is of the wrong type"),
        (b'{"model": "m", "turns": [{"messages": 3}]}', "turns.0.messages: input should be a valid list"),
    ],
)
def test_what_is_not_a_session_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        session_file.load(data)
    assert refused.value.reason == reason


def test_an_escaped_surrogate_pair_is_one_character_and_a_byte_order_mark_is_ignored() -> None:
    data = b'\xef\xbb\xbf{"model": "\\ud83d\\ude42", "turns": []}'
    assert session_file.load(data).model == "🙂"


def test_gzip_is_read_whatever_the_file_is_called_and_its_faults_are_named() -> None:
    packed = gzip.compress(raw(GUIDE))
    assert session_file.load(packed).model == GUIDE["model"]
    damaged = bytearray(packed)
    damaged[-6] ^= 0xFF
    for data, reason in (
        (packed[:-9], "the gzip data is cut off"),
        (bytes(damaged), "the gzip data is corrupt"),
        (packed + b"more", "there is something after the gzip data"),
    ):
        with pytest.raises(Unreadable, match=reason):
            session_file.load(data)


def test_a_gzip_bomb_is_refused_without_being_unpacked() -> None:
    with pytest.raises(Unreadable, match="unpacks to more than 16 MiB"):
        session_file.unpack(gzip.compress(b"\0" * (64 << 20)))
    members = gzip.compress(b"\0" * (8 << 20)) * 3
    with pytest.raises(Unreadable, match="unpacks to more than 16 MiB"):
        session_file.unpack(members)
