"""Join JSON values of two copies of a session. Pure."""

from __future__ import annotations

from typing import Any

from llmrepl.sessions.turn_ids import canonical

ABSENT: Any = object()
"""Stands for a value that is not there."""


def join_optional(one: Any, other: Any, absent: Any = None) -> Any:
    """Join two values of which one or both may be `absent`."""
    if one is absent or other is absent:
        return other if one is absent else one
    return join_values(one, other)


def join_values(one: Any, other: Any) -> Any:
    """Join two JSON values: objects key by key, different lists as their union, else the greater value."""
    if canonical(one) == canonical(other):
        return min(one, other, key=repr) if isinstance(one, dict | list) else one
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return {k: join_optional(one.get(k, ABSENT), other.get(k, ABSENT), ABSENT) for k in keys}
    if isinstance(one, list) and isinstance(other, list):
        items = {canonical(item): item for item in (*one, *other)}
        return [items[key] for key in sorted(items)]
    return max(one, other, key=_rank)


def _rank(value: Any) -> tuple[int, float, str]:
    kinds: tuple[Any, ...] = (type(None), bool, (int, float), str, list, dict)
    kind = next(n for n, types in enumerate(kinds) if isinstance(value, types))
    return kind, value if kind == 2 else 0, value if kind == 3 else canonical(value)
