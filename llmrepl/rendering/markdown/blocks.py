"""Splits Markdown into blocks line by line, following CommonMark 0.31 and GitHub tables, without backtracking.

A block is emitted when no later line can change it: code and HTML line by line, a paragraph when it ends, or in
sections if it is long. This implies two differences from CommonMark: a link whose reference is defined further down
stays as written, and the definitions are shown, and so does markup that spans sections.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from llmrepl.rendering.markdown.block_starts import Opening, heading_text, indentation, is_table_head, match_opening
from llmrepl.rendering.markdown.inline import Env, close_markup, take_definitions
from llmrepl.rendering.markdown.tokens import (
    DEEPEST,
    LIMIT,
    BlockToken,
    Container,
    Item,
    Kind,
    Place,
    Quote,
    section_end,
)


@dataclass(slots=True)
class _Leaf:
    """The open block with text. `held` are lines of a table, or blank lines of code that may be its last."""

    kind: Literal["prose", "fence", "indented", "html", "table"]
    place: Place
    apart: bool
    text: str = ""
    begins: bool = True
    held: list[str] = field(default_factory=list)
    detail: str = ""
    fence: str = ""
    indent: int = 0
    over: re.Pattern[str] | None = None


class Scanner:
    """The open blocks of a Markdown text. Methods return the blocks they completed."""

    def __init__(self) -> None:
        self.env: Env = {"references": {}}
        self._stack: list[Quote | Container | Item] = []
        self._leaf: _Leaf | None = None
        self._blank = False
        self._childless = 0
        self._serials = count(1)
        self._out: list[BlockToken] = []

    def fork(self) -> Scanner:
        """Copy the scanner to try what may come. The cost depends only on the open blocks."""
        twin = copy.copy(self)
        twin.env = {"references": {**self.env["references"]}}
        twin._stack, twin._out = [*self._stack], []
        twin._leaf = replace(self._leaf, held=[*self._leaf.held]) if self._leaf else None
        return twin

    @property
    def in_prose(self) -> bool:
        """Whether a paragraph is open."""
        return self._leaf is not None and self._leaf.kind == "prose"

    @property
    def in_lines(self) -> bool:
        """Whether the open block is only shown by complete lines, or as a unit."""
        return self._leaf is not None and self._leaf.kind != "prose"

    def line(self, line: str) -> list[BlockToken]:
        """Process a line without its end."""
        depth, rest = self._descend(line.expandtabs(4))
        leaf = self._leaf
        if leaf and leaf.kind != "prose":
            if depth == len(self._stack) and self._continue_leaf(leaf, rest):
                return self._take_output()
            self._close()
        self._begin(depth, rest)
        return self._take_output()

    def add_text(self, text: str) -> list[BlockToken]:
        """Append text to the last line, which belongs to a paragraph."""
        if self._leaf:
            self._leaf.text += text.replace("\t", " ")
            self._cut(self._leaf)
        return self._take_output()

    def end(self) -> list[BlockToken]:
        """Close all blocks at the end of the text."""
        self._close_to(0)
        return self._take_output()

    def close_tentatively(self) -> list[BlockToken]:
        """Close all blocks, rendering the open paragraph as it will probably look."""
        leaf = self._leaf
        if leaf and leaf.kind == "prose":
            before, _, last = leaf.text.rpartition("\n")
            leaf.text = close_markup(before if last.startswith("|") else leaf.text)
        return self.end()

    def _take_output(self) -> list[BlockToken]:
        out, self._out = self._out, []
        return out

    def _descend(self, rest: str) -> tuple[int, str]:
        """Return how many open containers this line continues, and the rest of the line."""
        for depth, container in enumerate(self._stack):
            indent = indentation(rest)
            if isinstance(container, Quote):
                if indent > 3 or rest[indent : indent + 1] != ">":
                    return depth, rest
                rest = rest[indent + 1 :].removeprefix(" ")
            elif isinstance(container, Item):
                blank = indent == len(rest)
                if (container.serial == self._childless) if blank else (indent < container.width):
                    return depth, rest
                rest = rest[container.width :]
        return len(self._stack), rest

    def _continue_leaf(self, leaf: _Leaf, rest: str) -> bool:
        """Add the line to the open leaf; return whether it belongs there."""
        indent = indentation(rest)
        body = rest[indent:]
        if leaf.kind == "fence":
            if indent < 4 and body.startswith(leaf.fence) and not body.rstrip(" ").strip(leaf.fence[0]):
                self._close()
            else:
                self._put_line(leaf, "code", rest[min(indent, leaf.indent) :])
            return True
        if leaf.kind == "html":
            over = leaf.over is not None and leaf.over.search(body)
            if over and not body:
                return False
            self._put_line(leaf, "html", rest)
            if over:
                self._close()
            return True
        if leaf.kind == "indented":
            if body and indent > 3:
                for line in (*leaf.held, rest[4:]):
                    self._put_line(leaf, "code", line)
                leaf.held.clear()
            elif not body:
                leaf.held.append(rest[4:])
            return not body or indent > 3
        if not body or indent > 3 or match_opening(body, lazy=True):
            return False
        leaf.held.append(body)
        return True

    def _begin(self, depth: int, rest: str) -> None:
        """Open the blocks that the rest of a line starts, then add its text."""
        nested = False
        while True:
            indent = indentation(rest)
            body = rest[indent:]
            all_continued = depth == len(self._stack)
            if not body or indent > 3 or len(self._stack) > DEEPEST:
                break
            if all_continued and self._match_underline(body):
                return
            found = match_opening(body, interrupts=all_continued and self.in_prose, lazy=self.in_prose)
            if found is None:
                break
            self._close_to(depth)
            if found.kind == "quote":
                self._leave_list()
                self._push(Quote(next(self._serials)))
                rest = body[1:].removeprefix(" ")
            elif found.kind == "item" and found.found:
                rest = self._begin_item(found.found, indent, body)
            else:
                self._leave_list()
                self._begin_leaf(found, indent, body)
                return
            depth, nested = len(self._stack), True
        if not body:
            self._close_to(depth)
            self._blank = self._blank or not nested
        elif self._leaf:
            self._leaf.text += "\n" + body
            self._cut(self._leaf)
        else:
            self._begin_text(depth, indent, rest)

    def _begin_text(self, depth: int, indent: int, rest: str) -> None:
        self._close_to(depth)
        self._leave_list()
        if indent > 3:
            self._continue_leaf(self._open("indented"), rest)
        else:
            leaf = self._open("prose")
            leaf.text = rest[indent:]
            self._cut(leaf)

    def _begin_item(self, found: re.Match[str], indent: int, body: str) -> str:
        """Open an item in the current or a new list; return the text after its marker."""
        marker, digits, mark = found[1], found[2], found[3] or found[1]
        rest = body[found.end() :]
        width = found.end()
        if not rest or len(found[4]) > 4:
            width = len(marker) + 1
            rest = body[width:]
        group = self._stack[-1] if self._stack else None
        if isinstance(group, Container) and group.mark == mark:
            self._stack[-1] = group = replace(group, number=group.number + 1)
        else:
            self._leave_list()
            group = Container(next(self._serials), mark, int(digits or 0))
            self._push(group)
        item = Item(next(self._serials), group.serial, group.number if digits else None, mark, indent + width)
        self._push(item)
        self._childless = item.serial
        return rest

    def _begin_leaf(self, found: Opening, indent: int, body: str) -> None:
        if found.kind == "rule":
            self._put("rule")
        elif found.kind == "heading" and found.found:
            level = found.found.end()
            self._put("heading", heading_text(body[level:]), detail=str(level))
        elif found.kind == "fence" and found.found:
            leaf = self._open("fence")
            leaf.fence, leaf.indent, leaf.detail = found.found[0], indent, body[found.found.end() :].strip()
        elif found.kind == "formula":  # shown line by line as it is, like HTML
            leaf = self._open("html")
            self._put_line(leaf, "html", body)
            leaf.over = found.over
        else:
            leaf = self._open("html")
            leaf.over = found.over
            self._continue_leaf(leaf, " " * indent + body)

    def _match_underline(self, body: str) -> bool:
        """Whether the line turns the open paragraph into a heading, or its last line into a table header."""
        leaf = self._leaf
        if leaf is None or not leaf.begins:
            return False
        before, _, last = leaf.text.rpartition("\n")
        if is_table_head(last, body):
            self._leaf = replace(leaf, text=before) if before else None
            self._close()
            self._open("table", apart=leaf.apart and not before).held = [last, body]
            return True
        line = body.rstrip(" ")
        if (line.strip("=") and line.strip("-")) or not (text := take_definitions(leaf.text, self.env)):
            return False
        self._leaf = None
        self._put("heading", text, apart=leaf.apart, detail="1" if line[0] == "=" else "2")
        return True

    def _cut(self, leaf: _Leaf) -> None:
        """Emit the beginning of a long paragraph."""
        while len(leaf.text) >= LIMIT:
            end = section_end(leaf.text)
            self._out.append(BlockToken("prose", leaf.place, leaf.text[:end], leaf.apart, leaf.begins, ends=False))
            leaf.text, leaf.begins = leaf.text[end:], False

    def _open(self, kind: Literal["prose", "fence", "indented", "html", "table"], apart: bool | None = None) -> _Leaf:
        self._leaf = _Leaf(kind, self._place(), self._blank if apart is None else apart)
        self._blank, self._childless = False, 0
        return self._leaf

    def _put(self, kind: Kind, text: str = "", *, apart: bool | None = None, detail: str = "") -> None:
        self._out.append(BlockToken(kind, self._place(), text, self._blank if apart is None else apart, detail=detail))
        self._blank, self._childless = False, 0

    def _put_line(self, leaf: _Leaf, kind: Kind, line: str) -> None:
        self._out.append(BlockToken(kind, leaf.place, line, leaf.apart, leaf.begins, ends=False, detail=leaf.detail))
        leaf.begins = False

    def _close(self) -> None:
        """Close the open leaf."""
        leaf, self._leaf = self._leaf, None
        if leaf is None:
            return
        if leaf.kind == "prose":
            self._close_prose(leaf)
        elif leaf.kind == "table":
            self._out.append(BlockToken("table", leaf.place, "\n".join(leaf.held), leaf.apart))
        elif leaf.kind == "indented":
            self._blank = self._blank or bool(leaf.held)
        elif leaf.begins:
            self._out.append(BlockToken("empty", leaf.place, apart=leaf.apart))

    def _close_prose(self, leaf: _Leaf) -> None:
        text = take_definitions(leaf.text, self.env) if leaf.begins else leaf.text
        definitions = leaf.text.removesuffix(text).rstrip("\n") if leaf.begins else ""
        if definitions:
            self._out.append(BlockToken("definition", leaf.place, definitions, leaf.apart, ends=not text))
        if text or not leaf.begins:
            self._out.append(BlockToken("prose", leaf.place, text, leaf.apart, leaf.begins and not definitions))

    def _close_to(self, depth: int) -> None:
        """Close the open leaf and the containers below `depth`."""
        self._close()
        while len(self._stack) > depth:
            if self._stack[-1].serial == self._childless:
                self._put("empty")
            self._stack.pop()

    def _leave_list(self) -> None:
        """Close a list without an open item."""
        if self._stack and isinstance(self._stack[-1], Container):
            self._stack.pop()

    def _push(self, container: Quote | Container | Item) -> None:
        self._stack.append(container)
        self._childless = 0

    def _place(self) -> Place:
        return tuple(container for container in self._stack if not isinstance(container, Container))
