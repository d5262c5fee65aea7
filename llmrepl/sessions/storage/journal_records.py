"""The records of a journal as bytes, and what they make of a session.

One record a line, `CRC32 JSON`:

- `{"opened": {"pid", "base"}}` comes first; `base` is the fingerprint of the JSON that the records come on top of
- `{"head": {...}}` sets keys of the session beside its turns
- `{"turn": N, "is": {...}}` is turn N (from 1), the last one for N counts; `"open": true`: its reply is still to come
- `{"text": "..."}` is a piece of the reply to the open turn
- `{"moved": "NAME.json"}` says that the session was about to get that name

Applying the records twice gives the same, so a crash between replacing the JSON and emptying the journal is harmless.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

Data = dict[str, Any]
"""A record, a turn or a session as JSON data."""

_KINDS = {"opened": dict, "head": dict, "turn": int, "is": dict, "open": bool, "text": str, "moved": str}


def fingerprint(raw: bytes | None) -> list[int] | None:
    """What tells one state of a file from another: its size and CRC; None for no file."""
    return None if raw is None else [len(raw), zlib.crc32(raw)]


def encode_record(record: Data) -> bytes:
    """One line of the journal."""
    data = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


def read_records(raw: bytes) -> tuple[list[Data], bool]:
    """The records in `raw` up to the first damaged line, and whether that was more than a torn end."""
    records: list[Data] = []
    *lines, _torn = raw.split(b"\n")
    for number, line in enumerate(lines):
        if not _has_valid_checksum(line):
            return records, any(_has_valid_checksum(later) for later in lines[number + 1 :])
        record = _decode(line)
        if record is None:  # not torn, but made by something else
            return records, True
        records.append(record)
    return records, False


def replay(session: Data | None, records: list[Data]) -> Data | None:
    """The session (as JSON data) with `records` applied on top; an open turn is closed as interrupted.

    None if there is nothing to make a session from. `session` is not changed.
    """
    result: Data = dict(session or {})
    turns: list[Any] = list(result.get("turns") or [])
    growing: list[str] = []
    open_turn = -1
    for record in records:
        if "head" in record:
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


def adds_nothing(before: Data, after: Data) -> bool:
    """Whether `after`, which a journal made of the session `before`, has no word that is not in `before`.

    So it is where the JSON was replaced and the disk kept an older state of the journal, without the last turn's end.
    """
    if {**before, "turns": ()} != {**after, "turns": ()}:
        return False
    pairs = zip(before["turns"], after["turns"], strict=False)
    return len(before["turns"]) == len(after["turns"]) and all(old == new or _is_prefix(new, old) for old, new in pairs)


def _is_prefix(part: Data, whole: Data) -> bool:
    """Whether `part` is an earlier state of the turn `whole`."""
    (question, began), (same, ended) = _texts(part), _texts(whole)
    return (question, part.get("created_at")) == (same, whole.get("created_at")) and ended.startswith(began)


def _texts(turn: Data) -> tuple[Any, str]:
    """The first message of a turn, and the text of the others."""
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
    """The record of a sound line, None if it is none of ours."""
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
