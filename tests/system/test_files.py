"""Bytes reach the disk whole or not at all, private, and never through a link."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmrepl.errors import SaveError, UsageError
from llmrepl.system import files


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_files_are_0600_and_directories_0700_under_any_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        files.private_mkdir(tmp_path / "a" / "b")
        files.write_atomic(tmp_path / "a" / "b" / "x.json", b"{}")
    assert [mode(tmp_path / place) for place in ("a", "a/b", "a/b/x.json")] == [0o700, 0o700, 0o600]


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)
    files.private_mkdir(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o755


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    def fails(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match=r".+") as failed:
        files.write_atomic(path, b"new" * 1000)
    monkeypatch.undo()
    assert failed.value.errno == code
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.json": b"old"}


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, bytes(data)[:7]))
    files.write_atomic(tmp_path / "x.json", b"0123456789" * 10)
    assert (tmp_path / "x.json").read_bytes() == b"0123456789" * 10


def test_a_check_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    def changed() -> None:
        raise files.ChangedError

    with pytest.raises(files.ChangedError):
        files.write_atomic(path, b"new", check=changed)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.json": b"old"}


def test_a_link_is_never_written_through_nor_read(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = tmp_path / "x.json"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        files.write_atomic(link, b"new")
    with pytest.raises(OSError, match="symbolic links"):
        files.read_regular(link, 100)
    assert victim.read_bytes() == b"precious"
    assert link.is_symlink()


def test_a_new_name_is_never_taken_from_another_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    with pytest.raises(FileExistsError):
        files.write_atomic(other, b"3", must_not_exist=True)
    with pytest.raises(FileExistsError):
        files.rename_new(one, other)
    assert (one.read_bytes(), other.read_bytes()) == (b"1", b"2")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_system_without_hard_links_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_a: object, **_k: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "taken").write_bytes(b"2")
    with pytest.raises(FileExistsError):
        files.rename_new(tmp_path / "one", tmp_path / "taken")
    files.rename_new(tmp_path / "one", tmp_path / "two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken", "two"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_directory_that_cannot_be_synced_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    sync = os.fsync

    def only_files(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(code, os.strerror(code))
        sync(fd)

    monkeypatch.setattr(os, "fsync", only_files)
    files.write_atomic(tmp_path / "x.json", b"whole")
    assert (tmp_path / "x.json").read_bytes() == b"whole"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 11)
    for name in ("fifo", "directory", "big", "missing"):
        with pytest.raises(OSError, match=r".+"):
            files.read_regular(tmp_path / name, 10)


def test_a_file_that_the_user_names_is_new_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "notes.md"
    files.write_new(target, b"one", force=False)
    with pytest.raises(UsageError, match=r"notes\.md exists; choose another file, or use --force"):
        files.write_new(target, b"two", force=False)
    assert target.read_bytes() == b"one"
    files.write_new(target, b"three", force=True)
    assert target.read_bytes() == b"three"
    files.write_new(Path("/dev/null"), b"gone", force=False)
    with pytest.raises(SaveError, match="is a directory"):
        files.write_new(tmp_path, b"x", force=True)
    with pytest.raises(SaveError, match="no such file or directory"):
        files.write_new(tmp_path / "no" / "where", b"x", force=False)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.md"]


def test_reasons_are_words() -> None:
    assert files.reason(OSError(errno.ENOSPC, "No space left on device")) == "no space left on device"
    assert files.reason(OSError(errno.EDQUOT, "Disk quota exceeded")) == "the disk quota is used up"
