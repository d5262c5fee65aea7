"""Journal records: their encoding, and how they apply to a session.

One record per line, `CRC32 JSON`:

- `{"opened": {"pid", "base"}}` is first; `base` is the fingerprint of the JSON file that the records apply to
- `{"head": {...}}` sets keys of the session other than its turns
- `{"turn": N, "is": {...}}` sets turn N (from 1); the last record for N wins. `"open": true`: the reply is incomplete
- `{"text": "..."}` is a chunk of the reply to the open turn
- `{"moved": "NAME.json"}` announces a rename to that name

Applying the records is idempotent, so a crash between replacing the JSON and emptying the journal is harmless.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

Data = dict[str, Any]
"""A record, a turn or a session as JSON data."""

_KINDS = {"opened": dict, "head": dict, "turn": int, "is": dict, "open": bool, "text": str, "moved": str}


def fingerprint(raw: bytes | None) -> list[int] | None:
    """Return size and CRC32 of a file's bytes; None if there is no file."""
    return None if raw is None else [len(raw), zlib.crc32(raw)]


def encode_record(record: Data) -> bytes:
    """Encode a record as one line of the journal."""
    data = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


def read_records(raw: bytes) -> tuple[list[Data], bool]:
    """Read records up to the first damaged line. Also returns whether more than a torn last line was damaged."""
    records: list[Data] = []
    *lines, _torn = raw.split(b"\n")
    for number, line in enumerate(lines):
        if not _has_valid_checksum(line):
            return records, any(_has_valid_checksum(later) for later in lines[number + 1 :])
        record = _decode(line)
        if record is None:  # valid checksum, but not a record of ours
            return records, True
        records.append(record)
    return records, False


def replay(session: Data | None, records: list[Data]) -> Data | None:
    """Apply `records` to `session` (JSON data, not modified) and close an open turn as interrupted.

    Returns None if the result is not a session.
    """
    result: Data = dict(session or {})
    turns: list[Any] = list(result.get("turns") or [])
    growing: list[str] = []
    open_turn = -1
    for record in records:
        if "head" in record:
            _keep_answerers(result.get("model"), record["head"].get("model"), turns)
            result.update(record["head"])
        elif "turn" in record:
            at = min(record["turn"] - 1, len(turns))
            turns[at:] = [record["is"], *turns[at + 1 :]]
            growing = []
            open_turn = at if record.get("open") else -1
        elif "text" in record:
            growing.append(record["text"])
    if open_turn >= 0:
        turns[open_turn] = _close_turn(turns[open_turn], "".join(growing))
    result["turns"] = turns
    return result if "model" in result and turns else None


def _keep_answerers(old: object, new: object, turns: list[Any]) -> None:
    """Record in answered turns who answered them when the session's model changes, as Session.switch_model does."""
    if new is None or old is None or old == new:
        return
    for at, turn in enumerate(turns):
        if isinstance(turn, dict) and turn.get("answered_by") is None and _texts(turn)[1]:
            turns[at] = {**turn, "answered_by": old}


def adds_nothing(before: Data, after: Data) -> bool:
    """Whether `after`, replayed from a journal onto `before`, contains nothing that is not in `before`.

    This happens when the JSON was replaced but the disk kept an older journal, without the end of the last turn.
    """
    if {**before, "turns": ()} != {**after, "turns": ()}:
        return False
    pairs = zip(before["turns"], after["turns"], strict=False)
    return len(before["turns"]) == len(after["turns"]) and all(old == new or _is_prefix(new, old) for old, new in pairs)


def _is_prefix(part: Data, full: Data) -> bool:
    """Whether `part` is an earlier state of the same turn."""
    (question, began), (same, ended) = _texts(part), _texts(full)
    return (question, part.get("created_at")) == (same, full.get("created_at")) and ended.startswith(began)


def _texts(turn: Data) -> tuple[Any, str]:
    """Return the first message of a turn, and the joined text of the others."""
    question, *reply = turn["messages"] or [None]
    return question, "".join(str(message.get("content")) for message in reply if isinstance(message, dict))


def _close_turn(turn: Data, reply: str) -> Data:
    if not reply:
        return {**turn, "finish_reason": "error"}
    messages = [*turn["messages"], {"role": "assistant", "content": reply}]
    return {**turn, "messages": messages, "finish_reason": "interrupted"}


def _has_valid_checksum(line: bytes) -> bool:
    crc, _, data = line.partition(b" ")
    return b"%08x" % zlib.crc32(data) == crc


def _decode(line: bytes) -> Data | None:
    """Parse a line with a valid checksum; None if it is not a record of ours."""
    try:
        record = json.loads(line.partition(b" ")[2])
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(record[k], _KINDS.get(k, object)) for k in record):
        return None
    if "turn" in record and (record["turn"] < 1 or not isinstance(record.get("is", {}).get("messages"), list)):
        return None
    moved = record.get("moved", "a.json")
    return record if "/" not in moved and moved.endswith(".json") and not moved.startswith(".") else None
