"""Archived sessions: moved to the folder `archive`, optionally compressed, and restored byte for byte."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from llmrepl.errors import DamagedError, SaveError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.archive import trash
from llmrepl.sessions.archive.trash import ARCHIVE
from llmrepl.sessions.index import scan
from llmrepl.sessions.index.query import parse_time
from llmrepl.sessions.names import same_name, session_names, without_ending
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.locking import claim_free
from llmrepl.sessions.storage.packed import unpacked_limit
from llmrepl.sessions.storage.store import Store
from llmrepl.system import files
from llmrepl.system.files import FileStamp


class Archive:
    """The archive of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._directory = store.directory

    def older_than(self, age: str, now: datetime) -> list[Path]:
        """Return the valid, closed sessions created before `age` (30d, 2024-01-08). Raises UsageError."""
        limit = parse_time(age, now)
        old = (row.name for row in scan.rows(self._directory) if not row.damaged and row.epoch < limit)
        return [path for path in sorted(map(self._directory.joinpath, old)) if not self._store.is_open(path)]

    def target_path(self, path: Path, compress: bool) -> Path:
        """Return the path that `archive` moves a session to if the name is free."""
        packed = compress and not path.name.endswith(".gz")
        return self._directory / ARCHIVE / (path.name + (".gz" if packed else ""))

    def archive(self, path: Path, *, compress: bool) -> Path:
        """Move a session to the archive; return its new path.

        Raises SessionInUseError, DamagedError, UsageError, SaveError.
        """
        with self._store.lock(path):
            if compress and not path.name.endswith(".gz"):
                return _compress(path, trash.ensure_folder(self._directory / ARCHIVE))
            return trash.move_to_folder(path, ARCHIVE)

    def list_removed(self) -> list[Path]:
        """Return the files that can be restored."""
        return trash.list_removed(self._directory)

    def find(self, given: str) -> Path:
        """Find the file in the trash or the archive that `given` refers to.

        `given` is a name, a prefix, or a path as in `list_removed`; compressed sessions outside the archive are found
        too. Raises UsageError if none or several match (the matches are listed).
        """
        wanted = without_ending(given)
        packed = [self._directory / name for name in session_names(self._directory) if name.endswith(".gz")]
        every = [*self.list_removed(), *packed]
        found = (
            [path for path in every if given in (self._shown(path), self._shown(path).removeprefix("."))]
            or [path for path in every if same_name(without_ending(path.name), wanted)]
            or [path for path in every if wanted and path.name.startswith(wanted)]
        )
        if len(found) > 1:
            raise UsageError(
                f"{escape_name(given)} may mean {self._listed(found)}", "name one of them as it stands here"
            )
        if not found:
            what = f"There is no {escape_name(given)} in the trash or the archive."
            raise UsageError(what, "llm sessions restore lists what there is")
        return found[0]

    def restore_path(self, source: Path) -> Path:
        """Return the path a file is restored to. Raises UsageError if a session has the name."""
        target = self._directory / f"{without_ending(source.name)}.json"
        try:
            self._store.check_free(target, but=source if source.parent == self._directory else None)
        except UsageError as taken:
            raise UsageError(taken.message, "llm sessions rename gives it another name") from taken
        return target

    def restore(self, source: Path) -> Path:
        """Restore a file with its mtime; return its path. Raises UsageError, DamagedError, SaveError."""
        shown, target = escape_name(source.name), self.restore_path(source)
        try:
            claimed = claim_free(target, besides=source)
            try:
                move = _decompress if source.name.endswith(".gz") else _move
                move(source, target)
            finally:
                claimed.remove()
            return target
        except (UsageError, FileExistsError):
            raise UsageError(
                f"A session {escape_name(target.name)} exists.", "llm sessions rename gives it another name"
            ) from None
        except session_file.Unreadable as why:
            raise DamagedError(f"{shown} is damaged ({why})", "it was left where it is") from why
        except OSError as error:
            raise SaveError(f"{shown} could not be moved: {files.reason(error)}", "it is where it was") from error

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._directory))

    def _listed(self, paths: Iterable[Path], most: int = 8) -> str:
        names = [escape_name(self._shown(path)) for path in paths]
        return ", ".join(names[:most]) + (f" or {len(names) - most} more" if len(names) > most else "")


def _move(source: Path, target: Path) -> None:
    files.move(source, [target])


def _compress(source: Path, folder: Path) -> Path:
    """Compress, read back and compare before deleting the original."""
    before, data = files.file_stamp(source), files.read_regular(source, session_file.MAX_BYTES)
    packed = gzip.compress(data, mtime=0)
    if len(data) > unpacked_limit(len(packed)):  # nothing would unpack it again
        packed = gzip.compress(data, compresslevel=0, mtime=0)
    for target in trash.candidate_paths(f"{source.name}.gz", folder):
        if not os.path.lexists(target):
            files.create(target, packed, mtime_ns=os.lstat(source).st_mtime_ns)
        elif not _contains(target, data):  # if it does, an earlier run was interrupted before the last step
            continue
        break
    _remove_source(source, before, target, data)
    return target


def _decompress(source: Path, target: Path) -> None:
    before = files.file_stamp(source)
    data = session_file.unpack(files.read_regular(source, session_file.MAX_BYTES))
    files.create(target, data, mtime_ns=os.lstat(source).st_mtime_ns)
    _remove_source(source, before, target, data)


def _remove_source(source: Path, before: FileStamp | None, target: Path, data: bytes) -> None:
    """Delete `source` if it is unchanged and `target` holds its text; otherwise delete `target` and raise OSError."""
    try:
        if not _contains(target, data):
            raise OSError(errno.EIO, "what was written reads back otherwise")
        files.remove_copied(source, is_known=lambda path: files.file_stamp(path) == before)
    except OSError:
        if files.file_stamp(source):  # which has it; once it is removed, `target` is the only one
            files.unlink_quietly(target)
        raise


def _contains(path: Path, data: bytes) -> bool:
    """Whether a file, plain or compressed, contains exactly `data`."""
    try:
        return session_file.unpack(files.read_regular(path, session_file.MAX_BYTES)) == data
    except (session_file.Unreadable, OSError):
        return False
