"""A backup has the bytes of every session, copies only changes, and never loses a turn."""

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

from llmrepl.errors import SaveError, UsageError
from llmrepl.sessions.archive.archive import Archive
from llmrepl.sessions.archive.backup import Backup, backup
from llmrepl.sessions.storage.session_file import unpack
from llmrepl.sessions.storage.store import Store


def quiet(what: str, done: int, total: int) -> None:
    """Ignore progress."""


class Fixture:
    """A sessions directory and a backup directory."""

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
def home(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


def kept(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and mtime of every file in a directory."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(p.relative_to(directory)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_every_file_is_copied_with_its_date(home: Fixture) -> None:
    for name in ("one", "two", "three", "ünï cöde", "-rf"):
        os.utime(home.write(name), (10**9, 10**9))
    Archive(home.store).archive(home.runs / "one.json", compress=True)
    home.store.delete(home.runs / "two.json")
    (home.runs / "bad.json").write_bytes(b'{"cut')
    (home.runs / "bad.json.backup-2").write_bytes(b"\xff")
    done = home.backup()
    expected = [".trash/two.json", "archive/one.json.gz", "bad.json", "bad.json.backup-2", "three.json"]
    assert sorted(done.copied) == sorted([*expected, "ünï cöde.json", "-rf.json"])
    assert kept(home.target) == kept(home.runs)
    assert home.backup() == Backup([], same=7)


def test_a_backup_is_private(home: Fixture) -> None:
    home.write("one").chmod(0o644)
    home.store.delete(home.write("two"))
    before = os.umask(0)
    try:
        home.backup()
    finally:
        os.umask(before)
    modes = {str(p.relative_to(home.target)): p.stat().st_mode & 0o777 for p in home.target.rglob("*")}
    assert modes == {"one.json": 0o600, ".trash": 0o700, ".trash/two.json": 0o600}
    assert home.target.stat().st_mode & 0o777 == 0o700


def test_only_what_changed_is_written_again(home: Fixture) -> None:
    home.write("same")
    home.write("changed")
    home.backup()
    inode = (home.target / "same.json").stat().st_ino
    home.write("changed", turns=2)
    os.utime(home.runs / "same.json", (10**9, 10**9))  # another date, the same bytes
    assert home.backup() == Backup(["changed.json"], same=1)
    assert (home.target / "same.json").stat().st_ino == inode


def test_a_dry_run_says_the_same_and_writes_nothing(home: Fixture) -> None:
    home.write("one")
    dry = home.backup(dry_run=True)
    assert not home.target.exists()
    assert dry == home.backup() == Backup(["one.json"])
    home.write("two")
    before = kept(home.target)
    assert home.backup(dry_run=True) == Backup(["two.json"], same=1)
    assert kept(home.target) == before


@pytest.mark.parametrize("after", ['{"cut off', '{"turns": []}', "", '{"turns": [{"messages": "other"}, {}, {}, {}]}'])
def test_a_copy_with_other_turns_is_not_lost(home: Fixture, after: str) -> None:
    path = home.write("talk", turns=3)
    whole = path.read_bytes()
    home.backup()
    path.write_text(after)
    assert home.backup().copied == ["talk.json"]
    assert (home.target / "talk.json").read_text() == after
    assert (home.target / "older" / "talk.json").read_bytes() == whole


def test_a_session_that_was_deleted_stays_in_the_backup(home: Fixture) -> None:
    path = home.write("talk")
    home.backup()
    path.unlink()
    home.backup()
    assert (home.target / "talk.json").exists()


def test_what_a_live_shell_has_in_its_journal_is_copied_too(home: Fixture) -> None:
    home.write("talk")
    home.backup()
    open_one = home.store.open(home.runs / "talk.json", beside=False)
    assert home.backup() == Backup([], same=1)
    open_one.session.meta = {"title": "in the journal " * 30_000}
    open_one.set_header(meta=open_one.session.meta)
    for number in range(2):
        open_one.set_header(system=f"prompt {number}")
        home.backup()
        assert json.loads((home.target / "talk.json").read_bytes())["system"] == f"prompt {number}"
    open_one.close()


def test_what_is_no_file_is_named_and_hides_nothing(home: Fixture, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("precious")
    os.mkfifo(home.runs / "fifo.json")
    (home.runs / "directory.json").mkdir()
    (home.runs / "link.json").symlink_to(tmp_path / "secret")
    (home.runs / "archive").symlink_to("/etc")
    home.write("one")
    done = home.backup()
    assert done.copied == ["one.json"]
    assert [name for name, _ in done.failed] == ["directory.json", "fifo.json", "link.json"]
    assert list(kept(home.target)) == ["one.json"]


@pytest.mark.parametrize("place", ["runs", "runs/archive", "runs/.trash/deep", "link"])
def test_a_backup_goes_elsewhere(home: Fixture, tmp_path: Path, place: str) -> None:
    home.write("one")
    (tmp_path / "link").symlink_to("runs")
    before = kept(tmp_path)
    with pytest.raises(UsageError, match="is where the sessions are"):
        backup(home.store, tmp_path / place, quiet)
    assert kept(tmp_path) == before


def test_a_link_in_the_backup_is_not_written_through(home: Fixture, tmp_path: Path) -> None:
    home.write("one")
    home.target.mkdir()
    (tmp_path / "victim").write_text("precious")
    (home.target / "one.json").symlink_to(tmp_path / "victim")
    with pytest.raises(SaveError, match=r"the backup stopped at one\.json: it is a symbolic link"):
        home.backup()
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_full_disk_is_reported_and_the_next_backup_resumes(
    home: Fixture, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for number in range(5):
        home.write(f"s{number}", turns=2)
    home.backup()
    before = kept(home.target)
    for number in range(5):
        home.write(f"s{number}", turns=3)
    real, calls = getattr(os, call), iter(range(100))

    def filling(*arguments: object) -> object:
        if next(calls) >= 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    with monkeypatch.context() as full:
        full.setattr(os, call, filling)
        with pytest.raises(SaveError, match=r"the backup stopped at s\d\.json: no space left on device"):
            home.backup()
    now = kept(home.target)
    assert now.keys() == before.keys()
    assert all(now[name] in (before[name], kept(home.runs)[name]) for name in now)
    done = home.backup()
    assert kept(home.target) == kept(home.runs)
    assert 0 < len(done.copied) < 5


def test_a_copy_that_reads_back_otherwise_is_removed(home: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write("one")
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, b"\0" * len(data)))
    with pytest.raises(SaveError, match="what was written reads back otherwise"):
        home.backup()
    assert kept(home.target) == {}


change = st.tuples(st.sampled_from("ab"), st.sampled_from(("write", "damage", "delete", "archive")), st.integers(1, 3))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.lists(change, min_size=1, max_size=3), min_size=2, max_size=4))
def test_every_turn_that_was_ever_backed_up_is_there(rounds: list[list[tuple[str, str, int]]]) -> None:
    with TemporaryDirectory() as place:
        home, ever = Fixture(Path(place)), set[str]()
        for number, changes in enumerate(rounds):
            for name, what, turns in changes:
                path = home.runs / f"{name}.json"
                if what == "write":
                    home.write(name, turns, f"text {number}.")
                elif path.exists() and what == "damage":
                    path.write_text("{")
                elif path.exists() and what == "delete":
                    home.store.delete(path)
                elif path.exists():
                    Archive(home.store).archive(path, compress=True)
            home.backup()
            ever |= said(home.runs)
        copied = {name: data for name, (data, _) in kept(home.target).items()}
        assert {name: data for name, (data, _) in kept(home.runs).items()}.items() <= copied.items()
        assert ever <= said(home.target)


def said(directory: Path) -> set[str]:
    """Return the turns of all valid sessions below a directory."""
    every = (unpack(data) for data, _ in kept(directory).values())
    return {json.dumps(turn) for data in every if data != b"{" for turn in json.loads(data)["turns"]}
