"""The sessions in one directory: find, read, open, start and delete them, and recover journals."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from llmrepl.errors import DamagedError, LLMError, SaveError, SessionInUseError, UsageError
from llmrepl.formatting import escape_name, pluralize, quote_for_shell
from llmrepl.sessions.archive.trash import TRASH, move_to_folder
from llmrepl.sessions.model import Session, Turn
from llmrepl.sessions.names import ENDINGS, check_name, find_session, same_name, session_names, without_ending
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.journal import Journal, journal_path, no_locks_note, session_path
from llmrepl.sessions.storage.journal_records import (
    Data,
    adds_nothing,
    are_contained,
    base_of,
    copy_in,
    fingerprint,
    replay,
)
from llmrepl.sessions.storage.locking import claim_beside
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.reader import read_with_journal
from llmrepl.sessions.turn_ids import identify
from llmrepl.system import files
from llmrepl.system.files import FileStamp


class Store:
    """The sessions in `directory`, which need not exist yet. `shield` defers signals during a write."""

    def __init__(self, directory: Path, cwd: Path, shield: Callable[[], AbstractContextManager[None]]) -> None:
        self.directory = directory
        self._cwd = cwd
        self._shield = shield

    def find(self, given: str) -> Path:
        """Find the file that `given` (path, name or prefix) refers to. Raises UsageError."""
        return find_session(self.directory, given, self._cwd)

    def latest(self) -> Path:
        """Return the most recently written session. Raises UsageError if there is none."""
        dated = [
            (seen[3], path)
            for path in map(self.directory.joinpath, session_names(self.directory))
            if (seen := files.file_stamp(path)) and path.suffix == ".json"
        ]
        if not dated:
            raise UsageError(
                f"No sessions in {escape_name(str(self.directory))} yet.", "llm sessions list --all looks everywhere"
            )
        return max(dated)[1]

    def path_for(self, name: str, beside: Path | None = None) -> Path:
        """Return the path for a new session `name`, in the directory of `beside` if given. Raises UsageError."""
        return (beside.parent if beside else self.directory) / f"{check_name(name)}.json"

    def check_free(self, path: Path, but: Path | None = None) -> None:
        """Raise UsageError if a session other than `but` has this name, ignoring case and Unicode form."""
        names = (name for name in session_names(path.parent) if but is None or name != but.name)
        taken = next((name for name in names if same_name(without_ending(name), path.stem)), None)
        if taken:
            raise UsageError(f"A session {escape_name(taken)} exists.", "Choose another name")

    def has(self, name: str) -> bool:
        """Whether `name` is a path or exactly the name of a session."""
        names = session_names(self.directory)
        return "/" in name or any(same_name(without_ending(one), without_ending(name)) for one in names)

    def trash_existing(self, path: Path) -> None:
        """Move the session at `path`, if any, to the trash. Raises the errors of `delete`."""
        if os.path.lexists(path):
            self.delete(path)

    def delete(self, path: Path) -> Path:
        """Move a session to the trash and return its new path.

        Raises SessionInUseError, DamagedError, UsageError, SaveError.
        """
        with self.lock(path):
            return move_to_folder(path, TRASH)

    def is_open(self, path: Path) -> bool:
        """Whether a shell has this session open."""
        try:
            if os.path.lexists(journal_path(path)):
                Journal.claim(journal_path(path)).release()
        except SessionInUseError:
            return True
        except OSError:
            return False
        return False

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """Lock a session that no shell has open while the block moves its file.

        Raises SessionInUseError; DamagedError if the file is damaged and its journal holds changes; UsageError if it is
        not a session file; SaveError for an OSError in the block.
        """
        shown = escape_name(path.name)
        try:
            if not path.name.endswith(ENDINGS) or not stat.S_ISREG(os.lstat(path).st_mode):
                raise UsageError(f"{shown} is not a session file", "it was left as it is")
            with self._shield():
                journal = Journal.claim(journal_path(path.with_name(path.name.removesuffix(".gz"))))
                try:
                    self._recover(journal)
                    os.lstat(path)  # another process may have moved it meanwhile
                except BaseException:
                    journal.release()
                    raise
                try:
                    yield
                finally:
                    journal.remove()
        except FileNotFoundError as error:
            if os.path.lexists(path):
                raise SaveError(f"{shown} could not be moved: {files.reason(error)}", "it is where it was") from error
            raise UsageError(f"There is no session {shown}.", "llm sessions list shows those there are") from None
        except OSError as error:
            raise SaveError(f"{shown} could not be moved: {files.reason(error)}", "it is where it was") from error

    def read(self, path: Path) -> Session:
        """Read a session, including changes in the journal of another shell. Raises DamagedError, UsageError."""
        return self._load(path)[0]

    def automatic_path(self, now: datetime) -> Path:
        """Return the default path of a session started at `now`."""
        return self.directory / f"session_{now:%Y%m%d_%H%M%S}.json"

    def new(self, session: Session, now: datetime, name: str | None = None) -> OpenSession:
        """Prepare `session` to be saved as `name` or an automatic name. The file is created with the first turn."""
        if name is None:
            return OpenSession(session, self.automatic_path(now), self._shield, automatic=True)
        path = self.path_for(name)
        self.check_free(path)
        return OpenSession(session, path, self._shield)

    def add(self, session: Session, name: str) -> Path:
        """Write a complete session as `name`, NAME-2 or the next free name; return its path. Raises SaveError."""
        open_session = OpenSession(session, self.directory / f"{name}.json", self._shield)
        open_session.rewrite()
        open_session.close()
        return open_session.path or self.directory

    def open(self, path: Path, *, beside: bool, brief: bool = False) -> OpenSession:
        """Open the session at `path` for writing; `brief` if only for one command, for which another one waits.

        If another shell has it open, `beside` opens a copy NAME-2 with a note in `notes`; otherwise SessionInUseError
        is raised. Also raises DamagedError, UsageError, SaveError.
        """
        if path.name.endswith(".gz"):
            shown = escape_name(path.name)
            raise UsageError(
                f"{shown} is compressed.", f"llm sessions restore {quote_for_shell(path.name)} decompresses it"
            )
        try:
            return self._open(path, beside=beside, brief=brief)
        except OSError as error:
            raise SaveError(
                f"cannot write in {escape_name(str(path.parent))}: {files.reason(error)}",
                "repair the directory, or choose another with --save-dir",
            ) from error

    def _open(self, path: Path, *, beside: bool, brief: bool) -> OpenSession:
        try:
            journal = Journal.claim(journal_path(path))
        except SessionInUseError as busy:
            if not beside:
                raise
            return self._open_copy(path, busy)
        try:
            note = self._recover(journal)
            session, raw = self._load(path)
            journal.start(fingerprint(raw), brief=brief)
        except BaseException:
            journal.release()
            raise
        stamp = files.file_stamp(path)
        opened = OpenSession(session, path, self._shield, journal=journal, raw=raw, stamp=stamp, brief=brief)
        opened.notes += [note] if note else []
        opened.notes += [] if journal.has_lock else [no_locks_note(path.parent)]
        return opened

    def recover_journals(self) -> list[str]:
        """Apply the journals of shells that died; return a sentence for each recovered change."""
        notes: list[str] = []
        try:
            with os.scandir(self.directory) as entries:
                hidden = [e.name for e in entries if e.name.startswith(".")]
        except OSError:
            return notes
        files.sweep_temporary(self.directory, hidden)
        for name in sorted(name for name in hidden if name.endswith(".journal")):
            try:
                journal = Journal.claim(self.directory / name, wait=False)
            except (SessionInUseError, OSError):
                continue
            try:
                with self._shield():
                    note = self._recover(journal)
                    journal.remove()
            except (OSError, LLMError) as error:
                why = files.reason(error) if isinstance(error, OSError) else error.message
                note = f"what {escape_name(name)} holds could not be written back yet: {why}"
                journal.release()
            notes += [note] if note else []
        return notes

    def _recover(self, journal: Journal) -> str:
        """Apply a journal that we hold the lock of, and empty it. Returns notes for the user."""
        path = session_path(journal.path)
        records, damaged = journal.records()
        moved = next((r["moved"] for r in records if "moved" in r), None)
        if moved and files.drop_second_name(path, path.with_name(moved)):
            path = path.with_name(moved)
        notes = [self._apply(path, records)] if any("opened" not in r and "moved" not in r for r in records) else []
        if damaged:
            kept = journal.keep_damaged()
            notes.append(
                f"{pluralize(damaged, 'record')} in the journal of {escape_name(path.name)} could not be read."
                f" The damaged bytes are kept as {escape_name(kept.name)}."
            )
        journal.clear()
        return "\n".join(note for note in notes if note)

    def _apply(self, path: Path, records: list[Data]) -> str:
        stamp = files.file_stamp(path)
        raw = files.read_regular(path, session_file.MAX_BYTES) if stamp else None
        try:
            before = session_file.parse(raw) if raw is not None else None
            after = replay(before, records) if _applies(records, before, raw) else None
            if after is None:
                return self._keep_copy(path, stamp, before, records)
            if after == before:
                return ""
            session = session_file.session_from_json(after)
        except session_file.Unreadable as why:
            raise session_file.damaged_error(escape_name(path.name), why) from why
        files.replace(path, session_file.dump(session), is_known=lambda _: files.file_stamp(path) == stamp)
        return _recovery_note(session, path.name)

    def _keep_copy(self, path: Path, stamp: FileStamp | None, before: Data | None, records: list[Data]) -> str:
        """Keep what the records of a dead shell hold, although its file was changed, replaced or removed since.

        It is merged into the file if that has the turns before it, otherwise kept as a session of its own, which
        contains no turn of the file: such a turn would stand twice once the two are merged elsewhere.
        """
        if before:
            session_file.session_from_json(before)
        after = replay(before, records) if before else None
        copy = copy_in(records, before["model"] if before else None)
        if copy is None or (before and (after in (None, before) or adds_nothing(before, after or {}))):
            return ""
        name = escape_name(path.name)
        if before and (merged := _merge_copy(before, copy)):
            data = session_file.dump(merged)
            files.replace(path, data, is_known=lambda _: files.file_stamp(path) == stamp)
            return f"{name} was changed by another program after its shell died. What that shell had is merged into it."
        if not copy["turns"]:
            return ""
        session = session_file.session_from_json({"created_at": copy["turns"][0].get("created_at"), "meta": {}, **copy})
        session.recount()
        data = session_file.dump(session)
        if before is None:
            files.create(path, data)
            return f"{name} was removed after its shell died. What that shell had is kept in a new {name}."
        path, claimed = claim_beside(path)
        try:
            files.create(path, data)
        finally:
            claimed.remove()
        return f"a session was changed after its shell died; what that shell had is kept as {escape_name(path.name)}"

    def _load(self, path: Path) -> tuple[Session, bytes]:
        """Read a session with the changes in its journal, and the bytes of its file."""
        shown = escape_name(path.name)
        try:
            raw, records = read_with_journal(path, session_file.MAX_BYTES)
            data = session_file.parse(raw)
            return session_file.session_from_json(replay(data, records) or data if records else data), raw
        except FileNotFoundError:
            raise UsageError(f"There is no session {shown}.", "llm sessions list shows those there are") from None
        except OSError as error:
            what = f"{shown} cannot be read: {files.reason(error)}"
            raise DamagedError(what, "repair that, or choose another session") from error
        except session_file.Unreadable as why:
            raise session_file.damaged_error(shown, why) from why

    def _open_copy(self, path: Path, busy: SessionInUseError) -> OpenSession:
        session, _raw = self._load(path)
        copy, journal = claim_beside(path)
        journal.remove()
        session.set_meta("parent", {"session": path.name, "turn": len(session.turns)})
        open_session = OpenSession(session, path, self._shield)
        open_session.copy_to(copy)
        open_session.notes.append(f"{busy.message}; this one continues as {escape_name(copy.name)}")
        return open_session


def _applies(records: list[Data], before: Data | None, raw: bytes | None) -> bool:
    """Whether the records apply to the JSON file as it is. If the base was damaged: whether they contradict it."""
    if any("opened" in record for record in records):
        return base_of(records) == fingerprint(raw)
    turns: list[Any] = before["turns"] if before else []
    last = {record["turn"]: record["is"] for record in records if "turn" in record}
    return all(number > len(turns) or are_contained([turns[number - 1]], [turn]) for number, turn in last.items())


def _merge_copy(before: Data, copy: Data) -> Session | None:
    """Merge what a dead shell had into the changed file; None if that has not the turns before it."""
    from llmrepl.sessions.merge import merge

    known = dict(identify(before["turns"]))
    turns: list[Data] = []
    for turn, (id, parent) in zip(copy["turns"], identify(copy["turns"]), strict=True):
        if "id" not in turn or not (id in known or parent in known):
            return None
        turns.append({**turn, "parent_id": known.setdefault(id, parent)})
    return merge(session_file.session_from_json(before), session_file.session_from_json({**copy, "turns": turns}))


def _recovery_note(session: Session, name: str) -> str:
    last: Turn = session.turns[-1]
    if last.finish_reason == "interrupted":
        return f"the last reply in {escape_name(name)} was cut off; it is kept as interrupted"
    if last.finish_reason == "error":
        return f"the last prompt in {escape_name(name)} got no reply; it is kept, and :retry asks it again"
    return ""
