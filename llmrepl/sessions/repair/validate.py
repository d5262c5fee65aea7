"""Check, recover and mask session files, for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmrepl.errors import SaveError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions import secrets
from llmrepl.sessions.model import MessageRecord, Session, Turn, title_from_prompt
from llmrepl.sessions.repair.recover import Recovery, recover_file
from llmrepl.sessions.secrets import Secret
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.store import Store
from llmrepl.system import files


@dataclass(frozen=True)
class Problem:
    """Why a file is not a session. `line` and `column` count from 1; 0 if there is no single position."""

    reason: str
    line: int = 0
    column: int = 0


def find_problems(path: Path) -> list[Problem]:
    """Return what is wrong with the file at `path`; empty if it is valid."""
    try:
        session_file.load(files.read_regular(path, session_file.MAX_BYTES))
    except session_file.Unreadable as why:
        return [Problem(why.reason, why.line, why.column)]
    except OSError as error:
        return [Problem(files.reason(error))]
    return []


def recover(path: Path, *, dry_run: bool) -> Recovery | None:
    """Repair a file, see recover.recover_file. Raises DamagedError, SaveError."""
    try:
        return recover_file(path, dry_run=dry_run)
    except OSError as error:
        shown = escape_name(path.name)
        raise SaveError(f"{shown} cannot be repaired: {files.reason(error)}", "nothing was changed") from error


def find_secrets(path: Path) -> list[tuple[int, Secret]]:
    """Return the secrets in a valid session, each with its turn number (0 for the system prompt)."""
    try:
        session = session_file.load(files.read_regular(path, session_file.MAX_BYTES))
    except (session_file.Unreadable, OSError):
        return []
    texts = [(0, session.system or "")]
    texts += [(n, message.text) for n, turn in enumerate(session.turns, 1) for message in turn.messages]
    return [(number, secret) for number, text in texts for secret in secrets.find(text)]


def mask(path: Path, store: Store) -> None:
    """Replace the secrets in a session file. Raises SessionInUseError, DamagedError, UsageError, SaveError."""
    if path.name.endswith(".gz"):
        raise UsageError(f"{escape_name(path.name)} is compressed", "restore it first")
    open_session = store.open(path, beside=False)
    try:
        mask_session(open_session.session)
        open_session.rewrite()
    finally:
        open_session.close()


def mask_session(session: Session) -> None:
    """Mask every text of a session in place."""
    if session.system:
        session.system = secrets.mask(session.system)[0]
    first = session.turns[0].text_of("user") if session.turns else ""
    for turn in session.turns:
        mask_turn(turn)
    if session.title and secrets.find(first):  # the title may quote it
        session.set_meta("title", title_from_prompt(secrets.mask(first)[0]))


def mask_turn(turn: Turn) -> None:
    """Mask every text of a turn in place."""
    for message in turn.messages:
        message.content = _mask_content(message)


def _mask_content(message: MessageRecord) -> str | list[object] | None:
    if isinstance(message.content, str):
        return secrets.mask(message.content)[0]
    if isinstance(message.content, list):
        return [
            {**part, "text": secrets.mask(part["text"])[0]}
            if isinstance(part, dict) and isinstance(part.get("text"), str)
            else part
            for part in message.content
        ]
    return message.content
