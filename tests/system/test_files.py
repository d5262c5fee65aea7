"""Files are replaced atomically, private, and never through a link."""

from __future__ import annotations

import errno
import fcntl
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
        files.create(tmp_path / "a" / "b" / "x.json", b"{}")
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
        files.replace(path, b"new" * 1000, is_known=lambda _: True)
    monkeypatch.undo()
    assert failed.value.errno == code
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.json": b"old"}


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, bytes(data)[:7]))
    files.create(tmp_path / "x.json", b"0123456789" * 10)
    assert (tmp_path / "x.json").read_bytes() == b"0123456789" * 10


def test_a_file_of_unknown_contents_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    with pytest.raises(files.ChangedError):
        files.replace(path, b"new", is_known=lambda _: False)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.json": b"old"}


def test_a_link_is_never_written_through_nor_read(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = tmp_path / "x.json"
    link.symlink_to(victim)
    with pytest.raises(files.ChangedError):
        files.replace(link, b"new", is_known=lambda _: True)
    with pytest.raises(OSError, match="symbolic link"):
        files.put(link, b"new", names=files.numbered(link, ".backup"))
    with pytest.raises(FileExistsError):
        files.create(link, b"new")
    with pytest.raises(OSError, match="symbolic links"):
        files.read_regular(link, 100)
    assert victim.read_bytes() == b"precious"
    assert link.is_symlink()


def test_a_new_name_is_never_taken_from_another_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    with pytest.raises(FileExistsError):
        files.create(other, b"3")
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
def test_a_directory_that_cannot_be_synced_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    sync = os.fsync

    def only_files(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(code, os.strerror(code))
        sync(fd)

    monkeypatch.setattr(os, "fsync", only_files)
    files.create(tmp_path / "x.json", b"whole")
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
    with pytest.raises(UsageError, match=r"notes\.md exists\. --force replaces it"):
        files.write_new(target, b"two", force=False)
    assert target.read_bytes() == b"one"
    backup = tmp_path / "notes.md.backup"
    assert files.write_new(target, b"three", force=True) == backup
    assert (target.read_bytes(), backup.read_bytes()) == (b"three", b"one")
    assert files.write_new(target, b"three", force=True) is None, "it holds the same"
    files.write_new(Path("/dev/null"), b"gone", force=False)
    with pytest.raises(SaveError, match="is a directory"):
        files.write_new(tmp_path, b"x", force=True)
    with pytest.raises(SaveError, match="no such file or directory"):
        files.write_new(tmp_path / "no" / "where", b"x", force=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.md", "notes.md.backup"]


def test_reasons_are_words() -> None:
    assert files.reason(OSError(errno.ENOSPC, "No space left on device")) == "no space left on device"
    assert files.reason(OSError(errno.EDQUOT, "Disk quota exceeded")) == "the disk quota is used up"


@pytest.mark.parametrize("old", [b"damaged", b"", b"other"])
@pytest.mark.parametrize("links", [True, False])
def test_what_is_replaced_stands_under_a_free_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, links: bool
) -> None:
    def no_links(*_a: object, **_k: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path / "x.json"
    path.write_bytes(old)
    (tmp_path / "x.json.old").write_bytes(b"taken")
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    kept = files.put(path, b"new", names=files.numbered(path, ".old"))
    assert kept == tmp_path / "x.json.old-2"
    assert (path.read_bytes(), kept.read_bytes()) == (b"new", old)
    assert (tmp_path / "x.json.old").read_bytes() == b"taken"
    assert files.put(path, b"newer", names=files.numbered(path, ".old"), may_drop=lambda was: was == b"new") is None
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_cannot_be_compared_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"new")
    monkeypatch.setattr(files, "_COPY_BYTES", 1)
    assert files.put(path, b"new", names=files.numbered(path, ".old")) == tmp_path / "x.json.old"


def test_a_move_finishes_one_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    os.link(tmp_path / "one", tmp_path / "two")
    assert files.move(tmp_path / "one", [tmp_path / "two"]) == tmp_path / "two"
    assert [p.name for p in tmp_path.iterdir()] == ["two"]


def test_macos_syncs_the_drive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    monkeypatch.setattr(files, "_FULL_SYNC", fcntl.F_GETFD)
    monkeypatch.setattr(fcntl, "fcntl", lambda _fd, command: called.append(command))
    files.create(tmp_path / "x.json", b"{}")
    assert len(called) >= 2 and set(called) == {fcntl.F_GETFD}, "the file and its directory"


def test_only_old_temporary_files_are_swept(tmp_path: Path) -> None:
    for name in (".a.json.0123456789ab.tmp", ".b.json.0123456789ab.tmp", ".mine.tmp", "a.0123456789ab.tmp"):
        (tmp_path / name).write_bytes(b"")
        if not name.startswith(".b"):
            os.utime(tmp_path / name, (1e9, 1e9))
    files.sweep_temporary(tmp_path, os.listdir(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [".b.json.0123456789ab.tmp", ".mine.tmp", "a.0123456789ab.tmp"]


def test_a_file_that_changes_while_it_is_compared_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    def changed(_old: bytes) -> bool:
        path.write_bytes(b"theirs, just now")
        return True

    with pytest.raises(files.ChangedError):
        files.put(path, b"new", names=files.numbered(path, ".old"), may_drop=changed)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x.json": b"theirs, just now"}
