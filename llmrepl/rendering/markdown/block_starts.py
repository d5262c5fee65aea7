"""How a line starts a block: patterns of CommonMark 0.31 and GitHub tables."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from markdown_it.rules_block.html_block import HTML_SEQUENCES
from markdown_it.rules_block.table import escapedSplit

_ITEM = re.compile(r"([-+*]|(\d{1,9})([.)]))( +|$)")
_HEADING = re.compile(r"#{1,6}(?= |$)")
_FENCE = re.compile(r"`{3,}(?=[^`]*$)|~{3,}")
_ALIGNMENT = re.compile(r":?-+:?")
_FORMULA = re.compile(r"(?P<open>\\\[(?=\s*$)|\$\$(?=\s*$)|\\begin\{(?P<env>[A-Za-z]+\*?)\})(?P<rest>.*)")
_DELIMITERS = re.compile(r"[|:-][|:-][|: -]*|[|:] [|: -]*")


class Opening(NamedTuple):
    """A block start: its kind, the match, and for HTML and formulas the pattern of the last line."""

    kind: Literal["quote", "heading", "fence", "html", "formula", "rule", "item"]
    found: re.Match[str] | None = None
    over: re.Pattern[str] | None = None


def match_opening(body: str, *, interrupts: bool = False, lazy: bool = False) -> Opening | None:
    """Return the block other than a paragraph that a line (without indentation) starts.

    `interrupts`: the line could continue a paragraph, so some lists may not start here. `lazy`: a paragraph or table is
    open, which a lone tag does not end.
    """
    first = body[0]
    if first == ">":
        return Opening("quote")
    if first == "#" and (found := _HEADING.match(body)):
        return Opening("heading", found)
    if first in "`~" and (found := _FENCE.match(body)):
        return Opening("fence", found)
    if first == "<":
        for begins, over, anywhere in HTML_SEQUENCES:
            if begins.search(body):
                return Opening("html", over=over) if anywhere or not lazy else None
    if first in "\\$" and (found := _FORMULA.match(body)):
        return _formula(found)
    if first in "*-_" and _is_rule(body):
        return Opening("rule")
    found = _ITEM.match(body)
    if found and not (interrupts and (found.end() == len(body) or int(found[2] or 1) != 1)):
        return Opening("item", found)
    return None


def _formula(found: re.Match[str]) -> Opening | None:
    """A formula of several lines, which ends with its mark or at a blank line; None if it ends on this line."""
    end = {"\\[": r"\\\]", "$$": r"\$\$"}.get(found["open"]) or rf"\\end\{{{re.escape(found['env'])}\}}"
    return None if re.search(end, found["rest"]) else Opening("formula", found, re.compile(rf"{end}|^\s*$"))


def indentation(text: str) -> int:
    """Count the leading spaces."""
    return len(text) - len(text.lstrip(" "))


def heading_text(body: str) -> str:
    """Strip the closing `#` signs of a heading."""
    text = body.strip(" ")
    bare = text.rstrip("#")
    return bare.rstrip(" ") if not bare or bare.endswith(" ") else text


def table_cells(line: str) -> list[str]:
    """Split a table row into cells of Markdown."""
    cells = escapedSplit(line.strip())
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [cell.strip() for cell in cells]


def is_table_head(head: str, below: str) -> bool:
    """Whether two lines are the header and delimiter row of a table."""
    if "|" not in head or not _DELIMITERS.fullmatch(below):
        return False
    columns = table_cells(below)
    return len(columns) == len(table_cells(head)) and all(_ALIGNMENT.fullmatch(column) for column in columns)


def _is_rule(body: str) -> bool:
    marks = body.replace(" ", "")
    return len(marks) > 2 and not marks.strip(marks[0])
