"""Sessions that were put away: moved into the folder `archive`, plain or compressed, and brought back byte for byte."""

from __future__ import annotations

import gzip
import os
from datetime import datetime
from pathlib import Path

from llmrepl.errors import NotSaved, WrongUse
from llmrepl.messages import safe_name
from llmrepl.sessions import codec, files, listing, trash
from llmrepl.sessions.journal import Journal, journal_of
from llmrepl.sessions.names import session_names, without_ending
from llmrepl.sessions.query import moment

FOLDER = "archive"


class Archive:
    """What was put away of the sessions in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folders = (directory / trash.FOLDER, directory / FOLDER)

    def older_than(self, age: str, now: datetime) -> list[Path]:
        """The sound sessions that were begun before `age` (30d, 2024-01-08). Raises WrongUse."""
        limit = moment(age, now)
        rows = listing.rows(self._directory)
        old = [row for row in rows if not row.damaged and row.epoch < limit and row.name.endswith(".json")]
        return [self._directory / row.name for row in sorted(old, key=lambda row: row.name)]

    def archive(self, path: Path, *, compress: bool) -> Path:
        """Move a session into the archive; where it is then. Raises InUse, WrongUse, NotSaved."""
        target = self._directory / FOLDER / (path.name + (".gz" if compress else ""))
        journal = _claimed(path)
        try:
            files.private_mkdir(target.parent)
            if compress:
                _compressed(path, target)
            else:
                _moved(path, target)
        except FileExistsError:
            raise WrongUse(f"{safe_name(target.name)} is in the archive already", "rename one of them") from None
        except OSError as error:
            raise _failed(path, error) from error
        finally:
            journal.remove()
        return target

    def removed(self) -> list[str]:
        """The file names of what could be brought back."""
        return sorted({name for folder in self._folders for name in session_names(folder)})

    def find(self, name: str) -> tuple[Path, Path]:
        """The file that `name` means in the trash or the archive, and where it would come back to. Raises WrongUse."""
        wanted = without_ending(name)
        every = [folder / file for folder in self._folders for file in session_names(folder)]
        found = [path for path in every if without_ending(path.name) == wanted]
        found = found or [path for path in every if path.name.startswith(wanted)]
        if len(found) > 1:
            listed = ", ".join(safe_name(str(path.relative_to(self._directory))) for path in found[:8])
            raise WrongUse(f"{safe_name(name)} may mean {listed}", "write more of the name")
        if not found:
            what = f"there is no {safe_name(name)} in the trash or the archive"
            raise WrongUse(what, "'sessions restore' lists what there is")
        return found[0], self._directory / (without_ending(found[0].name) + ".json")

    def restore(self, source: Path, target: Path) -> None:
        """Bring a file back as it was. Raises WrongUse if a session has the name, NotSaved."""
        try:
            if source.name.endswith(".gz"):
                data = codec.unpack(files.read_regular(source, codec.MAX_BYTES))
                files.write_atomic(target, data, must_not_exist=True)
                _same_times(source, target)
                os.unlink(source)
                files.fsync_dir(source.parent)
            else:
                _moved(source, target)
        except FileExistsError:
            raise WrongUse(f"a session {safe_name(target.name)} exists", "rename it first") from None
        except codec.Unreadable as why:
            raise NotSaved(f"{safe_name(source.name)} is damaged: {why}", "it was left where it is") from why
        except OSError as error:
            raise _failed(source, error) from error


def _claimed(path: Path) -> Journal:
    try:
        return Journal.claim(journal_of(path))
    except OSError as error:
        raise _failed(path, error) from error


def _moved(source: Path, target: Path) -> None:
    files.rename_new(source, target)
    files.fsync_dir(target.parent)
    files.fsync_dir(source.parent)


def _compressed(source: Path, target: Path) -> None:
    """Write the gzip, read it back and compare; only then is the plain file removed."""
    data = files.read_regular(source, codec.MAX_BYTES)
    files.write_atomic(target, gzip.compress(data, mtime=0), must_not_exist=True)
    _same_times(source, target)
    if codec.unpack(files.read_regular(target, codec.MAX_BYTES)) != data:
        os.unlink(target)
        raise OSError(0, "what was written does not read back the same")
    os.unlink(source)
    files.fsync_dir(source.parent)


def _same_times(source: Path, target: Path) -> None:
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _failed(path: Path, error: OSError) -> NotSaved:
    return NotSaved(f"{safe_name(path.name)} could not be moved: {files.reason(error)}", "it is where it was")
