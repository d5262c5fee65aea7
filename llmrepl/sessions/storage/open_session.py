"""An open session: changes go to the journal first, then to the JSON file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from llmrepl.errors import LLMError, SaveError, SessionInUseError, UsageError
from llmrepl.formatting import escape_name, valid_data, valid_text
from llmrepl.sessions import edits
from llmrepl.sessions.model import ERROR, NO_MARKS, Session, Turn, title_from_prompt
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.journal import Journal, journal_path, no_locks_note
from llmrepl.sessions.storage.journal_records import are_contained, fingerprint, replay
from llmrepl.sessions.storage.locking import claim_beside, claim_free
from llmrepl.system import files
from llmrepl.system.files import FileStamp
from llmrepl.types import Attachment

CHEAP_BYTES = 256 * 1024
"""A JSON file below this size is rewritten after every turn.

A larger one is rewritten when the journal exceeds an eighth of it. A turn therefore costs about the same in a session
of 10 turns and of 10,000: two small appends and an amortized rewrite.
"""


class OpenSession:
    """A session that is open for writing.

    `path` is the JSON file, which may not exist yet, or None if nothing is saved. `automatic` tells that the program
    chose the name. A failed write raises SaveError; the session in memory stays correct, and the next write includes
    what is missing.
    """

    def __init__(
        self,
        session: Session,
        path: Path | None,
        shield: Callable[[], AbstractContextManager[None]],
        *,
        automatic: bool = False,
        journal: Journal | None = None,
        raw: bytes | None = None,
        stamp: FileStamp | None = None,
        brief: bool = False,
    ) -> None:
        self.session = session
        self.path = path
        self.automatic = automatic
        self.notes: list[str] = []
        self._shield = shield
        self._journal = journal
        self._stamp = stamp
        self._brief = brief
        self._json_bytes = len(raw or b"")
        self._base = fingerprint(raw)
        self._dirty = False
        self._has_unsaved = False
        self._header_written = raw is not None

    @property
    def name(self) -> str:
        """The displayed name: the file name, or `(not kept)`."""
        return self.path.name if self.path else "(not kept)"

    @property
    def unsaved(self) -> bool:
        """Whether a write failed, so that changes are in memory only."""
        return self._has_unsaved

    @property
    def is_saved(self) -> bool:
        """Whether the JSON file is durable and identical to the session in memory."""
        return not self._dirty and not self._has_unsaved

    @property
    def is_recorded(self) -> bool:
        """Whether JSON file and journal together match the session in memory."""
        return not self._has_unsaved

    @property
    def _has_file(self) -> bool:
        return bool(self.session.turns) or self._stamp is not None

    def begin_turn(
        self,
        question: str,
        created_at: str,
        answered_by: str | None = None,
        number: int | None = None,
        images: Sequence[Attachment] = (),
        *,
        undoes: Sequence[int] = (),
        marks: Mapping[str, Any] = NO_MARKS,
    ) -> int:
        """Save the prompt as a new turn, or in place of turn `number`, and return the turn's number.

        `answered_by` names the model, `marks` are more fields of the turn. The turns `undoes` leave the context. Raises
        SaveError; the session in memory has changed even then.
        """
        for undone in undoes:
            changed = self.session.turns[undone - 1].changed(undone=True, id=self.session.turn_id(undone))
            self.session.replace(undone, changed)
        new_id = os.urandom(8).hex() if number is None else self.session.turn_id(number)
        turn = Turn.begin(valid_text(question), created_at, answered_by, images, new_id, marks)
        if number is None:
            number = self.session.add(turn)
            if number == 1 and not self.session.title:
                self.session.set_meta("title", title_from_prompt(turn.text_of("user")))
                self._header_written = False
        else:
            turn = turn.in_place_of(self.session.turns[number - 1])
            self.session.replace(number, turn)
        if not self._header_written:
            self._write_record({"head": self._header()}, f"turn {number}", durable=False)
            self._header_written = True
        for undone in undoes:
            record = {
                "turn": undone,
                "is": _data(self.session.turns[undone - 1]),
                "after": self.session.turn_id(undone - 1),
            }
            self._write_record(record, f"turn {undone}", durable=False)
        record = {"turn": number, "is": _data(turn), "open": True, "after": self.session.turn_id(number - 1)}
        self._write_record(record, f"turn {number}")
        return number

    def set_answerer(self, number: int, model: str) -> None:
        """Record who answers the open turn `number`, once another model was asked. Raises SaveError."""
        turn = self.session.turns[number - 1].changed(answered_by=model)
        self.session.replace(number, turn)
        record = {"turn": number, "is": _data(turn), "open": True, "after": self.session.turn_id(number - 1)}
        self._write_record(record, f"turn {number}")

    def append_text(self, text: str) -> None:
        """Add a chunk of the streaming reply; it is on disk within half a second."""
        if self._journal and not self._has_unsaved:
            self._journal.append_text(text)

    def complete(self, number: int, reply: Completion) -> None:
        """Save a finished turn durably. Raises SaveError."""
        turn = self.session.turns[number - 1].with_reply(reply)
        self.session.replace(number, turn)
        self._write_record({"turn": number, "is": _data(turn)}, f"turn {number}", complete=True)

    def abandon_turn(self, number: int) -> None:
        """Mark turn `number`, whose prompt was not sent, as failed. Only in memory."""
        if number <= len(self.session.turns):
            turn = self.session.turns[number - 1]
            self.session.replace(number, turn.model_copy(update={"finish_reason": ERROR}))

    def update_turn(self, number: int, **values: Any) -> None:
        """Set fields of turn `number`. Raises SaveError."""
        turn = self.session.turns[number - 1].changed(**values, id=self.session.turn_id(number))
        self.session.replace(number, turn)
        record = {"turn": number, "is": _data(turn), "after": self.session.turn_id(number - 1)}
        self._write_record(record, f"turn {number}")

    def set_header(self, **values: Any) -> None:
        """Set `model`, `system` or `meta`; only in memory if the session has no file. Raises SaveError."""
        values = valid_data(values)
        for key, value in values.items():
            if key in ("model", "system") and self._has_file and value != getattr(self.session, key):
                counted = edits.MODEL if key == "model" else key
                self.session.meta = edits.changed_header(self.session.meta, self.session.meta, (counted,))
                values = {**values, "meta": self.session.meta}
            if key == "model":
                self.session.switch_model(value)
            else:
                setattr(self.session, key, value)
        if self._has_file:
            start = self.session.context_start if "meta" in values else 0
            self._write_record(
                {"head": values, **({"after": self.session.turn_id(start)} if start else {})}, "the change"
            )

    def save(self) -> None:
        """Bring the JSON file up to date. Raises SaveError."""
        if self.path and self._has_file and (self._dirty or self._has_unsaved):
            with self._shield():
                self._attempt(self._replace, self.name)

    def detached_copy(self) -> OpenSession:
        """Return a copy of the session that is not saved."""
        return OpenSession(self.session.model_copy(deep=True), None, self._shield)

    def rewrite(self) -> None:
        """Replace the JSON file after the session was changed in memory. Raises SaveError."""
        self._dirty = True
        self.save()

    def close(self) -> None:
        """Save and release the session. Raises SaveError; the journal is left then, and when anything else fails."""
        self.save()
        if self._journal and self.is_saved:
            journal, self._journal = self._journal, None
            try:
                journal.remove()
            except OSError as error:
                self.notes.append(f"could not remove {journal.path.name}: {files.reason(error)}")

    def rename(self, path: Path) -> None:
        """Rename the session to `path` in the same directory. Raises UsageError if the name is taken, SaveError."""
        self.save()
        if not self.path or not self._has_file:
            self._release_journal()
            self.path, self.automatic = path, False
            return
        with self._shield():
            self._attempt(lambda: self._move(path), "the new name")

    def _move(self, path: Path) -> None:
        old, claimed = self._require_path(), claim_free(path)
        try:
            self._ensure_journal().write({"moved": path.name})
            files.move(old, [path])
        except BaseException:
            claimed.remove()
            raise
        claimed.start(self._base)
        self._release_journal()
        self.path, self._journal, self.automatic = path, claimed, False

    def copy_to(self, path: Path) -> None:
        """Continue as `path`, leaving the old file unchanged. Raises UsageError, SaveError."""
        self.save()
        with self._shield():
            self._attempt(lambda: self._copy(path), path.name)

    def _copy(self, path: Path) -> None:
        files.private_mkdir(path.parent)
        claimed = claim_free(path)
        self._release_journal()
        self.path, self._journal, self.automatic = path, claimed, False
        self._stamp, self._base, self._json_bytes = None, None, 0
        self._replace()

    def _release_journal(self) -> None:
        if self._journal:
            journal, self._journal = self._journal, None
            journal.remove()

    def _header(self) -> dict[str, Any]:
        return self.session.model_dump(mode="json", exclude_unset=True, exclude={"turns", "usage_totals"})

    def _write_record(self, record: dict[str, Any], what: str, *, complete: bool = False, durable: bool = True) -> None:
        self._dirty = True
        if self.path:
            with self._shield():
                self._attempt(lambda: self._write(record, complete, durable), what)

    def _attempt(self, write: Callable[[], object], what: str) -> None:
        try:
            write()
        except (OSError, ValueError, MemoryError, RecursionError) as error:
            self._has_unsaved = True
            where = escape_name(str(self.path.parent if self.path else ""))
            raise SaveError(
                f"{what} is not saved: {_reason(error)} ({where}); it is kept in memory",
                "free some space or repair the directory, then :save",
            ) from error
        except LLMError:
            raise
        except BaseException:
            self._has_unsaved = True
            raise

    def _write(self, record: dict[str, Any], complete: bool, durable: bool) -> None:
        journal = self._ensure_journal()
        if self._has_unsaved or journal.is_broken:
            journal = self._replace()
            if complete or journal.is_broken:
                return
        due = complete and (self._json_bytes < CHEAP_BYTES or journal.size > self._json_bytes // 8)
        journal.write(record, durable=durable and not due)
        if due:
            self._replace()

    def _ensure_journal(self) -> Journal:
        """Return the journal, claiming it on the first write or if its directory was replaced."""
        path = self._require_path()
        if self._journal and self._journal.was_replaced():
            self._journal.release()
            self._journal = None
            self._has_unsaved = bool(self.session.turns)
            self.notes.append(
                f"{escape_name(str(path.parent))} was moved, removed or replaced. {self.name} is saved in it again."
            )
        if self._journal is None:
            files.private_mkdir(path.parent)
            self._journal = self._claim(path)
            if not self._journal.has_lock:
                self.notes.append(no_locks_note(path.parent))
            self._journal.start(self._base, brief=self._brief)
            files.fsync_dir(path.parent)
        return self._journal

    def _claim(self, path: Path) -> Journal:
        """Claim the journal of `path`, or of another name if a second shell was faster."""
        if self._stamp is not None:
            try:
                journal = Journal.claim(journal_path(path))
                if self._holds(journal):
                    return journal
                journal.release()
            except SessionInUseError:
                pass
            self._stamp = None
        self.path, journal = claim_beside(path, first=True)
        if self.path != path and not self.automatic:
            self.notes.append(f"{escape_name(path.name)} was taken meanwhile; this session is saved as {self.name}")
        return journal

    def _holds(self, journal: Journal) -> bool:
        """Whether this session contains all that is in a journal at its path, such as a copy of our own."""
        records, damaged = journal.records()
        if damaged or not any("turn" in record for record in records):
            return not damaged
        path = self._require_path()
        raw = files.read_regular(path, session_file.MAX_BYTES) if path.exists() else None
        after = replay(session_file.parse(raw) if raw else None, records)
        return after is None or are_contained(after["turns"], [_data(turn) for turn in self.session.turns])

    def _require_path(self) -> Path:
        if self.path is None:
            raise UsageError("This session is not saved.", ":save NAME saves it")
        return self.path

    def _replace(self) -> Journal:
        """Replace the JSON file, under another name if another program changed it; return the emptied journal."""
        journal = self._ensure_journal()
        data = session_file.dump(self.session)
        try:
            if self._stamp is None:
                files.create(self._require_path(), data)
            else:
                files.replace(self._require_path(), data, is_known=self._is_unchanged)
        except (files.ChangedError, FileExistsError):
            journal = self._create_copy(journal, data)
        self._stamp = files.file_stamp(self._require_path())
        self._base, self._json_bytes = fingerprint(data), len(data)
        self._dirty = self._has_unsaved = False
        try:
            journal.start(self._base, brief=self._brief)
        except OSError:  # what it holds is in the JSON file, so nothing is lost; the next write tries again
            journal.give_up()
        return journal

    def _is_unchanged(self, path: Path) -> bool:
        """Whether a file is as it was last read or written here, or a copy of that."""
        if files.file_stamp(path) == self._stamp:
            return True
        return fingerprint(files.read_regular(path, session_file.MAX_BYTES)) == self._base

    def _create_copy(self, journal: Journal, data: bytes) -> Journal:
        """Write the session under the next free name, then release the old one, which another program changed."""
        old = self._require_path()
        path, claimed = claim_beside(old)
        try:
            files.create(path, data)
        except BaseException:
            claimed.remove()
            raise
        self.path, self._journal = path, claimed
        self.notes.append(
            f"{escape_name(old.name)} was changed by another program; this session goes on as {self.name}"
        )
        journal.remove()
        return claimed


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return files.reason(error)
    return "out of memory" if isinstance(error, MemoryError) else f"it cannot be written as JSON ({error})"


def _data(turn: Turn) -> dict[str, Any]:
    return turn.model_dump(mode="json", exclude_unset=True)
