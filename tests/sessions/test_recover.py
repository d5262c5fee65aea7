"""Recovery returns every turn that is complete in the bytes, whatever happened to the others."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import DamagedError
from llmrepl.sessions.repair.recover import Recovery, recover, recover_file
from llmrepl.sessions.storage import session_file


def session(turns: int) -> dict[str, Any]:
    return {
        "model": "a/b",
        "system": None,
        "created_at": "2024-01-01T00:00:00",
        "turns": [
            {
                "messages": [
                    {"role": "user", "content": f'question {n} é " \\ \n 日本'},
                    {"role": "assistant", "content": f"answer {n}"},
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
                "cost_estimate": 0.25,
            }
            for n in range(turns)
        ],
        "usage_totals": {"prompt_tokens": 1},
        "meta": {"title": "t"},
        "other": {"kept": [1]},
    }


def written(turns: int) -> bytes:
    return json.dumps(session(turns), indent=2, ensure_ascii=False).encode()


def asked(recovery: Recovery | None) -> list[str]:
    assert recovery is not None
    session_file.load(session_file.dump(recovery.session))  # the result is valid
    return [turn.text_of("user").split(" é")[0] for turn in recovery.session.turns if not turn.undone]


def test_a_file_cut_at_any_byte_keeps_every_complete_turn() -> None:
    raw = written(20)
    text, at, ends = raw.decode(), raw.decode().index("[") + 1, []
    for _ in range(20):
        while text[at] in " \n,":
            at += 1
        _, at = json.JSONDecoder().raw_decode(text, at)
        ends.append(len(text[:at].encode()))
    for cut in range(len(raw)):
        whole = sum(end <= cut for end in ends)
        found = recover(raw[:cut])
        kept = found.session.turns if found else []
        valid = [turn for turn in kept if turn.finish_reason not in ("interrupted", "error")]
        assert len(valid) >= whole, cut


QUESTIONS = ["question 0", "question 1"]


@pytest.mark.parametrize(
    "raw",
    [
        written(2) + b"\0" * 5000,
        b"\xef\xbb\xbf" + written(2) + b"}",
        written(1) + written(2),
        written(2).decode().encode("utf-16"),
        written(2).decode().encode("utf-32"),
        written(2).replace(b"0.25", b"NaN"),
        written(2).replace(b"0.25", b"1e999"),
        written(2).replace(b"0.25", b"9" * 6000),
        written(2).replace(b'"turns"', b'"turns": [], "turns"'),
        written(2).replace(b"    },\n    {", b"    }\n    {"),
        written(2).replace(b"answer 0", b"an\x01sw\ner\\ud800"),
        written(2).replace(b"answer 1", b"ans\xffwer"),
        gzip.compress(written(2), mtime=0),
        gzip.compress(written(2), mtime=0)[:-8],
        gzip.compress(written(2), mtime=0) + b"junk",
        written(2).replace(b'"model": "a/b"', b'"model": 7'),
        written(2).replace(b'{"prompt_tokens": 1}', b"[]"),
    ],
    ids=lambda value: "",
)
def test_each_kind_of_damage_keeps_both_turns(raw: bytes) -> None:
    assert asked(recover(raw)) == QUESTIONS


def test_one_bad_turn_does_not_cost_its_neighbours() -> None:
    data = session(3)
    data["turns"][1] = {"messages": [{"role": "user", "content": 7}, 3, None], "usage": "x", "latency_ms": []}
    found = recover(json.dumps(data).encode())
    assert asked(found) == ["question 0", "7", "question 2"]


def test_what_another_version_has_more_is_kept_out_of_the_context() -> None:
    short, long = written(2), written(5)
    found = recover(short + long[len(short) :])
    assert asked(found) == QUESTIONS
    assert found is not None and [t.text_of("user")[:10] for t in found.session.turns if t.undone] == QUESTIONS_MORE


QUESTIONS_MORE = ["question 3", "question 4"]


def test_both_sides_of_a_conflict_are_there() -> None:
    turn = '{{"messages": [{{"role": "user", "content": "{}"}}]}}'
    raw = '{{"model": "m", "turns": [\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n]}}'.format(
        turn.format("ours"), turn.format("theirs")
    )
    found = recover(raw.encode())
    assert found is not None and {turn.text_of("user") for turn in found.session.turns} == {"ours", "theirs"}


def test_unknown_keys_survive_and_totals_are_recounted() -> None:
    found = recover(written(2)[:-3])
    assert found is not None and found.session.usage_totals is not None
    assert found.session.usage_totals.total_tokens == 6
    assert json.loads(session_file.dump(found.session))["other"] == {"kept": [1]}


def test_the_original_is_kept_and_a_valid_file_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    for number, name in enumerate(("talk.json.backup", "talk.json.backup-2")):
        path.write_bytes(written(2)[: -20 - number])
        before = path.read_bytes()
        assert recover_file(path) is not None
        assert (tmp_path / name).read_bytes() == before
    valid = path.read_bytes()
    assert recover_file(path) is None
    assert path.read_bytes() == valid


@pytest.mark.parametrize("raw", [b"", b"\0\0\0", b"   ", b"hello", b'{"a": 1}', b"[]", b"\xff\xfe"])
def test_what_is_no_session_is_refused_and_untouched(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(raw)
    with pytest.raises(DamagedError):
        recover_file(path)
    assert path.read_bytes() == raw and list(tmp_path.iterdir()) == [path]


def test_brackets_without_end_take_no_time() -> None:
    began = time.process_time()
    recover(b'{"model": "a", "turns": ' + b"[" * 1_000_000)
    recover(b"[" * 1_000_000)
    assert time.process_time() - began < 2


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_damage_is_never_an_error(data: st.DataObject) -> None:
    raw = bytearray(written(3))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        piece = data.draw(st.binary(max_size=6))
        raw[at : at + data.draw(st.integers(0, 40))] = piece
    found = recover(bytes(raw))
    if found:
        session_file.load(session_file.dump(found.session))


@pytest.mark.parametrize(
    "piece",
    ['{"messages":', '{"messages":[', '{"messages":[{"messages":"', "{},", '"a",', "<<<<<<< a\n", "[", '{"turns":['],
)
def test_repetitive_damage_is_read_in_linear_time(piece: str) -> None:
    began = time.process_time()
    recover(b'{"model": "m", "turns": [' + piece.encode() * 50_000)
    assert time.process_time() - began < 4


def test_what_stands_before_a_conflict_that_is_cut_off_is_kept() -> None:
    raw = b"<<<<<<< ours\n" + written(1) + b"\n=======\n" + written(2)
    assert set(asked(recover(raw)) if raw else []) == set(QUESTIONS)


@pytest.mark.parametrize("key", ["latency_ms", "cost_estimate"])
def test_a_number_without_end_is_left_out_and_its_turn_kept(key: str) -> None:
    data = session(2)
    data["turns"][0][key] = int("9" * 400)
    assert asked(recover(json.dumps(data).encode())) == QUESTIONS


@pytest.mark.parametrize("depth", [100, 195, 196, 197, 200, 300, 900, 5000])
def test_a_turn_nested_too_deeply_is_repaired_so_that_it_loads(depth: int) -> None:
    deep = written(2).replace(b'"answer 0"', b"[" * depth + b"]" * depth)
    assert asked(recover(deep)) == QUESTIONS


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}])
def test_totals_of_another_program_survive_a_recovery(usage: dict[str, int] | None) -> None:
    turn = {"messages": [{"role": "user", "content": "q"}]} | ({"usage": usage} if usage else {})
    data = {"model": "m", "usage_totals": {"total_tokens": 900, "cost_usd": 1.5}, "turns": [turn]}
    found = recover(json.dumps(data).encode()[:-1])
    assert found and found.session.usage_totals
    totals = found.session.usage_totals.model_dump()
    assert (totals["cost_usd"], totals["total_tokens"]) == (1.5, 3 if usage else 900)
