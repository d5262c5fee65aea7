"""A backup has the bytes of everything that is kept, copies only what changed, and never loses a turn it once had."""

from __future__ import annotations

import errno
import json
import os
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import NotSaved, WrongUse
from llmrepl.sessions.archive.archive import Archive
from llmrepl.sessions.archive.backup import Backup, backup
from llmrepl.sessions.storage.session_file import unpack
from llmrepl.sessions.storage.store import Store


def quiet(what: str, done: int, total: int) -> None:
    """Nobody is told how far it is."""


class Keeper:
    """A sessions directory, and another one for its backup."""

    def __init__(self, place: Path) -> None:
        self.runs, self.target = place / "runs", place / "backup"
        self.runs.mkdir(exist_ok=True)
        self.store = Store(self.runs, place, nullcontext)

    def write(self, name: str, turns: int = 1, text: str = "hello") -> Path:
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "well"}]
        path = self.runs / f"{name}.json"
        path.write_text(json.dumps({"model": "offline/echo", "turns": [{"messages": messages}] * turns}))
        return path

    def backup(self, *, dry_run: bool = False) -> Backup:
        return backup(self.store, self.target, quiet, dry_run=dry_run)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def kept(directory: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes and the mtime of every file in a directory."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(p.relative_to(directory)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_everything_that_is_kept_is_copied_with_its_date(keeper: Keeper) -> None:
    for name in ("one", "two", "three", "ünï cöde", "-rf"):
        os.utime(keeper.write(name), (10**9, 10**9))
    Archive(keeper.store).archive(keeper.runs / "one.json", compress=True)
    keeper.store.delete(keeper.runs / "two.json")
    (keeper.runs / "bad.json").write_bytes(b'{"cut')
    (keeper.runs / "bad.json.backup-2").write_bytes(b"\xff")
    done = keeper.backup()
    expected = [".trash/two.json", "archive/one.json.gz", "bad.json", "bad.json.backup-2", "three.json"]
    assert sorted(done.copied) == sorted([*expected, "ünï cöde.json", "-rf.json"])
    assert kept(keeper.target) == kept(keeper.runs)
    assert keeper.backup() == Backup([], same=7)


def test_a_backup_is_private(keeper: Keeper) -> None:
    keeper.write("one").chmod(0o644)
    keeper.store.delete(keeper.write("two"))
    before = os.umask(0)
    try:
        keeper.backup()
    finally:
        os.umask(before)
    modes = {str(p.relative_to(keeper.target)): p.stat().st_mode & 0o777 for p in keeper.target.rglob("*")}
    assert modes == {"one.json": 0o600, ".trash": 0o700, ".trash/two.json": 0o600}
    assert keeper.target.stat().st_mode & 0o777 == 0o700


def test_only_what_changed_is_written_again(keeper: Keeper) -> None:
    keeper.write("same")
    keeper.write("changed")
    keeper.backup()
    inode = (keeper.target / "same.json").stat().st_ino
    keeper.write("changed", turns=2)
    os.utime(keeper.runs / "same.json", (10**9, 10**9))  # another date, the same bytes
    assert keeper.backup() == Backup(["changed.json"], same=1)
    assert (keeper.target / "same.json").stat().st_ino == inode


def test_a_dry_run_says_the_same_and_writes_nothing(keeper: Keeper) -> None:
    keeper.write("one")
    dry = keeper.backup(dry_run=True)
    assert not keeper.target.exists()
    assert dry == keeper.backup() == Backup(["one.json"])
    keeper.write("two")
    before = kept(keeper.target)
    assert keeper.backup(dry_run=True) == Backup(["two.json"], same=1)
    assert kept(keeper.target) == before


@pytest.mark.parametrize("after", ['{"cut off', '{"turns": []}', "", '{"turns": [{"messages": "other"}, {}, {}, {}]}'])
def test_a_copy_with_other_turns_is_not_lost(keeper: Keeper, after: str) -> None:
    path = keeper.write("talk", turns=3)
    whole = path.read_bytes()
    keeper.backup()
    path.write_text(after)
    assert keeper.backup().copied == ["talk.json"]
    assert (keeper.target / "talk.json").read_text() == after
    assert (keeper.target / "older" / "talk.json").read_bytes() == whole


def test_a_session_that_was_deleted_stays_in_the_backup(keeper: Keeper) -> None:
    path = keeper.write("talk")
    keeper.backup()
    path.unlink()
    keeper.backup()
    assert (keeper.target / "talk.json").exists()


def test_what_a_live_shell_has_in_its_journal_is_copied_too(keeper: Keeper) -> None:
    keeper.write("talk")
    keeper.backup()
    open_one = keeper.store.open(keeper.runs / "talk.json", beside=False)
    assert keeper.backup() == Backup([], same=1)
    open_one.session.meta = {"title": "in the journal " * 30_000}
    open_one.head(meta=open_one.session.meta)
    for number in range(2):
        open_one.head(system=f"prompt {number}")
        keeper.backup()
        assert json.loads((keeper.target / "talk.json").read_bytes())["system"] == f"prompt {number}"
    open_one.release()


def test_what_is_no_file_is_named_and_hides_nothing(keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("precious")
    os.mkfifo(keeper.runs / "fifo.json")
    (keeper.runs / "directory.json").mkdir()
    (keeper.runs / "link.json").symlink_to(tmp_path / "secret")
    (keeper.runs / "archive").symlink_to("/etc")
    keeper.write("one")
    done = keeper.backup()
    assert done.copied == ["one.json"]
    assert [name for name, _ in done.failed] == ["directory.json", "fifo.json", "link.json"]
    assert list(kept(keeper.target)) == ["one.json"]


@pytest.mark.parametrize("place", ["runs", "runs/archive", "runs/.trash/deep", "link"])
def test_a_backup_goes_elsewhere(keeper: Keeper, tmp_path: Path, place: str) -> None:
    keeper.write("one")
    (tmp_path / "link").symlink_to("runs")
    before = kept(tmp_path)
    with pytest.raises(WrongUse, match="is where the sessions are"):
        backup(keeper.store, tmp_path / place, quiet)
    assert kept(tmp_path) == before


def test_a_link_in_the_backup_is_not_written_through(keeper: Keeper, tmp_path: Path) -> None:
    keeper.write("one")
    keeper.target.mkdir()
    (tmp_path / "victim").write_text("precious")
    (keeper.target / "one.json").symlink_to(tmp_path / "victim")
    with pytest.raises(NotSaved, match=r"the backup stopped at one\.json: it is a symbolic link"):
        keeper.backup()
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_disk_that_fills_is_said_and_the_next_backup_goes_on(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for number in range(5):
        keeper.write(f"s{number}", turns=2)
    keeper.backup()
    before = kept(keeper.target)
    for number in range(5):
        keeper.write(f"s{number}", turns=3)
    real, calls = getattr(os, call), iter(range(100))

    def filling(*arguments: object) -> object:
        if next(calls) >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with monkeypatch.context() as full:
        full.setattr(os, call, filling)
        with pytest.raises(NotSaved, match=r"the backup stopped at s\d\.json: no space left on device"):
            keeper.backup()
    now = kept(keeper.target)
    assert now.keys() == before.keys()
    assert all(now[name] in (before[name], kept(keeper.runs)[name]) for name in now)
    done = keeper.backup()
    assert kept(keeper.target) == kept(keeper.runs)
    assert 0 < len(done.copied) < 5


def test_a_copy_that_reads_back_otherwise_is_removed(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.write("one")
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, b"\0" * len(data)))
    with pytest.raises(NotSaved, match="what was written reads back otherwise"):
        keeper.backup()
    assert kept(keeper.target) == {}


change = st.tuples(st.sampled_from("ab"), st.sampled_from(("write", "damage", "delete", "archive")), st.integers(1, 3))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.lists(change, min_size=1, max_size=3), min_size=2, max_size=4))
def test_every_turn_that_was_ever_backed_up_is_there(rounds: list[list[tuple[str, str, int]]]) -> None:
    with TemporaryDirectory() as place:
        keeper, ever = Keeper(Path(place)), set[str]()
        for number, changes in enumerate(rounds):
            for name, what, turns in changes:
                path = keeper.runs / f"{name}.json"
                if what == "write":
                    keeper.write(name, turns, f"text {number}.")
                elif path.exists() and what == "damage":
                    path.write_text("{")
                elif path.exists() and what == "delete":
                    keeper.store.delete(path)
                elif path.exists():
                    Archive(keeper.store).archive(path, compress=True)
            keeper.backup()
            ever |= said(keeper.runs)
        assert kept(keeper.runs).items() <= kept(keeper.target).items()
        assert ever <= said(keeper.target)


def said(directory: Path) -> set[str]:
    """The turns of all sound sessions below a directory."""
    every = (unpack(data) for data, _ in kept(directory).values())
    return {json.dumps(turn) for data in every if data != b"{" for turn in json.loads(data)["turns"]}
