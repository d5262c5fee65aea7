"""The journal: everything that reached the disk before a crash is recovered once, exactly."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import SessionInUseError
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import journal as journals
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.journal import Journal, journal_path, session_path
from llmrepl.sessions.storage.journal_records import encode_record, fingerprint, read_records, replay
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.store import Store
from llmrepl.types import Usage

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
BULK = "x" * (300 << 10)
"""Makes a session so large that its JSON is not replaced at every turn."""


def store_in(directory: Path) -> Store:
    return Store(directory, directory, nullcontext)


@dataclass
class Said:
    """The expected state of a turn: the last value of each field that reached the disk."""

    question: str
    text: str = ""
    finished: bool = False
    undone: bool = False


@dataclass
class Shell:
    """A shell in `directory`, and its acknowledged turns."""

    directory: Path
    open_session: OpenSession
    turns: list[Said] = field(default_factory=list)
    system: str | None = None

    @classmethod
    def started(cls, directory: Path, bulk: bool) -> Shell:
        session = Session(model="offline/echo", created_at="2025-01-01T12:00:00.000000", turns=[], meta={})
        if bulk:
            session.set_meta("bulk", BULK)
        path = directory / "talk.json"
        return cls(directory, OpenSession(session, path, nullcontext))

    def do(self, step: tuple[str, Any]) -> None:
        """Run a step of a generated program."""
        what, value = step
        open_turn = bool(self.turns) and not self.turns[-1].finished
        if what == "begin" and not open_turn:
            self.open_session.begin_turn(value, "2025-01-01T12:00:00.000000")
            self.turns.append(Said(value))
        elif what == "grow" and open_turn:
            self.turns[-1].text += value
            self.open_session.append_text(value)
        elif what == "finish" and open_turn:
            turn = self.turns[-1]
            self.open_session.complete(len(self.turns), Completion(turn.text, "stop", 12.5, Usage(1, 2), 0.5))
            turn.finished = True
        elif what == "change" and self.turns and not open_turn:
            at = value % len(self.turns)
            self.open_session.update_turn(at + 1, undone=True)
            self.turns[at].undone = True
        elif what == "head" and not open_turn:
            self.open_session.set_header(system=value)
            self.system = value
        elif what == "rename" and not open_turn:
            assert self.open_session.path
            self.open_session.rename(self.directory / f"{self.open_session.path.stem}-again.json")


STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.just(step), TEXTS) for step in ("begin", "grow", "finish", "head")],
        st.tuples(st.just("change"), st.integers(0, 99)),
        st.tuples(st.just("rename"), st.none()),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def at_once() -> Iterator[None]:
    """Write deltas at once instead of in batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "FLUSH_SECONDS", 0.0)
        yield


def killed(directory: Path, shell: Shell) -> None:
    """Wait until the text is on disk, copy the files, end the shell, and restore the copies, as after a kill."""
    if shell.turns and not shell.turns[-1].finished and shell.turns[-1].text:
        _await_text(shell)
    left = {path: path.read_bytes() for path in directory.iterdir()}
    shell.open_session.close()
    for path in directory.iterdir():
        path.unlink()
    for path, raw in left.items():
        path.write_bytes(raw)


def _await_text(shell: Shell) -> None:
    assert shell.open_session.path
    for _ in range(2000):
        records, _torn = read_records(journal_path(shell.open_session.path).read_bytes())
        tail = records[max((n for n, r in enumerate(records) if "turn" in r), default=0) :]
        if "".join(r.get("text", "") for r in tail) == shell.turns[-1].text:
            return
        os.sched_yield()
    raise AssertionError("the streamed text did not reach the journal")


def snapshot(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.usefixtures("at_once")
@settings(max_examples=100, deadline=None)
@given(STEPS, st.booleans())
def test_a_shell_killed_after_any_steps_loses_nothing(steps: list[tuple[str, Any]], bulk: bool) -> None:
    with TemporaryDirectory() as place:
        directory = Path(place)
        shell = Shell.started(directory, bulk)
        for step in steps:
            shell.do(step)
        name = shell.open_session.path
        killed(directory, shell)

        store_in(directory).recover_journals()
        once = snapshot(directory)
        store_in(directory).recover_journals()
        assert snapshot(directory) == once

        if not shell.turns:
            assert once == {}
            return
        assert name
        assert list(once) == [name.name]
        session = session_file.load(once[name.name])
        assert session.system == shell.system
        assert len(session.turns) == len(shell.turns)
        for turn, said in zip(session.turns, shell.turns, strict=True):
            assert (turn.text_of("user"), turn.text_of("assistant")) == (said.question, said.text)
            assert bool(turn.undone) == said.undone
            if said.finished:
                assert (turn.finish_reason, turn.cost_estimate) == ("stop", 0.5)
            else:
                assert turn.finish_reason == ("interrupted" if said.text else "error")
        finished = sum(said.finished for said in shell.turns)
        assert (session.usage_totals.total_tokens if session.usage_totals else 0) == 3 * finished


def turn(number: int, text: str = "", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"question {number}"}]
    if text:
        messages.append({"role": "assistant", "content": text})
    return {"turn": number, "is": {"messages": messages, **more}}


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.data())
def test_a_journal_cut_at_any_byte_keeps_every_complete_record(replies: list[str], draw: st.DataObject) -> None:
    """Each reply is begun, arrives in two deltas, and is finished; none of it is in the JSON yet."""
    base = session_file.dump(Session(model="m", turns=[], meta={"kept": True}))
    records: list[dict[str, Any]] = [{"opened": {"pid": 1, "base": fingerprint(base)}}]
    for number, text in enumerate(replies, 1):
        records += [
            {**turn(number), "open": True},
            {"text": text[:1]},
            {"text": text[1:]},
            turn(number, text, finish_reason="stop"),
        ]
    lines = [encode_record(record) for record in records]
    raw = b"".join(lines)
    cut = draw.draw(st.integers(0, len(raw)))
    whole = 0
    while whole < len(lines) and sum(map(len, lines[: whole + 1])) <= cut + 1:  # also without its line end
        whole += 1
    assert read_records(raw[:cut]) == (records[:whole], False)

    with TemporaryDirectory() as place:
        directory = Path(place)
        path = directory / "cut.json"
        path.write_bytes(base)
        journal_path(path).write_bytes(raw[:cut])
        store_in(directory).recover_journals()
        assert list(snapshot(directory)) == ["cut.json"]
        session = session_file.load(path.read_bytes())
    begun = sum("open" in record for record in records[:whole])
    finished = sum("turn" in record and "open" not in record for record in records[:whole])
    assert len(session.turns) == begun
    assert [t.text_of("assistant") for t in session.turns[:finished]] == replies[:finished]
    assert session.model_dump()["meta"] == {"kept": True}
    if begun > finished:
        pieces = (whole - 1) % 4 - 1
        assert session.turns[-1].text_of("assistant") == ("", replies[finished][:1], replies[finished])[pieces]
        assert session.turns[-1].finish_reason in ("interrupted", "error")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), TEXTS, st.booleans()), max_size=8))
def test_records_applied_twice_give_what_they_give_once(parts: list[tuple[int, str, bool]]) -> None:
    records: list[dict[str, Any]] = [{"head": {"model": "m"}}]
    count = 0
    for number, text, is_open in parts:
        number = min(number, count + 1)
        count = max(number, count)
        records += [{**turn(number), "open": True}, {"text": text}] if is_open else [turn(number, text)]
    once = replay(None, records)
    assert replay(once, records) == once


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("written", ["", "the finished turn too"])
def test_a_crash_between_replacing_the_json_and_emptying_the_journal_changes_nothing(
    tmp_path: Path, written: str
) -> None:
    """The JSON lacks the finished turn: of two files that are not synced together, the older may survive."""
    shell = Shell.started(tmp_path, bulk=False)
    shell.do(("begin", "first"))
    shell.do(("finish", ""))
    shell.do(("begin", "second"))
    journal = tmp_path / ".talk.journal"
    shell.do(("grow", "an answer"))
    _await_text(shell)
    before = journal.read_bytes()
    if written:
        data = shell.open_session.session.turns[-1].with_reply(Completion("an answer", "stop", 12.5, Usage(1, 2), 0.5))
        before += encode_record({"turn": 2, "is": data.model_dump(mode="json", exclude_unset=True)})
    shell.do(("finish", ""))
    killed(tmp_path, shell)
    json_after = (tmp_path / "talk.json").read_bytes()
    journal.write_bytes(before)

    assert store_in(tmp_path).recover_journals() == []
    assert snapshot(tmp_path) == {"talk.json": json_after}


def test_a_journal_damaged_inside_is_kept_beside_what_was_read_of_it(tmp_path: Path) -> None:
    lines = [
        encode_record(record) for record in ({"head": {"model": "m"}}, turn(1, "one"), turn(2, "two"), turn(3, "three"))
    ]
    lines[2] = lines[2].replace(b"two", b"tvo")
    (tmp_path / ".x.journal").write_bytes(b"".join(lines))
    store_in(tmp_path).recover_journals()
    assert sorted(snapshot(tmp_path)) == [".x.journal.corrupt", "x.json"]
    assert [t.text_of("assistant") for t in session_file.load((tmp_path / "x.json").read_bytes()).turns] == [
        "one",
        "three",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["head", "turn", "is", "text", "moved", "opened", "open", "model"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON, max_size=4), st.booleans())
def test_a_journal_that_somebody_made_up_is_never_obeyed_nor_fatal(records: list[Any], beside: bool) -> None:
    with TemporaryDirectory() as place:
        directory = Path(place)
        raw = b"".join(encode_record(record) for record in records)
        (directory / ".x.journal").write_bytes(raw)
        if beside:
            (directory / "x.json").write_bytes(b'{"model": "m", "turns": []}')
        store_in(directory).recover_journals()
        for path in directory.glob("*.json"):
            session_file.load(path.read_bytes())


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"not json", b'{"moved":"../../victim.json"}', b'{"turn":1,"is":{"messages":3}}']
)
def test_a_made_up_record_with_the_right_checksum_is_a_damaged_one(tmp_path: Path, line: bytes) -> None:
    (tmp_path / ".x.journal").write_bytes(b"%08x %s\n" % (zlib.crc32(line), line))
    store_in(tmp_path).recover_journals()
    assert not (tmp_path / "x.json").exists()


def test_a_locked_journal_is_left_alone_and_names_its_owner(tmp_path: Path) -> None:
    shell = Shell.started(tmp_path, bulk=False)
    shell.do(("begin", "still open"))
    assert store_in(tmp_path).recover_journals() == []
    with pytest.raises(SessionInUseError, match=rf"talk.json is open in another shell \(pid {os.getpid()}\)"):
        Journal.claim(tmp_path / ".talk.journal")
    shell.open_session.close()


def test_a_link_in_the_place_of_a_journal_is_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".x.journal").symlink_to(victim)
    with pytest.raises(OSError, match=r"symbolic links"):
        Journal.claim(tmp_path / ".x.journal")
    assert store_in(tmp_path).recover_journals() == []
    assert victim.read_text() == "precious"


def test_names_of_journal_and_session_go_both_ways() -> None:
    assert journal_path(Path("runs/a.b.json")) == Path("runs/.a.b.journal")
    assert session_path(Path("runs/.a.b.journal")) == Path("runs/a.b.json")


def test_what_is_no_plain_file_in_the_place_of_a_journal_is_refused(tmp_path: Path) -> None:
    os.mkfifo(journal_path(tmp_path / "a.json"))
    with pytest.raises(OSError, match="not a regular file"):
        Journal.claim(journal_path(tmp_path / "a.json"))
