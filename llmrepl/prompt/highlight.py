"""Highlighting of the input line: command names, options, unknown commands, and code in prompts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from llmrepl.errors import UsageError

if TYPE_CHECKING:
    from llmrepl.commands.grammar.command_table import CommandTable

MOST = 20_000
"""Longer inputs, in characters, are not highlighted."""

COMMAND, OPTION, UNKNOWN, CODE, COMMENT = (
    f"class:input.{kind}" for kind in ("command", "option", "unknown", "code", "comment")
)
STYLE = Style.from_dict(
    {
        "you": "ansicyan bold",
        "input.command": "bold",
        "input.option": "ansimagenta",
        "input.unknown": "ansired underline",
        "input.code": "ansicyan",
        "input.comment": "italic",
    }
)
"""Colors of the terminal's palette, legible on light and dark backgrounds."""

MOST_MARKS = 32
"""Maximum zero-width characters drawn in a row; no script uses that many on one letter."""

_WORDS = re.compile(r"\s+|\S+")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")


class ShortenMarks(Processor):
    """Draws at most MOST_MARKS marks on a character.

    The screen adds marks to a cell one by one, in quadratic time. What is sent still has all of them.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Drop excess marks and map the cursor position."""
        fragments = transformation_input.fragments
        length = sum(len(fragment[1]) for fragment in fragments)
        if length <= MOST_MARKS or all(fragment[1].isascii() for fragment in fragments):
            return Transformation(fragments)
        shown: StyleAndTextTuples = []
        positions: list[int] = []  # for each character of the line, how many before it are shown
        marks = 0
        count = 0
        for style, text, *rest in fragments:
            part: list[str] = []
            for character in text:
                positions.append(count)
                marks = marks + 1 if get_cwidth(character) == 0 else 0
                if marks <= MOST_MARKS:
                    part.append(character)
                    count += 1
            shown.append((style, "".join(part), *rest))  # type: ignore[arg-type] # a handler, if there is one
        if count == length:
            return Transformation(fragments)
        positions.append(count)
        return Transformation(
            shown,
            source_to_display=lambda at: positions[min(at, length)],
            display_to_source=lambda at: bisect_left(positions, min(at, count)),
        )


class InputLexer(Lexer):
    """Highlights input once the commands are set; at startup they are not loaded yet."""

    def __init__(self) -> None:
        self._table: CommandTable | None = None
        self._interface = ""

    def set_commands(self, table: CommandTable, interface: str) -> None:
        """Start highlighting with the commands of `interface`."""
        self._table, self._interface = table, interface

    def invalidation_hash(self) -> bool:
        """Return a value that changes when the input must be highlighted again."""
        return self._table is not None

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return a function that styles a line; lines are styled when they are shown."""
        lines, table = document.lines, self._table
        if table is None or len(document.text) >= MOST:
            return lambda number: [("", lines[number])]
        if len(lines) == 1 and is_command(lines[0]):
            return lambda number: self._command(lines[number], table)
        fenced = _fenced_lines(lines)
        return lambda number: [(CODE, lines[number])] if number in fenced else list(_prompt(lines[number]))

    def _command(self, line: str, table: CommandTable) -> StyleAndTextTuples:
        if line.lstrip().startswith(":#"):
            return [(COMMENT, line)]
        words = line.replace(":", " ", 1).split()
        try:
            found, rest = table.find(words, self._interface) if words else (None, [])
        except UsageError:
            typed = " ".join(words)
            incomplete = not line[-1].isspace() and any(
                name.startswith(typed) for name in table.spellings(self._interface)
            )
            return [("" if incomplete else UNKNOWN, line)]
        if found is None:
            return [("", line)]
        flags = {"-h", "--help", *(flag for a in found.arguments if not a.positional for flag in a.flags)}
        return list(_call(line, len(words) - len(rest), flags, free=found.rest is not None))


def is_command(line: str) -> bool:
    """Whether a line of input is a command rather than a prompt."""
    return line.lstrip().startswith(":") and not line.lstrip().startswith("::")


def _call(line: str, names: int, flags: set[str], *, free: bool) -> Iterator[tuple[str, str]]:
    """Style a command with `names` words in its name; before `free` text, options end where it begins."""
    for word in _WORDS.findall(line):
        if word.isspace() or word == ":":
            yield "", word
        elif names:
            names -= 1
            yield COMMAND, word
        else:
            flag = word.partition("=")[0] in flags
            if word == "--" or (free and not flag):
                flags = set()
            yield (OPTION if flag and flags else ""), word


def _fenced_lines(lines: list[str]) -> set[int]:
    """Return the numbers of lines in Markdown code fences, including the fences."""
    found, fence = set(), ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            found.add(number)
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            found.add(number)
            fence = mark[1]
    return found


def _prompt(line: str) -> Iterator[tuple[str, str]]:
    at = 0
    for span in _CODE_SPAN.finditer(line):
        yield "", line[at : span.start()]
        yield CODE, span[0]
        at = span.end()
    yield "", line[at:]
