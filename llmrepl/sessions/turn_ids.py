"""Ids of turns: random for a new turn, derived from its content for a turn that was written without one. Pure.

A derived id is the start of a SHA-256 over the id of the turn before, the messages and `created_at`. None of these
changes after the turn ends, so two copies of an older file agree on the ids of the turns that they share.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

ROOT = ""
"""The parent of a first turn."""


def canonical(value: Any) -> str:
    """Serialize JSON data so that equal data gives equal text, regardless of key order."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def digest(*values: Any) -> str:
    """Return 16 hex digits that identify JSON data."""
    return hashlib.sha256(canonical(values).encode("ascii")).hexdigest()[:16]


def identify(turns: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return id and parent id of each turn, in order.

    The parent is the `parent_id` of the turn, else the turn before it in the file, ROOT for the first.
    """
    identified: list[tuple[str, str]] = []
    before = ROOT
    for turn in turns:
        given, parent = turn.get("id"), turn.get("parent_id")
        if not isinstance(parent, str):
            parent = before
        before = given if isinstance(given, str) and given else digest(parent, turn["messages"], turn.get("created_at"))
        identified.append((before, parent))
    return identified
