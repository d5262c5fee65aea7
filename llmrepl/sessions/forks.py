"""The tree of forked sessions, from `meta.parent` of each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrepl.sessions.index import scan
from llmrepl.sessions.names import session_names


@dataclass(frozen=True, slots=True)
class ForkNode:
    """A session, identified by its file name.

    `after` is the turn of `parent` where the fork starts, 0 if unknown. `gone` marks a parent that other sessions refer
    to but that is not in the directory.
    """

    name: str
    turns: int = 0
    title: str = ""
    parent: str = ""
    after: int = 0
    gone: bool = False


def read(directory: Path) -> Iterator[ForkNode]:
    """Read a node from every readable session in `directory`. Opens every file."""
    for name in session_names(directory):
        row, data = scan.read(directory / name)
        if data is not None:
            parent, after = _parent(data.get("meta"))
            yield ForkNode(name, row.turns, row.title, parent, after)


def family(branches: Iterable[ForkNode], name: str) -> Iterator[tuple[int, ForkNode]]:
    """Walk the tree that contains `name` from its root, yielding depth and node. Cycles are cut."""
    known = {branch.name: branch for branch in branches}
    root, seen = name, {name}
    while (known[root].parent if root in known else "") and known[root].parent not in seen:
        root = known[root].parent
        seen.add(root)
    children: dict[str, list[ForkNode]] = {}
    for branch in sorted(known.values(), key=lambda one: (one.after, one.name), reverse=True):
        if branch.name != root:
            children.setdefault(branch.parent, []).append(branch)
    waiting = [(0, known.get(root) or ForkNode(root, gone=True))]
    while waiting:
        depth, branch = waiting.pop()
        yield depth, branch
        waiting += [(depth + 1, child) for child in children.pop(branch.name, [])]


def _parent(meta: Any) -> tuple[str, int]:
    """Extract parent name and turn number from the unvalidated `meta` of a file."""
    parent = meta.get("parent") if isinstance(meta, dict) else None
    if not isinstance(parent, dict) or not isinstance(parent.get("session"), str):
        return "", 0
    turn = parent.get("turn")
    return parent["session"], turn if isinstance(turn, int) and turn > 0 else 0
