"""Damaged gzip files are recovered as far as possible; small files take little memory."""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.sessions.repair.recover import recover
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.packed import unpack, unpack_damaged
from tests.cli_runner import LLM, CliRunner
from tests.memory import launched, peak_bytes

COUNT = 40


def session(count: int = COUNT) -> bytes:
    """Return a session that does not compress well, so that damage in the middle spares some turns."""
    words = random.Random(1)
    turns = [
        {
            "messages": [
                {"role": "user", "content": f"question {number}"},
                {"role": "assistant", "content": f"answer {number} " + "".join(words.choices("abcdefgh ", k=300))},
            ]
        }
        for number in range(count)
    ]
    return json.dumps({"model": "m", "turns": turns}, indent=2).encode()


PLAIN = session()
PACKED = gzip.compress(PLAIN, mtime=0)


def answers(raw: bytes) -> set[str]:
    found = recover(raw)
    return {t.text_of("assistant").rpartition(" ")[0][:10] for t in found.session.turns} if found else set()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, len(PLAIN) - 1), max_size=3), st.integers(0, 8))
def test_members_are_read_as_one_file(cuts: list[int], padding: int) -> None:
    edges = [0, *sorted(cuts), len(PLAIN)]
    members = [gzip.compress(PLAIN[a:b], mtime=0) for a, b in pairwise(edges)]
    raw = b"".join(members) + b"\0" * padding
    assert unpack(raw) == PLAIN
    assert unpack_damaged(raw) == (PLAIN, False)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_costs_nothing_before_it(at: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[at] ^= change
    plain, _ = unpack_damaged(bytes(damaged))
    strict = zlib.decompressobj(wbits=-15)
    before = b"" if at < 10 else strict.decompress(PACKED[10:at])
    sure = max(0, len(before) - 300)
    assert plain[:sure] == before[:sure], "but for the last of what one byte decides"
    if at < 10 and not (at == 3 and change & 0x1F):
        assert plain == PLAIN, "the header says nothing that is needed"
    if at >= len(PACKED) - 8:
        assert plain == PLAIN, "nor does the checksum"
    assert len(answers(bytes(damaged))) >= before.count(b'"user"') - 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PACKED)))
def test_a_file_cut_anywhere_gives_what_came(end: int) -> None:
    plain, damaged = unpack_damaged(PACKED[:end])
    assert PLAIN.startswith(plain) and damaged == (0 < end < len(PACKED))


def test_a_member_after_a_damaged_one_comes_back() -> None:
    half = PLAIN.index(b"question 20") - 60
    first, second = bytearray(gzip.compress(PLAIN[:half], mtime=0)), gzip.compress(PLAIN[half:], mtime=0)
    first[len(first) // 2] ^= 0xFF
    text = unpack_damaged(bytes(first) + second)[0]
    assert text.endswith(PLAIN[half:]) and b"question 5" in text


def test_recover_takes_all_members_and_leaves_what_has_the_name(cli: CliRunner) -> None:
    cli.runs.mkdir()
    half = len(PLAIN) // 2
    (cli.runs / "two.json.gz").write_bytes(gzip.compress(PLAIN[:half]) + gzip.compress(PLAIN[half:]))
    (cli.runs / "bad.json.gz").write_bytes(PACKED[:-12])
    (cli.runs / "bad.json").write_bytes(PLAIN.replace(b"answer", b"precious"))
    assert cli.llm("sessions", "validate", "two.json.gz").code == 0
    assert "40 turns" in cli.llm("sessions", "recover", "two.json.gz").err
    assert len(session_file.load((cli.runs / "two.json").read_bytes()).turns) == COUNT
    ran = cli.llm("sessions", "recover", "bad.json.gz")
    assert "bad-2.json" in ran.err and "bad.json.gz.backup" in ran.err
    assert (cli.runs / "bad.json").read_bytes() == PLAIN.replace(b"answer", b"precious")
    assert (cli.runs / "bad.json.gz.backup").read_bytes() == PACKED[:-12]
    assert len(session_file.load((cli.runs / "bad-2.json").read_bytes()).turns) >= COUNT - 1


def test_a_backup_keeps_a_damaged_file_of_the_target(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.cwd / "copy").mkdir()
    (cli.runs / "a.json").write_bytes(PLAIN)
    damaged = PLAIN.replace(b"answer", b"precious")[:-90]
    (cli.cwd / "copy" / "a.json").write_bytes(damaged)
    assert cli.llm("sessions", "backup", "copy").code == 0
    assert (cli.cwd / "copy" / "a.json").read_bytes() == PLAIN
    assert [path.read_bytes() for path in (cli.cwd / "copy" / "older").iterdir()] == [damaged]


def test_an_archive_that_nothing_would_unpack_is_not_made(cli: CliRunner) -> None:
    cli.runs.mkdir()
    turn = {"messages": [{"role": "user", "content": "x" * (40 << 20)}]}
    data = json.dumps({"model": "m", "created_at": "2020-01-01T00:00:00", "turns": [turn]}).encode()
    (cli.runs / "a.json").write_bytes(data)
    assert cli.llm("sessions", "archive", "--compress").code == 0
    assert cli.llm("sessions", "restore", "a").code == 0
    assert (cli.runs / "a.json").read_bytes() == data


BOMBS = {
    "blanks": (b"", b" ", b""),
    "empty turns": (b"{}", b",{}", b"]}"),
    "empty lists": (b"[]", b",[]", b"]}"),
    "numbers": (b"1", b",1", b"]}"),
    "tiny turns": (b'{"messages":[]}', b',{"messages":[]}', b"]}"),
    "wrong turns": (b'{"messages":1}', b',{"messages":1}', b"]}"),
    "deep": (b"", b"[", b""),
    "text": (b'{"messages":[{"role":"user","content":"', b"x", b'"}]}]}'),
}
"""What a session begins with, goes on with for as long as its file is small, and ends with."""


def bomb(first: bytes, more: bytes, last: bytes) -> bytes:
    """Write a gzip file of 200 KB that unpacks to 200 MB of JSON."""
    packer = zlib.compressobj(9, wbits=31)
    block = more * ((1 << 20) // len(more))
    out = [packer.compress(b'{"model":"x","turns":[' + first), *(packer.compress(block) for _ in range(190))]
    return b"".join([*out, packer.compress(last), packer.flush()])


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_takes_little_memory_and_time(cli: CliRunner, name: str) -> None:
    cli.runs.mkdir()
    data = bomb(*BOMBS[name])
    assert len(data) < 400_000
    (cli.runs / "plain.json").write_bytes(PLAIN)
    (cli.runs / "bomb.json.gz").write_bytes(data)
    for words in ("list", "validate bomb.json.gz", "search zebra", "show bomb", "recover bomb.json.gz --dry-run"):
        seconds, megabytes, out = measured(cli, "sessions", *words.split())
        assert "plain" in out or words != "list"
        assert (seconds < 6) and megabytes < 300, (words, seconds, megabytes)


def test_a_sparse_journal_takes_little_memory_and_time(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.runs / "plain.json").write_bytes(PLAIN)
    with open(cli.runs / ".plain.journal", "wb") as file:
        file.truncate(50 << 30)
    seconds, megabytes, out = measured(cli, "sessions", "list")
    assert "plain.json" in out and seconds < 6 and megabytes < 300
    assert (cli.runs / "plain.json").read_bytes() == PLAIN


def measured(cli: CliRunner, *words: str) -> tuple[float, float, str]:
    """Return seconds, resident MB and output of a command limited to 4 GB of address space."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    began = time.monotonic()
    report = cli.home / "peak"
    command = launched([*LLM, *words], report)
    process = subprocess.Popen(command, cwd=cli.cwd, env=cli.environ, preexec_fn=bounded, **pipes)
    assert process.stdout and process.stderr
    out, err = process.stdout.read().decode(), process.stderr.read().decode()
    process.wait()
    assert "Traceback" not in err and "went wrong" not in err and "memory" not in err, err
    return time.monotonic() - began, peak_bytes(report) / (1 << 20), out


def test_damage_in_the_first_bytes_is_seen_through(tmp_path: Path) -> None:
    for at in range(3):
        damaged = bytearray(PACKED)
        damaged[at] ^= 0xFF
        assert len(answers(bytes(damaged))) == COUNT
