"""Merge two copies of a session. Pure.

The merge is a join: commutative, associative and idempotent, so copies that were merged in any order, any number of
times, are equal byte for byte. The turns of both copies form a tree by their parents (see turn_ids.py). The path to
the newest turn stays the conversation. Every other tail is a branch: its turns are marked `branch`, stand before the
tail that continues, and are not sent to the model. What a copy says about a turn or the session is joined key by key;
counts of changes tell newer values from older ones (see edits.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrepl.sessions import edits
from llmrepl.sessions.join_values import ABSENT, join_optional, join_values
from llmrepl.sessions.model import ERROR, INTERRUPTED, Session, title_from_prompt
from llmrepl.sessions.storage import session_file
from llmrepl.sessions.turn_ids import ROOT, canonical, digest, identify

Data = dict[str, Any]

_REPLY = (
    *("created_at", "usage", "latency_ms", "cost_estimate", "answered_by", "finish_reason"),
    *("citations", "pictures", "provider_data"),
)
_PLACE = ("messages", "id", "parent_id", "branch", "undone", "undo_count", "copied")
_OWN_META = (edits.KEY, edits.TAGS, "title", "context_start", "context_after", "summary")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_TITLES = " / "


@dataclass
class _Node:
    """A turn: its raw parent id, and its versions by the canonical text of their messages."""

    parent: str
    versions: dict[str, Data]
    undo_count: int
    copied: bool
    extra: Data

    @property
    def created_at(self) -> str:
        return str(self.ordered()[0].get("created_at") or "")

    def ordered(self) -> list[Data]:
        """The versions, fullest first. The first one has the id of the turn."""
        return [self.versions[key] for key in sorted(self.versions, key=lambda k: (len(k), k), reverse=True)]


@dataclass
class _Head:
    """The session without its turns."""

    edits: dict[str, int]
    values: Data
    tags: dict[str, int] | None
    titles: frozenset[str]
    has_title: bool
    marker: tuple[str, str | None] | None
    created_at: str | None
    model: str
    totals: Data | None
    extra: Data = field(default_factory=dict)


@dataclass
class _State:
    nodes: dict[str, _Node]
    head: _Head


def merge(ours: Session, theirs: Session) -> Session:
    """Return the union of two copies of a session, neither of which is modified.

    A copy that already has everything is returned as it is. Git, too, takes a side without asking its driver if only
    that one changed, so a normal form would make the result depend on who met whom. Of two such copies, one that is
    not in normal form is preferred, then the greater one. A copy in which a turn stands twice is not complete.
    """
    copies = [(copy, _read(_data(copy))) for copy in (ours, theirs)]
    union = _render(_join(copies[0][1], copies[1][1]))
    complete = [copy for copy, state in copies if canonical(_render(state)) == canonical(union)]
    merged = Session.model_validate(union)
    normal = session_file.dump(merged)
    texts = [(session_file.dump(copy), copy) for copy in complete if len(copy.turns) == len(merged.turns)]
    return max(texts, key=lambda text: (text[0] != normal, text[0]), default=(normal, merged))[1]


def are_copies(ours: Session, theirs: Session) -> bool:
    """Whether two sessions began as one.

    They have the same date or a turn in common, one goes on after a turn of the other, or one of them has no turn.
    """
    if ours.created_at and ours.created_at == theirs.created_at:
        return True
    one, other = (_read(_data(session)).nodes for session in (ours, theirs))
    known = {*one} & {*other} | {node.parent for node in one.values()} & {*other}
    return not one or not other or bool(known | {node.parent for node in other.values()} & {*one})


def _data(session: Session) -> Data:
    data: Data = session.model_dump(mode="json", exclude_unset=True)
    return data


# ---------------------------------------------------------------- reading a copy


def _read(data: Data) -> _State:
    turns: list[Data] = data["turns"]
    identified = identify(turns)
    bases = {key: _base_id(turn, key) for turn, (key, _) in zip(turns, identified, strict=True)}
    nodes: dict[str, _Node] = {}
    for turn, (name, parent) in zip(turns, identified, strict=True):
        key = bases[name]
        first = nodes[key].parent if key in nodes else bases.get(parent, parent)
        node = _node(turn, first, data["model"])
        nodes[key] = _join_nodes(nodes[key], node, nodes) if key in nodes else node
    return _State(nodes, _head(data, _line(data["turns"], [bases[name] for name, _ in identified]), nodes))


def _line(turns: list[Data], keys: list[str]) -> list[str]:
    """The id of the last turn so far that is no aside and on no branch, for each turn; ROOT before the first."""
    line = [ROOT]
    for turn, key in zip(turns, keys, strict=True):
        line.append(line[-1] if turn.get("branch") is True or turn.get("aside") is True else key)
    return line[1:]


def _base_id(turn: Data, key: str) -> str:
    """The id that a second version of a turn stands for: `ID~HASH` with the hash of its messages."""
    base, mark, version = key.rpartition("~")
    return base if mark and version == digest(turn["messages"]) else key


def _node(turn: Data, parent: str, model: str) -> _Node:
    reply = {key: turn[key] for key in _REPLY if turn.get(key) is not None}
    if _reply_of(turn["messages"]) and "answered_by" not in reply:
        reply["answered_by"] = model
    version = {**reply, "messages": turn["messages"]}
    count = edits.toggles(bool(turn.get("undone")), _integer(turn.get("undo_count")))
    extra = {key: value for key, value in turn.items() if key not in _REPLY and key not in _PLACE}
    return _Node(parent, {canonical(turn["messages"]): version}, count, bool(turn.get("copied")), extra)


def _head(data: Data, order: list[str], nodes: Mapping[str, _Node]) -> _Head:
    meta: Data = data.get("meta") or {}
    counts = {key: edits.count_of(meta, key) for key in meta.get(edits.KEY) or {} if key != edits.TAGS}
    title = meta.get("title")
    roots = (node for node in nodes.values() if node.parent == ROOT)
    automatic = not counts.get("title") and any(title == _automatic_title(node) for node in roots)
    titles = frozenset(title.split(_TITLES)) if isinstance(title, str) and title and not automatic else frozenset()
    if titles:
        counts["title"] = max(1, counts.get("title", 0))
    values = {f"meta.{key}": value for key, value in meta.items() if key not in _OWN_META}
    if counts.get(edits.MODEL):
        values[edits.MODEL] = data["model"]
    if "system" in data:
        values["system"] = data["system"]
    return _Head(
        edits={key: count for key, count in counts.items() if count},
        values=values,
        tags=edits.tag_counts(meta) if edits.TAGS in meta else None,
        titles=titles,
        has_title="title" in meta,
        marker=_marker(meta, order),
        created_at=data.get("created_at"),
        model=data["model"],
        totals=_own_totals(data),
        extra={key: value for key, value in data.items() if key not in Session.model_fields},
    )


def _own_totals(data: Data) -> Data | None:
    """The totals that do not follow from the turns; all, of a program that counts only in total."""
    totals: Data | None = data.get("usage_totals")
    if totals and any(turn.get("usage") for turn in data["turns"]):
        return {key: value for key, value in totals.items() if key not in _COUNTS}
    return totals


def _marker(meta: Data, order: list[str]) -> tuple[str, str | None] | None:
    """Return id and summary of the last turn that a reset or a summary removed from the context."""
    start, after, summary = meta.get("context_start"), meta.get("context_after"), meta.get("summary")
    if isinstance(start, int) and 0 < start <= len(order):
        after = order[start - 1]
    summary = summary if isinstance(summary, str) else None
    if isinstance(after, str) and after:
        return after, summary
    return (ROOT, summary) if summary is not None else None


def _automatic_title(node: _Node) -> str:
    return title_from_prompt(_prompt_of(node.ordered()[0]["messages"]))


def _join(one: _State, other: _State) -> _State:
    nodes = {**one.nodes, **other.nodes}
    for key in one.nodes.keys() & other.nodes.keys():
        nodes[key] = _join_nodes(one.nodes[key], other.nodes[key], nodes)
    return _State(nodes, _join_heads(one.head, other.head, nodes))


def _join_nodes(one: _Node, other: _Node, nodes: Mapping[str, _Node]) -> _Node:
    versions = {**one.versions, **other.versions}
    for key in one.versions.keys() & other.versions.keys():
        versions[key] = _join_replies(one.versions[key], other.versions[key])
    latest = {k: v for k, v in versions.items() if not any(_is_earlier(v, w) for w in versions.values() if w is not v)}
    parents = (one.parent, other.parent)
    parent = max(parents, key=lambda p: (_date(nodes, p), p))
    count = max(one.undo_count, other.undo_count)
    return _Node(parent, latest, count, one.copied and other.copied, join_values(one.extra, other.extra))


def _join_replies(one: Data, other: Data) -> Data:
    """Join what two copies say about the same messages.

    The last time that a failed turn was asked counts; each has a later date. A reply that ended outranks one that was
    cut off in the same place.
    """
    ranks = [_reply_rank(version) for version in (one, other)]
    if ranks[0] != ranks[1]:
        return one if ranks[0] > ranks[1] else other
    joined: Data = join_values(*({k: v for k, v in version.items() if k != "messages"} for version in (one, other)))
    messages = min(one["messages"], other["messages"], key=repr)  # equal but for the order of keys
    return {**joined, "messages": messages}


def _reply_rank(version: Data) -> tuple[str, bool]:
    return str(version.get("created_at") or ""), version.get("finish_reason") not in (ERROR, INTERRUPTED, None)


def _is_earlier(version: Data, later: Data) -> bool:
    """Whether the later version has the same prompt and a reply that begins with that of the other one."""
    prompt, reply = _split(version["messages"])
    same, longer = _split(later["messages"])
    sizes = [(len(reply), len(version["messages"])), (len(longer), len(later["messages"]))]
    return prompt == same and longer.startswith(reply) and sizes[0] < sizes[1]


def _split(messages: list[Data]) -> tuple[str, str]:
    return canonical([m for m in messages if m["role"] != "assistant"]), _reply_of(messages)


def _reply_of(messages: list[Data]) -> str:
    return "".join(_text(m.get("content")) for m in messages if m["role"] == "assistant")


def _prompt_of(messages: list[Data]) -> str:
    return "\n\n".join(_text(m.get("content")) for m in messages if m["role"] == "user")


def _text(content: Any) -> str:
    return content if isinstance(content, str) else canonical(content) if content else ""


def _join_heads(one: _Head, other: _Head, nodes: Mapping[str, _Node]) -> _Head:
    counts = {key: max(h.edits.get(key, 0) for h in (one, other)) for key in {*one.edits, *other.edits}}
    values = {key: _register(key, one, other) for key in {*one.values, *other.values}}
    newest = counts.get("title", 0)
    titles = frozenset[str]().union(*(h.titles for h in (one, other) if h.edits.get("title", 0) == newest))
    return _Head(
        edits=counts,
        values={key: value for key, value in values.items() if value is not ABSENT},
        tags=_join_tags(one.tags, other.tags),
        titles=titles,
        has_title=one.has_title or other.has_title,
        marker=_join_markers(one, other, nodes),
        created_at=min((h.created_at for h in (one, other) if h.created_at is not None), default=None),
        model=max(one.model, other.model),
        totals=join_optional(one.totals, other.totals),
        extra=join_values(one.extra, other.extra),
    )


def _register(key: str, one: _Head, other: _Head) -> Any:
    """Return the value that was changed more often, otherwise both values joined."""
    name = key.removeprefix("meta.")
    first, second = (h.values.get(key, ABSENT) for h in (one, other))
    if one.edits.get(name, 0) != other.edits.get(name, 0):
        return first if one.edits.get(name, 0) > other.edits.get(name, 0) else second
    return join_optional(first, second, ABSENT)


def _join_tags(one: dict[str, int] | None, other: dict[str, int] | None) -> dict[str, int] | None:
    if one is None or other is None:
        return other if one is None else one
    return {tag: max(one.get(tag, 0), other.get(tag, 0)) for tag in {*one, *other}}


def _join_markers(one: _Head, other: _Head, nodes: Mapping[str, _Node]) -> tuple[str, str | None] | None:
    newest = max(h.edits.get("context_start", 0) for h in (one, other))
    markers = [h.marker for h in (one, other) if h.marker and h.edits.get("context_start", 0) == newest]
    return max(markers, key=lambda m: (_date(nodes, m[0]), m[0], m[1] is not None, m[1] or ""), default=None)


def _date(nodes: Mapping[str, _Node], id: str) -> str:
    return nodes[id].created_at if id in nodes else ""


# ---------------------------------------------------------------- writing the result


def _render(state: _State) -> Data:
    order, main = _layout(state.nodes)
    turns: list[Data] = []
    places: dict[str, int] = {}
    before = ROOT
    forks = _forks(state.nodes)
    for key in order:
        node = state.nodes[key]
        canonical_version, *others = node.ordered()
        rows = [(f"{key}~{digest(v['messages'])}", v, True) for v in others]
        for name, version, is_extra in (*rows, (key, canonical_version, key not in main)):
            shows_parent = node.parent != before or node.parent in forks or bool(others)
            turns.append(_turn(node, version, name, node.parent if shows_parent else None, branch=is_extra))
            before = name
        places[key] = len(turns)
    return _session(state, turns, [key for key in order if key in main], places)


def _forks(nodes: Mapping[str, _Node]) -> set[str]:
    """The ids of turns that several turns follow."""
    followers = Counter(node.parent for node in nodes.values())
    return {parent for parent, count in followers.items() if count > 1}


def _layout(nodes: dict[str, _Node]) -> tuple[list[str], set[str]]:
    """Return the turns in the order of the file, branches before the tail that continues, and those on no branch.

    These are the main line, and the asides along it.
    """
    children = _children(nodes)
    newest = _newest(nodes, children)

    def by_age(keys: Iterable[str]) -> list[tuple[str, bool]]:
        """The newest first, marked, unless it is an answer that was not picked."""
        usable = {key: (newest[key][0], not _is_unpicked(nodes[key]), not _is_aside(nodes[key])) for key in keys}
        ordered = sorted(usable, key=lambda key: (usable[key], newest[key]), reverse=True)
        return [(key, rank == 0 and not _is_unpicked(nodes[key])) for rank, key in enumerate(ordered)]

    order: list[str] = []
    main: set[str] = set()
    waiting = by_age(children[None])
    asides = {key for key, _ in waiting if _is_aside(nodes[key])}
    while waiting:
        key, is_main = waiting.pop()
        order.append(key)
        following = by_age(children.get(key, ()))
        if is_main:
            main.add(key)
            asides |= {child for child, _ in following if _is_aside(nodes[child])}
        waiting += [(child, is_main and is_newest) for child, is_newest in following]
    return order, main | asides


def _children(nodes: dict[str, _Node]) -> dict[str | None, list[str]]:
    """The turns after each turn; None for those at the start. A turn whose parent is lost, or in a cycle, is one."""
    children: dict[str | None, list[str]] = {None: []}
    for key in sorted(nodes):
        parent = nodes[key].parent
        children.setdefault(parent if parent in nodes else None, []).append(key)
    reached = _descendants(children, children[None])
    for key in sorted(nodes):
        if key not in reached:  # in a cycle, or after one
            children[nodes[key].parent].remove(key)
            children[None].append(key)
            reached |= _descendants(children, [key])
    return children


def _descendants(children: Mapping[str | None, list[str]], keys: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += children.get(key, ())
    return found


def _newest(nodes: dict[str, _Node], children: Mapping[str | None, list[str]]) -> dict[str, tuple[str, int, str]]:
    """For each turn the date of the newest answered turn in its subtree, the size of that, and the greatest id."""
    order, waiting = [], list(children[None])
    while waiting:
        order.append(key := waiting.pop())
        waiting += children.get(key, ())
    newest: dict[str, tuple[str, int, str]] = {}
    for key in reversed(order):
        below = [newest[child] for child in children.get(key, ())]
        date = max([_said_at(nodes[key]), *(d for d, _, _ in below)])
        newest[key] = date, 1 + sum(n for _, n, _ in below), max([key, *(name for _, _, name in below)])
    return newest


def _said_at(node: _Node) -> str:
    """The date of a turn that the conversation can go on from: when it was said or picked; empty for any other."""
    failed = node.ordered()[0].get("finish_reason") == ERROR
    if failed or _is_aside(node) or _is_unpicked(node):
        return ""
    return max(node.created_at, str(node.extra.get("picked_at") or ""))


def _is_aside(node: _Node) -> bool:
    return node.extra.get("aside") is True


def _is_unpicked(node: _Node) -> bool:
    """Whether the turn is an answer of a comparison that was not picked."""
    return bool(node.extra.get("comparison")) and not node.extra.get("picked_at")


def _turn(node: _Node, version: Data, name: str, parent: str | None, *, branch: bool) -> Data:
    reply = {key: _sorted(value) for key, value in version.items() if key != "messages"}
    placed: Data = {"messages": [_message(m) for m in version["messages"]], **reply, **_sorted(node.extra)}
    if node.undo_count % 2:
        placed["undone"] = True
    if node.undo_count > 1:
        placed["undo_count"] = node.undo_count
    if node.copied:
        placed["copied"] = True
    if branch:
        placed["branch"] = True
    if parent is not None:
        placed["parent_id"] = parent
    return {**placed, "id": name}


def _message(message: Data) -> Data:
    first = {key: message[key] for key in ("role", "content", "attachments") if key in message}
    return {**first, **_sorted({key: value for key, value in message.items() if key not in first})}


def _session(state: _State, turns: list[Data], main: list[str], places: Mapping[str, int]) -> Data:
    head = state.head
    data: Data = {"model": _model(state, main), "turns": turns, **_sorted(head.extra)}
    if "system" in head.values:
        data["system"] = head.values["system"]
    if head.created_at is not None:
        data["created_at"] = head.created_at
    if head.totals is not None or any(turn.get("usage") for turn in turns):
        data["usage_totals"] = _totals(head.totals or {}, turns)
    data["meta"] = _meta(state, main, places)
    return data


def _model(state: _State, main: list[str]) -> str:
    """The model that was chosen last, else the one that answered last in the conversation, else anywhere."""
    if edits.MODEL in state.head.values:
        return str(state.head.values[edits.MODEL])
    replies = [(state.nodes[key].ordered()[0]) for key in reversed(main)]
    rest = sorted(state.nodes, key=lambda key: (state.nodes[key].created_at, key), reverse=True)
    replies += [state.nodes[key].ordered()[0] for key in rest]
    return next((str(reply["answered_by"]) for reply in replies if "answered_by" in reply), state.head.model)


def _totals(known: Data, turns: list[Data]) -> Data:
    """The totals of the turns; those of a program that counts only in total are kept."""
    usages = [turn["usage"] for turn in turns if turn.get("usage")]
    sums = {key: sum(max(0, _integer(usage.get(key))) for usage in usages) for key in _COUNTS}
    totals = sums if usages else {key: known[key] for key in _COUNTS if known.get(key) is not None}
    return {**totals, **_sorted({key: value for key, value in known.items() if key not in _COUNTS})}


def _meta(state: _State, main: list[str], places: Mapping[str, int]) -> Data:
    head = state.head
    meta = {key.removeprefix("meta."): value for key, value in head.values.items() if key.startswith("meta.")}
    if head.has_title and (head.titles or main):
        meta["title"] = _TITLES.join(sorted(head.titles)) or _automatic_title(state.nodes[main[0]])
    if head.tags is not None:
        meta[edits.TAGS] = sorted(tag for tag, count in head.tags.items() if count % 2)
    if head.marker:
        after, summary = head.marker
        if after in main:
            meta["context_start"] = places[after]
        elif after != ROOT:
            meta["context_after"] = after
        if summary is not None:
            meta["summary"] = summary
    tags = {tag: count for tag, count in (head.tags or {}).items() if count > 1}
    if head.edits or tags:
        meta[edits.KEY] = {**head.edits, **({edits.TAGS: tags} if tags else {})}
    ordered: Data = _sorted(meta)
    return ordered


def _sorted(value: Any) -> Any:
    """Sort the keys of objects, at every depth."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
