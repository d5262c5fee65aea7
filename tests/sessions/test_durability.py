"""What is acknowledged was synced: the calls to the file of a journal, in order."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from llmrepl.errors import SaveError, UsageError
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.journal import Journal, journal_path
from llmrepl.sessions.storage.journal_records import replay
from llmrepl.sessions.storage.locking import claim_free
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.system.locked_file import LockedFile
from llmrepl.types import Attachment, Usage

NOW = "2026-01-01T12:00:00.000000"
LARGE = "x" * (300 << 10)


class RecordingFile(LockedFile):
    """A file that notes each append and sync, and fails once with `error` if that is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[str] = []
        self.error: BaseException | None = None

    def append(self, data: bytes) -> None:
        error, self.error = self.error, None
        if error:
            raise error
        self.calls.append("append")
        super().append(data)

    def sync(self) -> None:
        self.calls.append("sync")
        super().sync()


def recording(path: Path) -> RecordingFile:
    """Open a file whose calls are noted."""
    file = RecordingFile.open(path)
    assert isinstance(file, RecordingFile)
    return file


def opened(directory: Path) -> tuple[OpenSession, RecordingFile, Journal]:
    """A session with a journal that is so large that its JSON is not replaced at every turn."""
    path = directory / "talk.json"
    file = recording(journal_path(path))
    journal = Journal(file)
    session = Session(model="offline/echo", created_at=NOW, turns=[], meta={"bulk": LARGE})
    open_session = OpenSession(session, path, nullcontext, journal=journal)
    number = open_session.begin_turn("first", NOW)
    open_session.complete(number, Completion("answer", "stop", 1.0, Usage(1, 1), 0.0))
    file.calls.clear()
    return open_session, file, journal


def test_a_durable_record_is_synced_and_another_is_not(tmp_path: Path) -> None:
    file = recording(tmp_path / ".talk.journal")
    journal = Journal(file)
    journal.write({"head": {"model": "a/b"}}, durable=False)
    assert file.calls == ["append"]
    journal.write({"head": {"model": "a/b"}})
    assert file.calls == ["append", "append", "sync"]
    journal.append_text("chunk")
    journal.flush()
    assert file.calls[3:] == ["append", "sync"]
    journal.flush()
    assert file.calls[5:] == []
    journal.remove()


def test_a_prompt_and_a_reply_are_synced_before_they_are_acknowledged(tmp_path: Path) -> None:
    open_session, file, _ = opened(tmp_path)
    number = open_session.begin_turn("second", NOW)
    assert file.calls == ["append", "sync"]
    open_session.complete(number, Completion("answer", "stop", 1.0, Usage(1, 1), 0.0))
    assert file.calls == ["append", "sync", "append", "sync"]
    open_session.update_turn(number, undone=True)
    open_session.set_header(system="be brief")
    assert file.calls[4:] == ["append", "sync"] * 2
    open_session.close()


def test_the_turns_that_a_prompt_supersedes_are_on_disk_with_it(tmp_path: Path) -> None:
    open_session, file, journal = opened(tmp_path)
    open_session.begin_turn("again", NOW, "a/b", images=[Attachment("a.png", "image/png", b"png")], undoes=(1,))
    assert file.calls == ["append", "append", "sync"]
    before = {"model": "offline/echo", "turns": [{"messages": []}]}
    after = replay(before, journal.records()[0])
    assert after is not None
    first, second = after["turns"]
    assert (first["undone"], second.get("undone")) == (True, None)
    assert first["id"] == open_session.session.turns[0].id
    assert first["messages"][0]["content"] == "first"
    assert (second["created_at"], second["answered_by"]) == (NOW, "a/b")
    assert second["messages"][0]["attachments"][0]["name"] == "a.png"
    assert open_session.session.turns[0].undone is True
    open_session.close()


def test_the_first_prompt_gives_the_title_unless_there_is_one(tmp_path: Path) -> None:
    open_session, _, _ = opened(tmp_path)
    assert open_session.session.title == "first"
    open_session.close()
    mine = Session(model="offline/echo", created_at=NOW, turns=[], meta={"title": "Mine"})
    other = OpenSession(mine, tmp_path / "other.json", nullcontext)
    other.begin_turn("a question", NOW)
    assert other.session.title == "Mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
def test_a_signal_in_the_middle_of_a_write_leaves_the_journal(tmp_path: Path, error: BaseException) -> None:
    open_session, file, _ = opened(tmp_path)
    file.error = error
    with pytest.raises(type(error)):
        open_session.begin_turn("second", NOW)
    assert open_session.unsaved and not open_session.is_saved and not open_session.is_recorded
    open_session.save()
    assert open_session.is_saved and "second" in (tmp_path / "talk.json").read_text()
    open_session.close()
    assert [path.name for path in tmp_path.iterdir()] == ["talk.json"]


def test_text_that_could_not_be_written_stays_at_the_head_of_the_queue(tmp_path: Path) -> None:
    file = recording(tmp_path / ".talk.journal")
    journal = Journal(file)
    file.error = OSError(28, "No space left on device")
    journal.append_text("Delete the file ONLY IF ")
    with pytest.raises(OSError, match="No space"):
        journal.flush()
    journal.append_text("you are sure.")
    journal.flush()
    records, damaged = journal.records()
    assert ("".join(record["text"] for record in records), damaged) == ("Delete the file ONLY IF you are sure.", 0)
    journal.remove()


def test_the_flusher_tries_again_what_it_could_not_write(tmp_path: Path) -> None:
    file = recording(tmp_path / ".talk.journal")
    journal = Journal(file)
    file.error = OSError(28, "No space left on device")
    journal.append_text("one ")
    until = time.monotonic() + 20
    while file.error and time.monotonic() < until:
        time.sleep(0.02)
    journal.append_text("two")
    while not file.calls and time.monotonic() < until:
        time.sleep(0.02)
    assert "".join(record["text"] for record in journal.records()[0]) == "one two"
    journal.remove()


def test_a_journal_stays_while_the_json_is_behind(tmp_path: Path) -> None:
    open_session, _, _ = opened(tmp_path)
    open_session.begin_turn("second", NOW)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10, before[1]))
    try:
        with pytest.raises(SaveError):
            open_session.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert b"second" in journal_path(tmp_path / "talk.json").read_bytes()
    open_session.close()
    assert "second" in (tmp_path / "talk.json").read_text()
    assert not journal_path(tmp_path / "talk.json").exists()


def test_a_name_that_was_taken_while_its_lock_was_awaited_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    other = LockedFile.open(journal_path(path))

    def finish() -> None:
        time.sleep(0.3)
        path.write_text("{}")
        other.remove()

    thread = threading.Thread(target=finish)
    thread.start()
    with pytest.raises(UsageError, match="exists"):
        claim_free(path)
    thread.join()
    assert path.read_text() == "{}" and not journal_path(path).exists()
