"""An open session when the disk, another shell or another program interferes."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from llmrepl.errors import SaveError, UsageError
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.open_session import CHEAP_BYTES, OpenSession
from llmrepl.sessions.storage.store import Store
from llmrepl.types import Usage

NOON = datetime(2025, 1, 1, 12, 0, 0)


def store_in(directory: Path) -> Store:
    return Store(directory, directory, nullcontext)


def fresh(directory: Path, name: str | None = None) -> OpenSession:
    return store_in(directory).new(Session.start("offline/echo", None, NOON), NOON, name)


def say(open_session: OpenSession, question: str, text: str = "") -> int:
    """Add a complete turn."""
    number = open_session.begin_turn(question, "2025-01-01T12:00:00.000000")
    open_session.complete(number, Completion(text or question, "stop", 12.5, Usage(1, 2), 0.5))
    return number


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def questions(path: Path) -> list[str]:
    return [turn.text_of("user") for turn in session_file.load(path.read_bytes()).turns]


@contextmanager
def full_disk(code: int = errno.ENOSPC) -> Iterator[None]:
    """Make every write fail as on a full disk."""

    def fails(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", fails)
        yield


def test_a_session_without_a_turn_leaves_no_file(tmp_path: Path) -> None:
    open_session = fresh(tmp_path / "runs", "idea")
    open_session.set_header(system="You are brief.")
    open_session.save()
    open_session.close()
    assert names(tmp_path) == []


def test_after_a_turn_the_json_is_complete_and_the_journal_ends_with_the_shell(tmp_path: Path) -> None:
    open_session = fresh(tmp_path / "runs", "idea")
    say(open_session, "hello", "hello yourself")
    assert names(tmp_path / "runs") == [".idea.journal", "idea.json"]
    data = json.loads((tmp_path / "runs" / "idea.json").read_bytes())
    assert list(data) == ["model", "system", "created_at", "turns", "usage_totals", "meta"]
    assert data["created_at"] == "2025-01-01T12:00:00.000000"
    assert list(data["turns"][0])[:3] == ["messages", "usage", "latency_ms"]
    assert data["usage_totals"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    open_session.close()
    assert names(tmp_path / "runs") == ["idea.json"]
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "runs", tmp_path / "runs" / "idea.json")] == [
        0o700, 0o600
    ]  # fmt: skip


def test_automatic_names_of_one_second_never_collide(tmp_path: Path) -> None:
    keepers = [fresh(tmp_path) for _ in range(3)]
    for number, open_session in enumerate(keepers):
        say(open_session, f"shell {number}")
    for open_session in keepers:
        open_session.close()
    stem = "session_20250101_120000"
    assert names(tmp_path) == [f"{stem}-2.json", f"{stem}-3.json", f"{stem}.json"]
    assert not any(open_session.notes for open_session in keepers)


def test_a_clock_that_goes_back_neither_loses_nor_reorders_a_turn(tmp_path: Path) -> None:
    open_session = fresh(tmp_path, "clock")
    for year in (2999, 1970, 2025):
        number = open_session.begin_turn(f"in {year}", f"{year}-01-01T00:00:00.000000")
        open_session.complete(number, Completion("ok", "stop", 0.0, None, None))
    open_session.close()
    assert questions(tmp_path / "clock.json") == ["in 2999", "in 1970", "in 2025"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE])
def test_what_a_full_disk_refused_is_written_when_there_is_space(tmp_path: Path, code: int) -> None:
    open_session = fresh(tmp_path, "full")
    say(open_session, "one")
    before = (tmp_path / "full.json").read_bytes()
    with full_disk(code):
        with pytest.raises(SaveError, match=r"turn 2 is not saved: .*; it is kept in memory"):
            open_session.begin_turn("two", "2025-01-01T12:00:00.000000")
        with pytest.raises(SaveError, match="turn 2 is not saved"):
            open_session.complete(2, Completion("ok", "stop", 1.0, None, None))
        with pytest.raises(SaveError):
            open_session.save()
        assert open_session.unsaved
    assert (tmp_path / "full.json").read_bytes() == before
    say(open_session, "three")
    assert not open_session.unsaved
    open_session.close()
    assert questions(tmp_path / "full.json") == ["one", "two", "three"]
    assert names(tmp_path) == ["full.json"]


def test_a_directory_that_is_taken_away_is_made_again_with_everything(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    open_session = fresh(runs, "gone")
    say(open_session, "one")
    shutil.rmtree(runs)
    say(open_session, "two")
    open_session.close()
    assert questions(runs / "gone.json") == ["one", "two"]
    assert runs.stat().st_mode & 0o777 == 0o700
    assert open_session.notes == [f"{runs} was moved, removed or replaced. gone.json is saved in it again."]


def test_a_directory_replaced_by_a_file_is_reported_and_recreated(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    open_session = fresh(runs, "gone")
    say(open_session, "one")
    shutil.rmtree(runs)
    runs.write_text("in the way")
    with pytest.raises(SaveError):
        open_session.begin_turn("two", "2025-01-01T12:00:00.000000")
    runs.unlink()
    open_session.complete(2, Completion("ok", "stop", 1.0, None, None))
    open_session.close()
    assert questions(runs / "gone.json") == ["one", "two"]


@pytest.mark.parametrize("edit", ["appended", "replaced", "linked"])
def test_a_file_that_somebody_else_changed_is_left_to_them(tmp_path: Path, edit: str) -> None:
    open_session = fresh(tmp_path, "shared")
    say(open_session, "one")
    path = tmp_path / "shared.json"
    if edit == "appended":
        with path.open("a") as file:
            file.write("\n")
    elif edit == "replaced":
        (tmp_path / "new").write_bytes(path.read_bytes().replace(b"one", b"eno"))
        (tmp_path / "new").rename(path)
    else:
        path.rename(tmp_path.parent / "elsewhere.json")
        path.symlink_to("../elsewhere.json")
    theirs = path.read_bytes()
    say(open_session, "two")
    open_session.close()
    assert path.read_bytes() == theirs
    assert path.is_symlink() == (edit == "linked")
    assert questions(tmp_path / "shared-2.json") == ["one", "two"]
    assert open_session.notes == ["shared.json was changed by another program; this session goes on as shared-2.json"]
    assert names(tmp_path) == ["shared-2.json", "shared.json"]


@pytest.mark.parametrize("edit", ["copied back", "touched"])
def test_a_file_with_the_same_bytes_is_still_ours(tmp_path: Path, edit: str) -> None:
    open_session = fresh(tmp_path, "shared")
    say(open_session, "one")
    path = tmp_path / "shared.json"
    if edit == "copied back":
        (tmp_path / "copy").write_bytes(path.read_bytes())
        (tmp_path / "copy").rename(path)
    os.utime(path, (0, 0))
    say(open_session, "two")
    open_session.close()
    assert questions(path) == ["one", "two"]
    assert names(tmp_path) == ["shared.json"] and open_session.notes == []


@pytest.mark.parametrize("size", [10, 300 << 10])
def test_a_directory_that_was_moved_and_copied_back_goes_on(tmp_path: Path, size: int) -> None:
    runs, before = tmp_path / "runs", tmp_path / "before"
    runs.mkdir()
    open_session = fresh(runs, "s")
    for text in ("one" * size, "two"):
        say(open_session, text)
    runs.rename(before)
    shutil.copytree(before, runs)
    say(open_session, "three")
    open_session.close()
    assert questions(runs / "s.json") == ["one" * size, "two", "three"]
    assert names(runs) == ["s.json"]


def test_a_directory_of_somebody_else_in_its_place_keeps_what_it_holds(tmp_path: Path) -> None:
    """The directory has a session of the same name with the journal of a dead shell, the only copy of its turns."""
    runs, before, other = tmp_path / "runs", tmp_path / "before", tmp_path / "other"
    runs.mkdir()
    other.mkdir()
    theirs = fresh(other, "s")
    theirs.begin_turn("their words", "2025-01-01T12:00:00.000000")
    open_session = fresh(runs, "s")
    say(open_session, "one")
    runs.rename(before)
    shutil.copytree(other, runs)
    say(open_session, "two")
    open_session.close()
    Store(runs, runs, nullcontext).recover_journals()
    assert (questions(runs / "s.json"), questions(runs / "s-2.json")) == (["their words"], ["one", "two"])


def test_a_file_that_was_deleted_is_written_again(tmp_path: Path) -> None:
    open_session = fresh(tmp_path, "deleted")
    say(open_session, "one")
    (tmp_path / "deleted.json").unlink()
    say(open_session, "two")
    open_session.close()
    assert questions(tmp_path / "deleted.json") == ["one", "two"]


def test_a_large_session_is_not_rewritten_at_every_turn_and_its_journal_is_bounded(tmp_path: Path) -> None:
    open_session = fresh(tmp_path, "large")
    say(open_session, "x" * CHEAP_BYTES)
    path = tmp_path / "large.json"
    inode, rewrites, most = path.stat().st_ino, 0, 0
    for number in range(200):
        say(open_session, f"{number:01000}")
        most = max(most, (tmp_path / ".large.journal").stat().st_size)
        rewrites += path.stat().st_ino != inode
        inode = path.stat().st_ino
    size = path.stat().st_size
    assert 3 <= rewrites <= 12
    assert most <= size // 8 + 10_000
    open_session.close()
    assert len(questions(path)) == 201


def test_renaming_moves_the_file_and_never_onto_another(tmp_path: Path) -> None:
    open_session = fresh(tmp_path)
    say(open_session, "one")
    (tmp_path / "taken.json").write_text("theirs")
    with pytest.raises(UsageError, match=r"A session taken\.json exists"):
        open_session.rename(tmp_path / "taken.json")
    open_session.rename(tmp_path / "mine.json")
    say(open_session, "two")
    open_session.close()
    assert names(tmp_path) == ["mine.json", "taken.json"]
    assert (tmp_path / "taken.json").read_text() == "theirs"
    assert questions(tmp_path / "mine.json") == ["one", "two"]


def test_a_copy_leaves_the_session_as_it_was_under_its_old_name(tmp_path: Path) -> None:
    open_session = fresh(tmp_path, "old")
    say(open_session, "one")
    open_session.copy_to(tmp_path / "new.json")
    say(open_session, "two")
    open_session.close()
    assert names(tmp_path) == ["new.json", "old.json"]
    assert questions(tmp_path / "old.json") == ["one"]
    assert questions(tmp_path / "new.json") == ["one", "two"]


def test_a_name_that_another_shell_is_about_to_use_is_taken(tmp_path: Path) -> None:
    """The other shell waits for its first reply, so no file of that name exists yet."""
    other, mine = fresh(tmp_path, "plan"), fresh(tmp_path, "draft")
    other.begin_turn("theirs", "2025-01-01T12:00:00.000000")
    say(mine, "one")
    with pytest.raises(UsageError, match=r"A session plan\.json exists"):
        mine.copy_to(tmp_path / "plan.json")
    say(mine, "two")
    mine.close()
    other.complete(1, Completion("ok", "stop", 1.0, None, None))
    other.close()
    assert questions(tmp_path / "draft.json") == ["one", "two"]
    assert questions(tmp_path / "plan.json") == ["theirs"]


def test_of_two_new_sessions_with_one_name_the_later_goes_on_beside_the_earlier(tmp_path: Path) -> None:
    other, mine = fresh(tmp_path, "plan"), fresh(tmp_path, "plan")
    say(other, "theirs")
    say(mine, "mine")
    assert mine.notes == ["plan.json was taken meanwhile; this session is saved as plan-2.json"]
    mine.close()
    other.close()
    assert questions(tmp_path / "plan.json") == ["theirs"]
    assert questions(tmp_path / "plan-2.json") == ["mine"]


def test_two_shells_whose_directory_is_taken_away_lose_nothing(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    mine = fresh(runs, "plan")
    say(mine, "mine")
    shutil.rmtree(runs)
    other = fresh(runs, "plan")
    say(other, "theirs")
    say(mine, "more")
    mine.close()
    other.close()
    assert questions(runs / "plan.json") == ["theirs"]
    assert questions(runs / "plan-2.json") == ["mine", "more"]


def test_an_unsaved_session_touches_nothing_until_it_is_saved(tmp_path: Path) -> None:
    open_session = OpenSession(Session.start("offline/echo", None, NOON), None, nullcontext)
    say(open_session, "one")
    assert (names(tmp_path), open_session.name) == ([], "(not kept)")
    open_session.copy_to(tmp_path / "kept.json")
    open_session.close()
    assert questions(tmp_path / "kept.json") == ["one"]


def test_temporary_files_are_never_left(tmp_path: Path) -> None:
    open_session = fresh(tmp_path, "tidy")
    for number in range(5):
        say(open_session, str(number))
    open_session.close()
    assert names(tmp_path) == ["tidy.json"]
