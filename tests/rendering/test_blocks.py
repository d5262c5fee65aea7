"""The line scanner finds the same blocks as markdown-it with all the text before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from llmrepl.rendering.markdown.block_starts import table_cells
from llmrepl.rendering.markdown.blocks import Scanner
from llmrepl.rendering.markdown.tokens import BlockToken, Item
from tests.rendering.corpus import documents

Block = tuple[tuple[str, ...], str, str]
"""The containers, the kind and the text of a block. A container has another number than the one before it."""

REFERENCE = MarkdownIt("commonmark").enable("table")
CONTAINERS = {"blockquote_open", "list_item_open"}
LINES = st.sampled_from(
    "- a@  - b@1. one@2) two@   three@> quote@>@```py@```@    code@# head@---@===@<div>@</div>@* * *@+@-@"
    "a | b@|---|:-:|@| 1 | 2 | 3 |@@@text@  \ttab@>> deep@- - nested@<!--@-->@~~~@**bold@words** and `code`".split("@")
)


@pytest.mark.parametrize("name", documents())
def test_blocks_are_those_of_the_specification(name: str) -> None:
    text = documents()[name].replace("\0", "")
    assert scanned(text) == expected(text)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(LINES, max_size=9))
def test_any_lines_make_the_same_blocks(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert scanned(text) == expected(text)


def scanned(text: str) -> list[Block]:
    scanner = Scanner()
    lines = text.split("\n")
    pieces = [piece for line in (lines[:-1] if not lines[-1] else lines) for piece in scanner.line(line)]
    blocks: list[tuple[tuple[object, ...], str, str]] = []
    for piece in undefined(pieces + scanner.end()):
        if piece.kind == "empty" and not isinstance((None, *piece.place)[-1], Item):
            continue
        if not piece.begins and blocks:
            place, kind, before = blocks.pop()
            blocks.append((place, kind, before + ("" if kind == "prose" else "\n") + piece.text))
        else:
            blocks.append((piece.place, piece.kind, content(piece)))
    return numbered(blocks)


def undefined(pieces: Iterable[BlockToken]) -> Iterator[BlockToken]:
    """The blocks without the definitions of links, which CommonMark does not show."""
    skipped = False
    for piece in pieces:
        if piece.kind == "definition":
            if piece.ends:
                yield replace(piece, kind="empty", text="")
            skipped = not piece.ends
        else:
            yield replace(piece, begins=True) if skipped else piece
            skipped = False


def content(piece: BlockToken) -> str:
    if piece.kind == "table":
        head, _, *rows = piece.text.split("\n")
        width = len(table_cells(head))
        return "|".join("|".join([*table_cells(row), *[""] * width][:width]) for row in (head, *rows))
    return piece.text


def expected(text: str) -> list[Block]:
    place: list[tuple[str, int]] = []
    blocks: list[tuple[tuple[object, ...], str, str]] = []
    counts: list[int] = []
    within: list[str] | None = None
    kind = ""
    for count, token in enumerate(REFERENCE.parse(text.expandtabs(4))):
        if token.type in CONTAINERS:
            place.append((marker(token, counts), count))
        elif token.type.replace("close", "open") in CONTAINERS:
            last = place.pop()
            if last[0] != "quote":
                blocks.append(((*place, last), "empty", ""))
        elif token.type in ("ordered_list_open", "bullet_list_open"):
            counts.append(int(token.attrs.get("start", 1)) - 1)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            counts.pop()
        elif token.type == "table_open":
            within = []
        elif token.type == "table_close" and within is not None:
            blocks.append((tuple(place), "table", "|".join(within)))
            within = None
        elif token.type in ("paragraph_open", "heading_open"):
            kind = "prose" if token.tag == "p" else "heading"
        elif token.type == "inline" and within is not None:
            within.append(token.content)
        elif token.type == "inline":
            blocks.append((tuple(place), kind, token.content))
        elif token.type in ("fence", "code_block"):
            if token.content or (place and place[-1][0] != "quote"):
                kind = "code" if token.content else "empty"
                blocks.append((tuple(place), kind, token.content.removesuffix("\n")))
        elif token.type == "html_block":
            blocks.append((tuple(place), "html", token.content.removesuffix("\n")))
        elif token.type == "hr":
            blocks.append((tuple(place), "rule", ""))
    return numbered(blocks)


def marker(token: Token, counts: list[int]) -> str:
    if token.type == "blockquote_open":
        return "quote"
    counts[-1] += 1
    return f"{counts[-1] if token.info else ''}{token.markup}"


def numbered(blocks: list[tuple[tuple[object, ...], str, str]]) -> list[Block]:
    """Number the containers alike on both sides; an item that contains other blocks is not empty."""
    numbers: dict[object, int] = {}
    out = []
    filled = {container for place, kind, _ in blocks if kind != "empty" for container in place}
    for place, kind, text in blocks:
        if kind == "empty" and (not place or place[-1] in filled):
            continue
        filled |= {*place}
        names = tuple(f"{name(one)}#{numbers.setdefault(one, len(numbers))}" for one in place)
        out.append((names, kind, "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.strip().split("\n"))))
    return out


def name(container: object) -> str:
    if isinstance(container, tuple):
        return str(container[0])
    if isinstance(container, Item):
        return f"{'' if container.number is None else container.number}{container.mark}"
    return "quote"
