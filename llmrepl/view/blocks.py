"""Markdown cut into blocks line by line, as CommonMark (0.31) and GitHub's tables have it, without looking back.

A block is handed out when no later line can change it: code and HTML line by line, a paragraph when it is over, or in
sections of less than `LIMIT` characters if it is long. Two differences from CommonMark follow, and hold however the
text arrives: a link whose reference is defined further down stays as written, and so does markup across sections.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from llmrepl.view.inline import References, take_definitions

LIMIT = 1000
"""A paragraph that has this many characters is cut; so much, at most, is ever looked at again."""

_ITEM = re.compile(r"([-+*]|(\d{1,9})([.)]))( +|$)")
_HEADING = re.compile(r"#{1,6}(?= |$)")
_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_ALIGNMENT = re.compile(r":?-+:?")


@dataclass(frozen=True, slots=True)
class Quote:
    """A block quote."""

    serial: int


@dataclass(frozen=True, slots=True)
class Group:
    """A list: its items share `mark` (`-`, `+`, `*`, `.` or `)`); `number` is that of the latest item."""

    serial: int
    mark: str
    number: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the list `group`. `number` is None for a bullet; its text begins `width` columns in."""

    serial: int
    group: int
    number: int | None
    mark: str
    width: int


Place = tuple[Quote | Item, ...]
"""The quotes and items that a block is in, the outermost first."""

Kind = Literal["prose", "heading", "code", "html", "table", "rule", "empty"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, or a part of one: a line of code or HTML, a section of a paragraph. `empty` is an item without text.

    `apart`: a blank line stands before it. `begins` and `ends`: it is the first, the last part. `detail`: the level of
    a heading (`1` to `6`), the language of code. The text of a table is its lines.
    """

    kind: Kind
    place: Place
    text: str = ""
    apart: bool = False
    begins: bool = True
    ends: bool = True
    detail: str = ""


@dataclass(slots=True)
class _Leaf:
    """The open block that holds text."""

    kind: Literal["prose", "fence", "indented", "html", "table"]
    place: Place
    apart: bool
    text: str = ""
    begins: bool = True
    lines: list[str] = field(default_factory=list)
    fence: str = ""
    indent: int = 0
    detail: str = ""
    over: re.Pattern[str] | None = None


class _Opening(NamedTuple):
    """What a line begins with: a kind of block, and what the pattern of that kind found."""

    kind: Literal["quote", "heading", "fence", "html", "rule", "item"]
    found: re.Match[str] | None = None
    over: re.Pattern[str] | None = None


class Scanner:
    """The open blocks of a Markdown text; each method returns the pieces that it finished."""

    def __init__(self) -> None:
        self.references: References = {}
        self._stack: list[Quote | Group | Item] = []
        self._leaf: _Leaf | None = None
        self._blank = False
        self._childless = 0
        self._serial = 0
        self._out: list[Piece] = []

    def fork(self) -> Scanner:
        """A scanner to try on it what may come; it costs no more than the open blocks."""
        twin = copy.copy(self)
        twin.references = {**self.references}
        twin._stack = [*self._stack]
        twin._leaf = replace(self._leaf, lines=[*self._leaf.lines]) if self._leaf else None
        return twin

    @property
    def in_prose(self) -> bool:
        """Whether a paragraph is open."""
        return self._leaf is not None and self._leaf.kind == "prose"

    @property
    def in_lines(self) -> bool:
        """Whether a block is open that is not shown before a line or all of it is complete: code, HTML, a table."""
        return self._leaf is not None and self._leaf.kind != "prose"

    def line(self, line: str) -> list[Piece]:
        """Take a line, without its end."""
        rest = line.expandtabs(4)
        depth, rest = self._descend(rest)
        if not self._goes_on(depth, rest):
            self._begin(depth, rest)
        return self._handed_out()

    def more(self, text: str) -> list[Piece]:
        """Take more of the latest line, which belongs to a paragraph."""
        if self._leaf:
            self._leaf.text += text.replace("\t", " ")
            self._cut_long(self._leaf)
        return self._handed_out()

    def end(self) -> list[Piece]:
        """Close every block: the text is over."""
        self._shut(0)
        return self._handed_out()

    def unsettled(self) -> None:
        """Forget the last line of an open paragraph if it looks like the head of a table."""
        if self._leaf:
            before, _, last = self._leaf.text.rpartition("\n")
            if last.startswith("|"):
                self._leaf.text = before

    def _handed_out(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _descend(self, rest: str) -> tuple[int, str]:
        """How many of the open containers go on in this line, and what is left of it."""
        for depth, container in enumerate(self._stack):
            indent = _indent(rest)
            if isinstance(container, Quote):
                if indent > 3 or rest[indent : indent + 1] != ">":
                    return depth, rest
                rest = rest[indent + 1 :].removeprefix(" ")
            elif isinstance(container, Item):
                blank = indent == len(rest)
                if container.serial == self._childless if blank else indent < container.width:
                    return depth, rest
                rest = rest[container.width :]
        return len(self._stack), rest

    def _goes_on(self, depth: int, rest: str) -> bool:
        """Whether an open block of lines takes this one; else it is closed."""
        leaf = self._leaf
        if leaf is None or leaf.kind == "prose":
            return False
        if depth == len(self._stack) and self._takes(leaf, rest):
            return True
        self._close_leaf()
        return False

    def _takes(self, leaf: _Leaf, rest: str) -> bool:
        indent = _indent(rest)
        body = rest[indent:]
        if leaf.kind == "fence":
            if indent <= 3 and body.startswith(leaf.fence) and not body.strip(leaf.fence[0] + " "):
                self._close_leaf()
            else:
                self._hand_out_line(leaf, "code", rest[min(indent, leaf.indent) :])
        elif leaf.kind == "indented":
            if not body:
                leaf.lines.append(rest[4:])
            elif indent < 4:
                return False
            else:
                for line in (*leaf.lines, rest[4:]):
                    self._hand_out_line(leaf, "code", line)
                leaf.lines.clear()
        elif leaf.kind == "html":
            over = leaf.over is not None and leaf.over.search(body)
            if over and not body:
                return False
            self._hand_out_line(leaf, "html", rest)
            if over:
                self._close_leaf()
        elif not body or indent > 3 or _opening(body):
            return False
        else:
            leaf.lines.append(body)
        return True

    def _begin(self, depth: int, rest: str) -> None:
        """Begin the blocks that the rest of a line begins, then put its text where it belongs."""
        fresh = False
        while True:
            indent = _indent(rest)
            body = rest[indent:]
            whole = depth == len(self._stack)
            if not body or indent > 3 or (whole and self._underlines(body)):
                break
            opening = _opening(body, interrupts=whole and self.in_prose, lazy=self.in_prose)
            if opening is None:
                break
            self._shut(depth)
            if opening.kind == "quote":
                self._leave_list()
                self._push(Quote(self._next()))
                rest = body[1:].removeprefix(" ")
            elif opening.kind == "item" and opening.found:
                rest = self._begin_item(opening.found, indent, body)
            else:
                self._leave_list()
                self._begin_leaf(opening, rest)
                return
            depth, fresh = len(self._stack), True
        if not body:
            self._shut(depth)
            if self.in_prose:
                self._close_leaf()
            self._blank = self._blank or not fresh
        elif self.in_prose and (not fresh):
            self._add(body, whole)
        else:
            self._shut(depth)
            self._leave_list()
            if indent > 3:
                self._open("indented")
                self._takes(self._opened(), rest)
            else:
                self._open("prose").text = body
                self._cut_long(self._opened())

    def _begin_item(self, found: re.Match[str], indent: int, body: str) -> str:
        marker, digits, mark = found[1], found[2], found[3] or found[1]
        spaces = len(found[4])
        rest = body[found.end() :]
        if not rest:
            width = len(marker) + 1
        elif spaces > 4:
            width = len(marker) + 1
            rest = body[width:]
        else:
            width = len(marker) + spaces
        group = self._stack[-1] if self._stack else None
        if isinstance(group, Group) and group.mark == mark:
            group = replace(group, number=group.number + 1)
            self._stack[-1] = group
        else:
            self._leave_list()
            group = Group(self._next(), mark, int(digits or 0))
            self._push(group)
        item = Item(self._next(), group.serial, group.number if digits else None, mark, indent + width)
        self._push(item)
        self._childless = item.serial
        return rest

    def _begin_leaf(self, opening: _Opening, rest: str) -> None:
        body = rest.lstrip(" ")
        if opening.kind == "rule":
            self._put("rule")
        elif opening.kind == "heading" and opening.found:
            level = opening.found.end()
            self._put("heading", _heading_text(body[level:]), detail=str(level))
        elif opening.kind == "fence" and opening.found:
            leaf = self._open("fence")
            leaf.fence, leaf.indent = opening.found[0], len(rest) - len(body)
            leaf.detail = body[opening.found.end() :].strip()
        else:
            leaf = self._open("html")
            leaf.over = opening.over
            self._takes(leaf, rest)

    def _underlines(self, body: str) -> bool:
        """Whether the line makes the open paragraph a heading, or its last line the head of a table."""
        leaf = self._leaf
        if leaf is None or leaf.kind != "prose" or not leaf.begins:
            return False
        before, _, last = leaf.text.rpartition("\n")
        if _is_delimiter_row(body) and "|" in last and len(table_cells(last)) == len(table_cells(body)):
            leaf.text = before
            if before:
                self._close_leaf()
            self._leaf = None
            self._open("table", apart=leaf.apart and not before).lines = [last, body]
            return True
        line = body.rstrip(" ")
        if line.strip("=") and line.strip("-"):
            return False
        text = take_definitions(leaf.text, self.references)
        if not text:
            return False
        self._leaf = None
        self._put("heading", text, apart=leaf.apart, detail="1" if line[0] == "=" else "2")
        return True

    def _add(self, body: str, whole: bool) -> None:
        """Go on with the open paragraph, or finish the underlining of it."""
        leaf = self._opened()
        leaf.text += "\n" + body
        self._cut_long(leaf)

    def _cut_long(self, leaf: _Leaf) -> None:
        while len(leaf.text) >= LIMIT:
            end = _section(leaf.text)
            self._out.append(Piece("prose", leaf.place, leaf.text[:end], leaf.apart, leaf.begins, ends=False))
            leaf.text, leaf.begins = leaf.text[end:], False

    def _hand_out_line(self, leaf: _Leaf, kind: Kind, line: str) -> None:
        self._out.append(Piece(kind, leaf.place, line, leaf.apart, leaf.begins, ends=False, detail=leaf.detail))
        leaf.begins = False

    def _shut(self, depth: int) -> None:
        """Close the open text and every container below `depth`, if there are such."""
        if depth < len(self._stack) or (depth == 0 and self._leaf):
            self._close_leaf()
        while len(self._stack) > depth:
            if getattr(self._stack[-1], "serial", 0) == self._childless:
                self._put("empty")
            self._stack.pop()

    def _close_leaf(self) -> None:
        leaf, self._leaf = self._leaf, None
        if leaf is None:
            return
        if leaf.kind == "prose":
            text = take_definitions(leaf.text, self.references) if leaf.begins else leaf.text
            self._out.append(Piece("prose", leaf.place, text, leaf.apart, leaf.begins))
        elif leaf.kind == "table":
            self._out.append(Piece("table", leaf.place, "\n".join(leaf.lines), leaf.apart))
        elif leaf.kind == "indented":
            self._blank = bool(leaf.lines)
        elif leaf.kind == "fence" and leaf.begins:
            self._out.append(Piece("empty", leaf.place, apart=leaf.apart))
