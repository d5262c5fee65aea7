"""Conversations that other programs store as a tree of messages, of which the last shown path is imported."""

from __future__ import annotations

from typing import Any

from llmrepl.sessions.importing.source_file import as_dict, as_list


def path_to(nodes: dict[str, Any], current: object, parent: str, children: str) -> list[str]:
    """Return the ids from the root to `current`, or to the last leaf with a message if `current` is missing.

    `parent` and `children` are the fields of a node that hold the id of its parent and those of its children.
    """
    if not isinstance(current, str) or current not in nodes:
        known = {id: as_dict(node) for id, node in nodes.items()}
        leaves = [id for id, node in known.items() if node and not as_list(node.get(children))]
        current = leaves[-1] if leaves else None
    path: list[str] = []
    seen: set[str] = set()
    while isinstance(current, str) and current in nodes and current not in seen:
        seen.add(current)
        path.append(current)
        current = as_dict(nodes[current]).get(parent)
    return path[::-1]
