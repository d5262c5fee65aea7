"""Journal records: their encoding, and how they apply to a session.

One record per line, `CRC32 JSON`:

- `{"opened": {"pid", "base"}}` is first; `base` is the fingerprint of the JSON file that the records apply to
- `{"head": {...}}` sets keys of the session other than its turns; `"after"` is the id of the last turn before the
  start of the context
- `{"turn": N, "is": {...}}` sets turn N (from 1); the last record for N wins. `"open": true`: the reply is incomplete,
  `"after"` is the id of the turn before, which places the turn if the JSON file was replaced by another program
- `{"text": "..."}` is a chunk of the reply to the open turn
- `{"moved": "NAME.json"}` announces a rename to that name

Applying the records is idempotent, so a crash between replacing the JSON and emptying the journal is harmless.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

Data = dict[str, Any]
"""A record, a turn or a session as JSON data."""

_START = re.compile(rb"[0-9a-f]{8} \{")
"""What a record begins with; looked for in a line that is damaged."""

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

_KINDS = {"opened": dict, "head": dict, "turn": int, "is": dict, "open": bool, "text": str, "moved": str, "after": str}


def fingerprint(raw: bytes | None) -> list[int] | None:
    """Return size and CRC32 of a file's bytes; None if there is no file."""
    return None if raw is None else [len(raw), zlib.crc32(raw)]


def encode_record(record: Data) -> bytes:
    """Encode a record as one line of the journal."""
    data = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")
    return b"%08x %s\n" % (zlib.crc32(data), data)


def read_records(raw: bytes) -> tuple[list[Data], int]:
    """Read every valid record, also after damaged lines. Also returns the number of damaged places.

    Bytes after the last line end are a record that was being written when its shell died, not damage.
    """
    records: list[Data] = []
    damaged = 0
    for line, is_ended in _lines(raw):
        record = _decode(line) if _has_valid_checksum(line) else None
        if record is not None:
            records.append(record)
            continue
        found, is_lost = _resynchronize(line)
        records += found
        damaged += is_lost and is_ended
    return records, damaged


def base_of(records: list[Data]) -> list[int] | None:
    """Return the fingerprint of the JSON file that the records apply to, None for no file or if it is not known."""
    base: list[int] | None = next((r["opened"].get("base") for r in records if "opened" in r), None)
    return base


def replay(session: Data | None, records: list[Data]) -> Data | None:
    """Apply `records` to `session` (JSON data, not modified) and close open turns as interrupted.

    Returns None if the result is not a session.
    """
    before: Data = session or {}
    result: Data = dict(before)
    turns: list[Any] = list(result.get("turns") or [])
    places: dict[int, int] = {}
    growing: list[str] = []
    open_turn = -1

    def close() -> None:
        if open_turn >= 0:
            turns[open_turn] = _close_turn(turns[open_turn], "".join(growing))

    for record in records:
        if "head" in record:
            _keep_answerers(result.get("model"), record["head"].get("model"), turns)
            result.update(record["head"])
        elif "turn" in record:
            number = record["turn"]
            at = places.setdefault(number, min(number - 1, len(turns)))  # records of turns before it may be damaged
            if at != open_turn:
                close()
            turns[at:] = [record["is"], *turns[at + 1 :]]
            growing = []
            open_turn = at if record.get("open") else -1
        elif "text" in record:
            growing.append(record["text"])
    close()
    result["turns"] = turns
    if turns != before.get("turns"):
        result["usage_totals"] = _totals(before, turns)
    return result if "model" in result and turns else None


def copy_in(records: list[Data], model: str | None) -> Data | None:
    """Return what the records alone hold, as a copy of the session without its other turns.

    `model` is that of the session, None if its file is gone. A turn has a `parent_id` if it is known and not the turn
    before it in the copy. Returns None if the records change nothing.
    """
    if not any("turn" in record or "head" in record for record in records):
        return None
    changed = {record["turn"] for record in records if "turn" in record}
    before = {"model": model or _answerer(records), "turns": [None] * max(changed, default=1)}
    session: Data = replay(before, records) or before
    after = {record.get("turn"): record["after"] for record in records if "after" in record}
    turns: list[Data] = []
    for number, turn in enumerate(session["turns"], 1):
        if turn is not None:
            parent = turn.get("parent_id", after.get(number))
            is_before = parent == (turns[-1].get("id") if turns else "")
            turns.append(turn if parent is None or is_before else {**turn, "parent_id": parent})
    copy = {key: value for key, value in session.items() if key != "usage_totals"}
    if isinstance(copy.get("meta"), dict):
        copy["meta"] = _with_marker_id(copy["meta"], after.get(None))
    return {**copy, "turns": turns}


def _answerer(records: list[Data]) -> str:
    """The model that the last turn was sent to."""
    turns = [record["is"] for record in records if "turn" in record]
    return next((m for turn in reversed(turns) if isinstance(m := turn.get("answered_by"), str)), "unknown")


def _with_marker_id(meta: Data, after: str | None) -> Data:
    """Return `meta` with the id of the turn after which the context starts: its number holds for one file only."""
    if not meta.get("context_start"):
        return meta
    other = {key: value for key, value in meta.items() if key != "context_start"}
    return other if after is None else {**other, "context_after": after}


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
    ignored = {"turns": (), "usage_totals": ()}
    return {**before, **ignored} == {**after, **ignored} and are_contained(after["turns"], before["turns"])


def are_contained(turns: list[Any], known: list[Any]) -> bool:
    """Whether each of `turns` is one of `known` at the same place, or an earlier state of it."""
    pairs = zip(turns, known, strict=False)
    return len(turns) <= len(known) and all(turn == full or _is_prefix(turn, full) for turn, full in pairs)


def _totals(before: Data, turns: list[Any]) -> Any:
    """Return the session's totals changed by what its turns gained; counts of other programs are kept."""
    totals, old = before.get("usage_totals"), before.get("turns") or []
    if not isinstance(totals, dict):
        totals, old = dict.fromkeys(_COUNTS, 0), []
    result = dict(totals)
    for key in _COUNTS:
        change = _sum(turns, key) - _sum(old, key)
        if change:
            count = result.get(key)
            result[key] = max(0, (count if isinstance(count, int) else 0) + change)
    return result


def _sum(turns: list[Any], key: str) -> int:
    usages = (turn.get("usage") for turn in turns if isinstance(turn, dict))
    counts = (usage.get(key) for usage in usages if isinstance(usage, dict))
    return sum(count for count in counts if isinstance(count, int) and count > 0)


def _is_prefix(part: Any, full: Any) -> bool:
    """Whether `part` is an earlier state of the same turn."""
    if not (isinstance(part, dict) and isinstance(full, dict)):
        return False
    (question, began), (same, ended) = _texts(part), _texts(full)
    return (question, part.get("created_at")) == (same, full.get("created_at")) and ended.startswith(began)


def _texts(turn: Data) -> tuple[Any, str]:
    """Return the first message of a turn, and the joined text of the others."""
    messages = turn.get("messages")
    question, *reply = messages if isinstance(messages, list) and messages else [None]
    return question, "".join(str(message.get("content")) for message in reply if isinstance(message, dict))


def _close_turn(turn: Data, reply: str) -> Data:
    if not reply:
        return {**turn, "finish_reason": "error"}
    messages = [*turn["messages"], {"role": "assistant", "content": reply}]
    return {**turn, "messages": messages, "finish_reason": "interrupted"}


def _lines(raw: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield each line without its end, and whether it has one."""
    at = 0
    while (end := raw.find(b"\n", at)) >= 0:
        yield raw[at:end], True
        at = end + 1
    if at < len(raw):
        yield raw[at:], False


def _resynchronize(line: bytes) -> tuple[list[Data], bool]:
    """Find records in a damaged line, such as two whose line end was lost; and whether anything else is in it."""
    records: list[Data] = []
    starts = [found.start() for found in _START.finditer(line)]
    reached = lost = 0
    for number, start in enumerate(starts):
        if start < reached:
            continue
        following = starts[number + 1] - 1 if number + 1 < len(starts) else len(line)
        for end in (following, len(line), len(line) - 1):
            part = line[start:end]
            record = _decode(part) if _has_valid_checksum(part) else None
            if record is not None:
                records.append(record)
                lost += start - reached > 1
                reached = end
                break
    return records, bool(lost or len(line) - reached > 1)


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
