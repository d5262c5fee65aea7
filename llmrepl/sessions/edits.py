"""Count how often values were changed, so that a merge prefers the newer value. Pure.

`meta.edits` counts the changes of the model, `system` and each key of `meta` after their first value; the higher count
wins a merge. For tags it counts additions and removals: the tag is present if the count is odd (a causal length set: Yu
and Rostad, 2020). A tag that was only added, with count 1, is not listed. A turn's `undo_count` does the same for
`undone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "edits"
"""The key in `meta`."""

TAGS = "tags"

MODEL = "model_choice"
"""The key that counts changes of `model`; scripts that count models by line look for the key `model`."""

_FIRST = {"title": 1}
"""Counts of a value that was not changed yet: a merge counts a title that is not the automatic one as the first."""


def count_of(meta: Mapping[str, Any] | None, key: str) -> int:
    """Return how often the value of `key` was changed."""
    counts = (meta or {}).get(KEY)
    return _number(counts.get(key)) if isinstance(counts, Mapping) else 0


def tag_counts(meta: Mapping[str, Any] | None) -> dict[str, int]:
    """Return for each tag that is or was there how often it was added or removed."""
    tags, counts = (meta or {}).get(TAGS), (meta or {}).get(KEY)
    listed = counts.get(TAGS) if isinstance(counts, Mapping) else None
    present = {tag for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else set()
    known = {tag: _number(n) for tag, n in listed.items()} if isinstance(listed, Mapping) else {}
    return {tag: toggles(tag in present, known.get(tag, 0)) for tag in sorted(present | set(known))}


def toggles(is_set: bool, count: int) -> int:
    """Return how often a mark was set or removed; `count` may lack a last change that another program made."""
    return count if count % 2 == is_set else count + 1


def changed_header(
    old_meta: Mapping[str, Any] | None, meta: Mapping[str, Any] | None, changed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return `meta` with the counts of what differs from `old_meta`, and of the `changed` keys outside `meta`."""
    old, new = dict(old_meta or {}), dict(meta or {})
    listed = old.get(KEY)
    counts = dict(listed) if isinstance(listed, Mapping) else {}
    for key in {*changed, *(key for key in old if key not in (KEY, TAGS) and new.get(key) != old[key])}:
        counts[key] = max(_number(counts.get(key)), _FIRST.get(key, 0)) + 1
    tags = _changed_tags(old, new)
    if tags:
        counts[TAGS] = tags
    new.pop(KEY, None)
    return {**new, KEY: counts} if counts else new


def _changed_tags(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, int]:
    before, tags = tag_counts(old), new.get(TAGS)
    present = {tag for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else set()
    after = {tag: toggles(tag in present, before.get(tag, 0)) for tag in {*before, *present}}
    return {tag: after[tag] for tag in sorted(after) if after[tag] > 1}


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0
