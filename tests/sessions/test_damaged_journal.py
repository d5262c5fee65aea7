"""Damage to a journal costs only the damaged records; the rest is recovered and the loss reported."""

from __future__ import annotations

import errno
import json
import os
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import SaveError
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.journal import Journal, journal_path
from llmrepl.sessions.storage.journal_records import encode_record, fingerprint, replay
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.store import Store
from tests.cli_runner import CliRunner

AT = "2025-01-01T12:00:00.000000"


def turn(number: int, reply: str = "", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"question {number}"}]
    messages += [{"role": "assistant", "content": reply}] if reply else []
    return {"turn": number, "is": {"messages": messages, "created_at": AT}, **more}


def lines_of(base: bytes | None, count: int) -> list[bytes]:
    """Return the journal lines of a shell after `count` prompts."""
    records: list[dict[str, Any]] = [{"opened": {"pid": 1, "base": fingerprint(base)}}]
    records += [] if base else [{"head": {"model": "offline/echo", "created_at": AT, "meta": {}}}]
    first = 2 if base else 1
    for number in range(first, first + count):
        records += [turn(number, open=True), {"text": f"answer {number}"}, turn(number, f"answer {number}")]
    return [encode_record(record) for record in records]


def recovered(directory: Path) -> tuple[str, list[str]]:
    """Return the contents of all sessions after a recovery, and the notices."""
    notes = Store(directory, directory, nullcontext).recover_journals()
    sessions = [session_file.load(path.read_bytes()) for path in sorted(directory.glob("*.json"))]
    return json.dumps([session.model_dump(mode="json") for session in sessions]), notes


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.integers(2, 5), st.data())
def test_a_changed_byte_costs_one_record(has_json: bool, count: int, draw: st.DataObject) -> None:
    with TemporaryDirectory() as place:
        directory = Path(place)
        base = session_file.dump(Session(model="offline/echo", created_at=AT, turns=[])) if has_json else None
        if base:
            base = base.replace(b'"turns": []', b'"turns": [{"messages": [{"role": "user", "content": "question 1"}]}]')
            (directory / "x.json").write_bytes(base)
        lines = lines_of(base, count)
        number = draw.draw(st.integers(0 if has_json else 2, len(lines) - 1), label="line")
        at = draw.draw(st.integers(0, len(lines[number]) - 1), label="byte")
        value = draw.draw(st.integers(0, 255).filter(lambda byte: byte != lines[number][at]), label="value")
        damaged = bytearray(lines[number])
        damaged[at] = value
        raw = b"".join([*lines[:number], bytes(damaged), *lines[number + 1 :]])
        journal_path(directory / "x.json").write_bytes(raw)

        text, notes = recovered(directory)
        first = 2 if has_json else 1
        hit = first + (number - (1 if has_json else 2)) // 3
        for asked in range(first, first + count):
            is_final = number == len(lines) - 1 or (number - (1 if has_json else 2)) % 3 == 2
            if asked != hit or not is_final:
                assert f"answer {asked}" in text, (asked, notes)
            assert f"question {asked}" in text
        kept = [path.read_bytes() for path in directory.glob(".*.corrupt*")]
        assert kept in ([], [raw])
        assert bool(kept) == any("could not be read" in note for note in notes)


def test_a_damaged_last_line_is_reported_but_not_a_torn_one(tmp_path: Path) -> None:
    lines = lines_of(None, 2)
    journal_path(tmp_path / "torn.json").write_bytes(b"".join(lines)[:-20])
    journal_path(tmp_path / "hit.json").write_bytes(b"".join(lines).replace(b'answer 2"}]', b'answer X"}]'))
    _, notes = recovered(tmp_path)
    assert any("1 record in the journal of hit.json could not be read." in note for note in notes), notes
    assert not any("torn.json could not" in note for note in notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hit.journal.corrupt", "hit.json", "torn.json"]


def test_each_damaged_journal_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    for number in range(3):
        journal_path(tmp_path / "x.json").write_bytes(b"00000000 damage %d\n" % number)
        recovered(tmp_path)
    kept = sorted(tmp_path.iterdir())
    assert [path.name for path in kept] == [".x.journal.corrupt", ".x.journal.corrupt-2", ".x.journal.corrupt-3"]
    assert [path.read_bytes()[-2:] for path in kept] == [b"0\n", b"1\n", b"2\n"]


def test_records_that_ran_together_are_taken_apart(tmp_path: Path) -> None:
    journal_path(tmp_path / "x.json").write_bytes(b"\0".join(line.rstrip(b"\n") for line in lines_of(None, 3)) + b"\n")
    text, notes = recovered(tmp_path)
    assert all(f"answer {number}" in text for number in (1, 2, 3)) and notes == []


def test_turns_after_a_lost_one_stay_apart() -> None:
    lost_turn_2 = [{"head": {"model": "m"}}, turn(1, "a"), turn(3, open=True), turn(3, "c"), turn(4, "d")]
    after = replay(None, lost_turn_2)
    assert after and [t["messages"][0]["content"] for t in after["turns"]] == ["question 1", "question 3", "question 4"]


def test_totals_that_another_program_counted_survive() -> None:
    before = {"model": "m", "turns": [turn(1, "a")["is"]], "usage_totals": {"total_tokens": 900, "cost_usd": 1.5}}
    new = turn(2, "b")
    new["is"]["usage"] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    after = replay(before, [new])
    assert after and after["usage_totals"] == {
        "total_tokens": 907,
        "cost_usd": 1.5,
        "prompt_tokens": 3,
        "completion_tokens": 4,
    }


def opened(directory: Path, bulk: int = 0) -> OpenSession:
    session = Session(model="offline/echo", created_at=AT, turns=[], meta={"bulk": "x" * bulk})
    return OpenSession(session, directory / "talk.json", nullcontext)


def test_text_that_could_not_be_written_stays_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.claim(tmp_path / ".x.journal")
    journal.start(None)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: _fail(errno.ENOSPC))
    journal.append_text("Delete the file ONLY IF ")
    with pytest.raises(OSError, match="No space"):
        journal.flush()
    monkeypatch.setattr(os, "write", write)
    journal.append_text("you are sure.")
    journal.flush()
    records, damaged = journal.records()
    assert "".join(record.get("text", "") for record in records) == "Delete the file ONLY IF you are sure."
    assert damaged == 0
    journal.remove()


def test_after_a_failed_sync_a_new_file_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel may drop the data and report success the next time."""
    open_session = opened(tmp_path, bulk=300 << 10)
    open_session.begin_turn("one", AT)
    open_session.complete(1, Completion("1", "stop", 1.0, None, None))
    before = journal_path(tmp_path / "talk.json").stat().st_ino
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: _fail(errno.EIO))
    with pytest.raises(SaveError):
        open_session.begin_turn("two", AT)
    monkeypatch.setattr(os, "fsync", fsync)
    open_session.update_turn(2, undone=True)
    assert journal_path(tmp_path / "talk.json").stat().st_ino != before
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    open_session.close()
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
    text, _ = recovered(tmp_path)
    assert '"one"' in text and '"1"' in text and '"two"' in text


@pytest.mark.parametrize(
    "failure", [MemoryError(), ValueError("a float"), OSError(errno.EIO, "broken"), KeyboardInterrupt()]
)
def test_a_journal_goes_only_when_the_json_has_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    open_session = opened(tmp_path, bulk=300 << 10)
    for text in ("one", "two"):
        number = open_session.begin_turn(text, AT)
        open_session.complete(number, Completion(f"re {text}", "stop", 1.0, None, None))

    def fails(_session: Session) -> bytes:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(session_file, "dump", fails)
        with pytest.raises((SaveError, KeyboardInterrupt)):
            open_session.close()
        assert not open_session.is_saved
    assert journal_path(tmp_path / "talk.json").exists()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    open_session.close()
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
    text, _ = recovered(tmp_path)
    assert "re one" in text and "re two" in text


def test_half_a_character_in_the_system_prompt_costs_no_turn(cli: CliRunner) -> None:
    """Lone surrogates, as from terminal bytes that are not UTF-8."""
    ran = cli.script(":system caf\udce9", "hello \udce9", ":tag +\udce9", ":exit")
    assert "café" not in ran.err
    session = session_file.load(next(cli.runs.glob("*.json")).read_bytes())
    assert session.system == "caf\ufffd" and session.turns[0].text_of("user") == "hello \ufffd"


def test_what_another_shell_has_in_its_journal_is_in_the_copy(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path, nullcontext)
    open_session = opened(tmp_path, bulk=300 << 10)
    for text in ("one", "two"):
        number = open_session.begin_turn(text, AT)
        open_session.complete(number, Completion(f"re {text}", "stop", 1.0, None, None))
    assert b"re two" not in (tmp_path / "talk.json").read_bytes(), "else there is nothing to see here"
    copy = store.open(tmp_path / "talk.json", beside=True)
    assert [t.text_of("assistant") for t in copy.session.turns] == ["re one", "re two"]
    copy.close()
    open_session.close()


def _fail(code: int) -> int:
    raise OSError(code, os.strerror(code))


def test_the_part_of_a_reply_whose_end_was_lost_is_kept() -> None:
    records = [{"head": {"model": "m"}}, turn(1, open=True), {"text": "the part"}, turn(2, open=True), turn(2, "b")]
    after = replay(None, records)
    assert after and after["turns"][0]["messages"][1]["content"] == "the part"
    assert [t.get("finish_reason") for t in after["turns"]] == ["interrupted", None]
