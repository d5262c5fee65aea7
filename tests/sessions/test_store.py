"""A sessions directory: opening, reading beside a live shell, and the journals of dead shells."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from llmrepl.errors import DamagedError, SessionInUseError, UsageError
from llmrepl.sessions.merge import are_copies, merge
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.store import Store
from llmrepl.types import Usage

NOON = datetime(2025, 1, 1, 12, 0, 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, tmp_path, nullcontext)


def write(directory: Path, name: str, *asked: str, **more: Any) -> Path:
    """Write a session file as another program would."""
    turns = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"re: {text}"}]}
        for text in asked
    ]
    path = directory / f"{name}.json"
    path.write_text(json.dumps({"model": "offline/echo", "turns": turns, **more}))
    return path


def say(open_session: OpenSession, question: str) -> None:
    number = open_session.begin_turn(question, "2025-01-01T12:00:00.000000")
    open_session.complete(number, Completion(f"re: {question}", "stop", 12.5, Usage(1, 2), None))


def asked(path: Path) -> list[str]:
    return [turn.text_of("user") for turn in session_file.load(path.read_bytes()).turns]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_looking_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "old", "one", unknown=[1])
    before = files(tmp_path)
    store.read(path)
    store.find("old")
    store.latest()
    open_session = store.open(path, beside=False)
    open_session.close()
    assert files(tmp_path) == before


def test_going_on_with_another_programs_file_keeps_its_keys(store: Store, tmp_path: Path) -> None:
    theirs = {"x_theirs": {"deep": [1, None, "ü"]}, "meta": {"project": "web", "tags": ["a"]}}
    path = write(tmp_path, "theirs", "one", **theirs)
    open_session = store.open(path, beside=False)
    say(open_session, "two")
    open_session.close()
    data = json.loads(path.read_bytes())
    assert data["x_theirs"] == theirs["x_theirs"]
    assert data["meta"] == theirs["meta"]
    assert data["turns"][0] == {
        "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "re: one"}]
    }
    assert asked(path) == ["one", "two"]


def test_the_second_shell_at_a_terminal_goes_on_beside_the_first(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    first = store.open(path, beside=True)
    second, third = store.open(path, beside=True), store.open(path, beside=True)
    assert [second.name, third.name] == ["talk-2.json", "talk-3.json"]
    assert second.notes == [
        f"talk.json is open in another shell (pid {os.getpid()}); this one continues as talk-2.json"
    ]
    for open_session, text in ((second, "from two"), (first, "from one"), (third, "from three")):
        say(open_session, text)
        open_session.close()
    assert asked(path) == ["one", "from one"]
    assert asked(tmp_path / "talk-2.json") == ["one", "from two"]
    assert asked(tmp_path / "talk-3.json") == ["one", "from three"]
    assert store.read(tmp_path / "talk-2.json").meta == {"parent": {"session": "talk.json", "turn": 1}}


def test_a_script_gets_an_error_if_the_session_is_in_use(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    first = store.open(path, beside=False)
    with pytest.raises(SessionInUseError, match=r"talk\.json is open in another shell") as busy:
        store.open(path, beside=False)
    assert busy.value.code == 6
    first.close()
    store.open(path, beside=False).close()


def test_reading_beside_a_live_shell_shows_what_it_has(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    open_session.begin_turn("not answered yet", "2025-01-01T12:00:00.000000")
    session = store.read(path)
    assert [turn.text_of("user") for turn in session.turns] == ["one", "not answered yet"]
    assert asked(path) == ["one"]
    open_session.complete(2, Completion("done", "stop", 1.0, None, None))
    open_session.close()


def dies(open_session: OpenSession, directory: Path) -> None:
    """Release the lock as the kernel does, leaving the files unchanged."""
    left = files(directory)
    open_session.close()
    for path in directory.iterdir():
        path.unlink()
    for name, raw in left.items():
        (directory / name).write_bytes(raw)


def test_the_journal_of_a_dead_shell_is_recovered_and_reported(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    open_session.begin_turn("was it heard?", "2025-01-01T12:00:00.000000")
    dies(open_session, tmp_path)
    assert store.recover_journals() == [
        "the last prompt in talk.json got no reply; it is kept, and :retry asks it again"
    ]
    assert asked(path) == ["one", "was it heard?"]
    assert list(files(tmp_path)) == ["talk.json"]
    assert store.recover_journals() == []


def test_a_session_that_was_edited_after_its_shell_died_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    open_session.begin_turn("two", "2025-01-01T12:00:00.000000")
    dies(open_session, tmp_path)
    write(tmp_path, "talk", "edited")
    assert store.recover_journals() == [
        "a session was changed after its shell died; what that shell had is kept as talk-2.json"
    ]
    assert asked(path) == ["edited"]
    assert asked(tmp_path / "talk-2.json") == ["two"]


def test_a_new_session_whose_name_was_taken_after_its_shell_died_is_kept_without_the_turns_of_the_other(
    store: Store, tmp_path: Path
) -> None:
    open_session = store.new(Session.start("offline/echo", None, NOON), NOON, "talk")
    open_session.begin_turn("new", "2025-01-01T12:00:00.000000")
    dies(open_session, tmp_path)
    path = write(tmp_path, "talk", "from elsewhere", "and on")
    store.recover_journals()
    assert asked(path) == ["from elsewhere", "and on"]
    assert asked(tmp_path / "talk-2.json") == ["new"]
    kept = store.read(tmp_path / "talk-2.json")
    assert (kept.created_at, kept.title, kept.turns[0].parent_id) == ("2025-01-01T12:00:00.000000", "new", None)


def test_what_a_dead_shell_had_is_kept_if_its_file_was_removed(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one", "gone")
    session = session_file.load(path.read_bytes())
    open_session = store.open(path, beside=False)
    open_session.begin_turn("new words", "2025-01-01T12:00:00.000000", "offline/echo")
    dies(open_session, tmp_path)
    path.unlink()
    assert store.recover_journals() == [
        "talk.json was removed after its shell died. What that shell had is kept in a new talk.json."
    ]
    assert asked(path) == ["new words"]
    assert list(files(tmp_path)) == ["talk.json"]
    kept = store.read(path)
    assert (kept.model, kept.created_at, kept.meta) == ("offline/echo", "2025-01-01T12:00:00.000000", {})
    assert kept.usage_totals and kept.usage_totals.total_tokens == 0
    assert are_copies(kept, session) and are_copies(session, kept)
    assert [turn.text_of("user") for turn in merge(kept, session).turns] == ["one", "gone", "new words"]


def test_a_change_that_is_only_in_the_journal_of_a_removed_file_makes_no_session(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    open_session.session.set_meta("tags", ["a"])
    open_session.set_header(meta=open_session.session.meta)
    dies(open_session, tmp_path)
    path.unlink()
    assert store.recover_journals() == []
    assert files(tmp_path) == {}


def test_a_tag_of_a_dead_shell_is_merged_into_a_file_that_came_from_elsewhere(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    open_session.session.set_meta("tags", ["a"])
    open_session.set_header(meta=open_session.session.meta)
    dies(open_session, tmp_path)
    write(tmp_path, "talk", "one", "from elsewhere", meta={"tags": ["b"]})
    store.recover_journals()
    assert (asked(path), store.read(path).tags) == (["one", "from elsewhere"], ["a", "b"])
    assert list(files(tmp_path)) == ["talk.json"]


def test_where_the_context_starts_is_merged_by_turn_not_by_number(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one", "two", "three")
    open_session = store.open(path, beside=False)
    open_session.session.reset_context()
    open_session.set_header(meta=open_session.session.meta)
    open_session.update_turn(2, undone=True)
    dies(open_session, tmp_path)
    elsewhere = session_file.load(write(tmp_path, "other", "one", "before").read_bytes())
    path.write_bytes(session_file.dump(merge(elsewhere, session_file.load(path.read_bytes()))))
    assert store.recover_journals()[0].endswith("What that shell had is merged into it.")
    merged = store.read(path)
    assert asked(path) == ["one", "before", "two", "three"]
    assert merged.context_start == 4
    assert [turn.undone for turn in merged.turns] == [None, None, True, None]


def test_what_a_dead_shell_had_is_merged_into_a_file_that_came_from_elsewhere(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, "talk", "one")
    open_session = store.open(path, beside=False)
    number = open_session.begin_turn("two", "2025-01-01T12:00:00.000000")
    open_session.begin_turn("three", "2025-01-01T12:00:01.000000")
    dies(open_session, tmp_path)
    write(tmp_path, "talk", "one", "from elsewhere")
    assert store.recover_journals() == [
        "talk.json was changed by another program after its shell died. What that shell had is merged into it."
    ]
    assert number == 2
    assert asked(path) == ["one", "from elsewhere", "two", "three"]
    assert list(files(tmp_path)) == ["talk.json"]


@pytest.mark.parametrize("damage", [b"{", b"\0" * 100, b'{"model": "m", "turns": [1]}'])
def test_a_session_that_was_damaged_after_its_shell_died_keeps_its_journal(
    store: Store, tmp_path: Path, damage: bytes
) -> None:
    path = write(tmp_path, "talk", "one")
    write(tmp_path, "other", "fine")
    open_session = store.open(path, beside=False)
    open_session.begin_turn("two", "2025-01-01T12:00:00.000000")
    dies(open_session, tmp_path)
    path.write_bytes(damage)
    before = files(tmp_path)
    [note] = store.recover_journals()
    assert note.startswith("what .talk.journal holds could not be written back yet: talk.json is damaged")
    assert files(tmp_path) == before
    with pytest.raises(DamagedError):
        store.open(path, beside=False)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "x.json is damaged (the file is empty); nothing was changed"),
        (b'{"a": 1}', "x.json is damaged ('model' is missing); nothing was changed"),
        (b'{"model": "m",\n "turns": [', "x.json is damaged (line 2, column 12: cut off); nothing was changed"),
    ],
)
def test_a_damaged_session_is_refused_and_untouched(store: Store, tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    for use in (store.read, lambda path: store.open(path, beside=True)):
        with pytest.raises(DamagedError) as refused:
            use(path)
        assert refused.value.message == what
        assert "llm sessions recover x.json" in refused.value.hint
    assert files(tmp_path) == {"x.json": data}


def test_what_is_no_file_is_refused_at_once(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "directory.json").mkdir()
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    (tmp_path / "link.json").symlink_to(write(tmp_path, "real", "one"))
    before = sorted(p.name for p in tmp_path.iterdir())
    for name in ("fifo", "directory", "loop", "link"):
        for use in (store.read, lambda path: store.open(path, beside=True)):
            with pytest.raises(DamagedError, match=f"{name}.json cannot be read"):
                use(store.find(name))
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_compressed_session_is_read_but_not_gone_on_with(store: Store, tmp_path: Path) -> None:
    (tmp_path / "old.json.gz").write_bytes(gzip.compress(write(tmp_path, "old", "one").read_bytes()))
    (tmp_path / "old.json").unlink()
    path = store.find("old")
    assert [turn.text_of("user") for turn in store.read(path).turns] == ["one"]
    with pytest.raises(UsageError, match=r"old\.json\.gz is compressed"):
        store.open(path, beside=True)
    assert list(files(tmp_path)) == ["old.json.gz"]


def test_the_latest_is_the_one_that_was_written_last(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No sessions in"):
        store.latest()
    for number, name in enumerate(("b", "c", "a")):
        os.utime(write(tmp_path, name, "one"), (number, number))
    assert store.latest().name == "a.json"


def test_a_new_session_never_takes_the_name_of_another_in_any_spelling(store: Store, tmp_path: Path) -> None:
    write(tmp_path, "Caf\u00e9", "one")
    for name in ("Caf\u00e9", "cafe\u0301", "CAF\u00c9.json"):
        with pytest.raises(UsageError, match=r"exists\. Choose another name"):
            store.new(Session.start("m", None, NOON), NOON, name)
