"""Archived sessions are restored byte for byte; nothing is overwritten or moved under an open shell."""

from __future__ import annotations

import errno
import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from llmrepl.errors import DamagedError, SaveError, SessionInUseError, UsageError
from llmrepl.sessions.archive.archive import Archive
from llmrepl.sessions.storage.store import Store
from tests.cli_runner import CliRunner

NOON = datetime(2025, 1, 1, 12, 0, 0)
OLD = 1_600_000_000_123_456_789


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, tmp_path, nullcontext)


@pytest.fixture
def archive(store: Store) -> Archive:
    return Archive(store)


def write(directory: Path, name: str, created: str | None = "2020-01-01T00:00:00.000000") -> bytes:
    """Write a session as another program did, years ago."""
    turns = [{"messages": [{"role": "user", "content": f"in {name}\u2028é"}]}]
    data = json.dumps({"turns": turns, "model": "offline/echo", "created_at": created, "own": [1.50]}).encode()
    path = directory / f"{name}.json"
    path.write_bytes(data)
    os.utime(path, ns=(OLD, OLD))
    return data


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "put_away",
    [
        lambda store, archive, path: store.delete(path),
        lambda store, archive, path: archive.archive(path, compress=False),
        lambda store, archive, path: archive.archive(path, compress=True),
    ],
)
def test_what_is_put_away_comes_back_byte_for_byte_with_its_date(
    store: Store, archive: Archive, tmp_path: Path, put_away: Callable[[Store, Archive, Path], Path]
) -> None:
    data = write(tmp_path, "talk")
    place = put_away(store, archive, tmp_path / "talk.json")
    assert [place.relative_to(tmp_path).as_posix()] == list(files(tmp_path))
    assert place.stat().st_mtime_ns == OLD
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert archive.restore(archive.find("talk")) == tmp_path / "talk.json"
    assert files(tmp_path) == {"talk.json": data}
    assert (tmp_path / "talk.json").stat().st_mtime_ns == OLD


def test_a_session_is_archived_by_its_date_or_that_of_its_file(archive: Archive, store: Store, tmp_path: Path) -> None:
    write(tmp_path, "old")
    write(tmp_path, "new", "2025-01-01T11:00:00.000000")
    write(tmp_path, "undated", None)
    write(tmp_path, "open")
    (tmp_path / "damaged.json").write_text("{")
    open_session = store.open(tmp_path / "open.json", beside=False)
    assert [path.stem for path in archive.older_than("1d", NOON)] == ["old", "undated"]
    open_session.close()
    assert [path.stem for path in archive.older_than("1d", NOON)] == ["old", "open", "undated"]
    with pytest.raises(UsageError, match="is not a date"):
        archive.older_than("soon", NOON)


@pytest.mark.parametrize("compress", [False, True])
def test_a_name_that_is_taken_where_it_goes_gets_a_number(archive: Archive, tmp_path: Path, compress: bool) -> None:
    one = write(tmp_path, "talk")
    archive.archive(tmp_path / "talk.json", compress=compress)
    two = write(tmp_path, "talk", "2021-01-01T00:00:00.000000")
    archive.archive(tmp_path / "talk.json", compress=compress)
    kept = files(tmp_path).values()
    assert sorted(map(gzip.decompress, kept) if compress else kept) == [one, two]
    archive.restore(archive.find("talk"))
    assert (tmp_path / "talk.json").read_bytes() == one
    archive.restore(archive.find("talk.2"))
    assert (tmp_path / "talk.2.json").read_bytes() == two


@pytest.mark.parametrize("taken", ["talk", "TALK"])
def test_a_session_that_has_the_name_is_never_overwritten(archive: Archive, tmp_path: Path, taken: str) -> None:
    write(tmp_path, "talk")
    archive.archive(tmp_path / "talk.json", compress=True)
    write(tmp_path, taken, None)
    before = files(tmp_path)
    for attempt in (archive.restore_path, archive.restore):
        with pytest.raises(UsageError, match=f"A session {taken}.json exists"):
            attempt(archive.find("talk"))
    assert files(tmp_path) == before


def test_one_name_for_several_files_lists_them_and_a_path_is_one_of_them(
    archive: Archive, store: Store, tmp_path: Path
) -> None:
    write(tmp_path, "talk")
    archive.archive(tmp_path / "talk.json", compress=True)
    deleted = write(tmp_path, "talk", None)
    store.delete(tmp_path / "talk.json")
    with pytest.raises(UsageError, match=r"may mean \.trash/talk\.json, archive/talk\.json\.gz"):
        archive.find("ta")
    archive.restore(archive.find(".trash/talk.json"))
    assert (tmp_path / "talk.json").read_bytes() == deleted
    for name in ("", "nowhere", "../talk", "/etc/passwd"):
        with pytest.raises(UsageError):
            archive.find(name)


def test_a_compressed_session_becomes_a_session_where_it_is(archive: Archive, tmp_path: Path) -> None:
    data = write(tmp_path, "talk")
    (tmp_path / "talk.json.gz").write_bytes(gzip.compress(data))
    (tmp_path / "talk.json").unlink()
    archive.restore(archive.find("talk"))
    assert files(tmp_path) == {"talk.json": data}


def test_a_damaged_archive_is_refused_and_stays(archive: Archive, tmp_path: Path) -> None:
    write(tmp_path, "talk")
    packed = archive.archive(tmp_path / "talk.json", compress=True)
    packed.write_bytes(packed.read_bytes()[:-9])
    before = files(tmp_path)
    with pytest.raises(DamagedError, match="the gzip data is cut off"):
        archive.restore(packed)
    assert files(tmp_path) == before


def test_a_session_that_a_shell_has_open_is_not_moved(archive: Archive, store: Store, tmp_path: Path) -> None:
    write(tmp_path, "talk")
    open_session = store.open(tmp_path / "talk.json", beside=False)
    before = files(tmp_path)
    for move in (store.delete, store.trash_existing, lambda path: archive.archive(path, compress=True)):
        with pytest.raises(SessionInUseError):
            move(tmp_path / "talk.json")
    assert files(tmp_path) == before
    open_session.close()


def test_what_a_dead_shell_left_moves_along(store: Store, archive: Archive, tmp_path: Path) -> None:
    write(tmp_path, "talk")
    _die(store, tmp_path)
    store.delete(tmp_path / "talk.json")
    archive.restore(archive.find("talk"))
    assert store.read(tmp_path / "talk.json").turns[-1].text_of("user") == "the last words"


def test_a_damaged_session_stays_while_its_journal_holds_more(store: Store, archive: Archive, tmp_path: Path) -> None:
    write(tmp_path, "talk")
    _die(store, tmp_path)
    (tmp_path / "talk.json").write_bytes(b'{"model": ')
    before = files(tmp_path)
    for move in (store.delete, lambda path: archive.archive(path, compress=False)):
        with pytest.raises(DamagedError):
            move(tmp_path / "talk.json")
    assert files(tmp_path) == before


def _die(store: Store, directory: Path) -> None:
    """Leave the files of a shell killed during a reply."""
    open_session = store.open(directory / "talk.json", beside=False)
    open_session.begin_turn("the last words", "2025-01-01T12:00:00.000000")
    journal = (directory / ".talk.journal").read_bytes()
    open_session.abandon_turn(2)
    open_session.close()
    write(directory, "talk")
    (directory / ".talk.journal").write_bytes(journal)


def test_a_damaged_session_can_be_deleted(store: Store, tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_bytes(b"{")
    store.delete(tmp_path / "talk.json")
    assert files(tmp_path) == {".trash/talk.json": b"{"}


def test_only_session_files_are_moved(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "else"
    target.mkdir()
    write(target, "talk")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(target / "talk.json")
    before = files(tmp_path)
    for name in ("notes.txt", "folder.json", "link.json", "else"):
        with pytest.raises(UsageError, match="is not a session file"):
            store.delete(tmp_path / name)
    assert files(tmp_path) == before


@pytest.mark.parametrize("folder", [".trash", "archive"])
def test_nothing_is_moved_through_a_link(store: Store, archive: Archive, tmp_path: Path, folder: str) -> None:
    data = write(tmp_path, "talk")
    for where in ("elsewhere", "."):
        (tmp_path / folder).symlink_to(where)
        with pytest.raises(SaveError, match="is a symbolic link"):
            store.delete(tmp_path / "talk.json") if folder == ".trash" else archive.archive(
                tmp_path / "talk.json", compress=True
            )
        (tmp_path / folder).unlink()
    assert files(tmp_path) == {"talk.json": data}


@pytest.mark.parametrize("compress", [False, True])
def test_a_move_that_was_cut_short_is_finished_by_the_next(archive: Archive, tmp_path: Path, compress: bool) -> None:
    data = write(tmp_path, "talk")
    (tmp_path / "archive").mkdir()
    if compress:
        (tmp_path / "archive" / "talk.json.gz").write_bytes(gzip.compress(data))
    else:
        os.link(tmp_path / "talk.json", tmp_path / "archive" / "talk.json")
    archive.archive(tmp_path / "talk.json", compress=compress)
    assert len(files(tmp_path)) == 1
    archive.restore(archive.find("talk"))
    assert files(tmp_path) == {"talk.json": data}


@pytest.mark.parametrize(
    "words", ["archive", "archive --compress", "delete", "restore", "restore compressed", "recover"]
)
def test_whichever_sync_fails_the_words_stand_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A rename or deletion before a failed fsync may have happened, so the other copy must stay."""
    sync = os.fsync
    for number in range(12):
        place = tmp_path / str(number)
        place.mkdir()
        cli = CliRunner.at(place)
        cli.runs.mkdir()
        data = write(cli.runs, "talk")
        if words == "recover":
            data = data[:-20]
            (cli.runs / "talk.json").write_bytes(data)
        if words.startswith("restore"):
            compress = ["--compress"] if "compressed" in words else []
            assert cli.llm("sessions", "archive", "--older-than", "0d", *compress).code == 0
        calls = iter(range(1000))

        def fails(fd: int, calls: Iterator[int] = calls, number: int = number) -> None:
            if next(calls) >= number:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            sync(fd)

        command = {
            "archive": ("archive", "--older-than", "0d"),
            "archive --compress": ("archive", "--older-than", "0d", "--compress"),
        }.get(words, (words.split()[0], "talk"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            cli.llm("sessions", *command)
        found = [path.read_bytes() for path in cli.runs.rglob("*") if path.is_file()]
        assert data in [gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw for raw in found], number
