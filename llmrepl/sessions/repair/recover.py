"""Recover damaged session files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmrepl.errors import DamagedError
from llmrepl.formatting import escape_name, pluralize, valid_data
from llmrepl.sessions.model import ERROR, INTERRUPTED, Session, Turn, UsageRecord
from llmrepl.sessions.repair.salvage import Salvage, salvage
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.storage.journal import Journal, journal_path
from llmrepl.sessions.storage.locking import claim_beside
from llmrepl.sessions.storage.packed import has_several_members
from llmrepl.system import files

NO_DATE = "1970-01-01T00:00:00"


@dataclass(frozen=True)
class Recovery:
    """The recovered session, and sentences that describe what was lost.

    `path` is where it was written and `backup` where the damaged file is kept, None before `recover_file` did that.
    """

    session: Session
    lost: list[str]
    path: Path | None = None
    backup: Path | None = None


def recover(raw: bytes) -> Recovery | None:
    """Recover a session from damaged bytes with every readable turn; None if nothing is readable. Pure."""
    found = salvage(raw)
    if found is None:
        return None
    lost = list(found.lost)
    turns = [_turn(data, number in found.parts) for number, data in enumerate(found.turns, 1)]
    readable = [turn for turn in turns if turn is not None]
    if len(readable) < len(turns):
        lost.append(f"{pluralize(len(turns) - len(readable), 'turn')} without a message that can be read")
    lost += [f"a part of turn {number}; what could be read of it is kept" for number in found.parts]
    session = _session(found, readable)
    session.recount()
    _keep_foreign_totals(session, valid_data(found.head.get("usage_totals")))
    return Recovery(session, lost)


def recover_file(path: Path, *, dry_run: bool = False) -> Recovery | None:
    """Repair the file at `path` and keep its bytes as `.backup`. Returns None if the file is valid.

    A valid gzip file of several members, of which some programs read only the first, becomes a plain one too.

    What is in NAME.json.gz becomes NAME.json, or NAME-2.json if that exists. Raises DamagedError if nothing is
    recoverable, SessionInUseError if a shell has the session open, OSError if it cannot be read or written.
    """
    raw = files.read_regular(path, session_file.MAX_BYTES)
    try:
        session = session_file.load(raw)
        recovery = Recovery(session, []) if has_several_members(raw) else None
        if recovery is None:
            return None
    except session_file.Unreadable:
        recovery = recover(raw)
    if recovery is None:
        raise DamagedError(f"nothing of a session can be read in {escape_name(path.name)}", "it was left as it is")
    if dry_run:
        return recovery
    data, backups = session_file.dump(recovery.session), files.numbered(path, ".backup")
    if path.name.endswith(".gz"):
        target, journal = claim_beside(path.with_name(path.name.removesuffix(".gz")), first=True, besides=path)
        try:
            files.create(target, data)
        finally:
            journal.remove()
        return replace(recovery, path=target, backup=files.move(path, backups))
    journal = Journal.claim(journal_path(path))
    try:
        return replace(recovery, path=path, backup=files.put(path, data, names=backups))
    finally:
        journal.release()


def _session(found: Salvage, turns: list[Turn]) -> Session:
    head = valid_data(found.head)
    known = {"model": str, "system": str, "created_at": str, "meta": dict}
    for key, kind in known.items():
        if key in head and not isinstance(head[key], kind):
            head.pop(key)
    head.pop("usage_totals", None)
    first = next((turn.created_at for turn in turns if turn.created_at), NO_DATE)
    data = {"model": "unknown", "system": None, "created_at": first, **head, "turns": turns}
    return Session.model_validate(data)


def _keep_foreign_totals(session: Session, found: object) -> None:
    """Keep totals that the turns do not explain: other keys, and all counts if no turn has its own."""
    if not isinstance(found, dict) or session.usage_totals is None:
        return
    has_usage = any(turn.usage for turn in session.turns)
    kept = {key: value for key, value in found.items() if key not in UsageRecord.model_fields or not has_usage}
    valid = {key: value for key, value in kept.items() if _fits(key, value)}
    session.usage_totals = session.usage_totals.model_copy(update=valid)


def _turn(data: dict[str, Any], part: bool) -> Turn | None:
    """Build a turn from unvalidated data; fields of the wrong type are dropped."""
    data = valid_data(data)
    messages = [valid for message in _list(data.get("messages")) if (valid := _message(message))]
    if not messages:
        return None
    turn: dict[str, Any] = {**data, "messages": messages}
    if not isinstance(turn.get("usage"), dict):
        turn.pop("usage", None)
    else:
        turn["usage"] = {key: value for key, value in turn["usage"].items() if _fits(key, value)}
    for key in ("latency_ms", "cost_estimate"):
        if key in turn and not (turn[key] is None or _number(turn[key])):
            turn.pop(key)
    for key, kind in (("created_at", str), ("answered_by", str), ("finish_reason", str), ("undone", bool)):
        if key in turn and not isinstance(turn[key], kind):
            turn.pop(key)
    if part and not turn.get("finish_reason"):
        turn["finish_reason"] = INTERRUPTED if any(m["role"] == "assistant" for m in messages) else ERROR
    return Turn.model_validate(turn)


def _message(message: object) -> dict[str, Any] | None:
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    if isinstance(content, bool | int | float):
        content = str(content)
    if not isinstance(content, str | list):
        return None
    role = message.get("role")
    return {**message, "role": role if isinstance(role, str) else "user", "content": content}


def _fits(key: str, value: object) -> bool:
    counts = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
    if key in counts:
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return key != "estimated" or isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
