"""Colours of the input line: command names and options, words that are no command, code in a prompt."""

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
    from llmrepl.commands.registry import CommandTable

MOST = 20_000
"""Characters from which an input is left as it is: nobody reads the colours of a pasted file."""

COMMAND, OPTION, UNKNOWN, CODE, COMMENT = (
    f"class:input.{kind}" for kind in ("command", "option", "unknown", "code", "comment")
)
STYLE = Style.from_dict(
    {
        "input.command": "bold",
        "input.option": "ansimagenta",
        "input.unknown": "ansired underline",
        "input.code": "ansicyan",
        "input.comment": "italic",
    }
)
"""Colours of the terminal's own palette, legible on light and on dark."""

MOST_MARKS = 32
"""Characters without a width in a row that are drawn: no writing has so many on one letter."""

_WORDS = re.compile(r"\s+|\S+")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")


class ShortenMarks(Processor):
    """Draws at most MOST_MARKS marks on a character: the screen takes them into one cell one after
    the other, in time that grows with the square of their number. What is sent has all of them.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Leave out the marks, and say where the cursor is then."""
        fragments = transformation_input.fragments
        length = sum(len(fragment[1]) for fragment in fragments)
        if length <= MOST_MARKS or all(fragment[1].isascii() for fragment in fragments):
            return Transformation(fragments)
        shown: StyleAndTextTuples = []
        kept: list[int] = []  # for each character of the line the number of those before it that are shown
        marks = 0
        count = 0
        for style, text, *rest in fragments:
            part: list[str] = []
            for character in text:
                kept.append(count)
                marks = marks + 1 if get_cwidth(character) == 0 else 0
                if marks <= MOST_MARKS:
                    part.append(character)
                    count += 1
            shown.append((style, "".join(part), *rest))  # type: ignore[arg-type] # a handler, if there is one
        if count == length:
            return Transformation(fragments)
        kept.append(count)
        return Transformation(
            shown,
            source_to_display=lambda at: kept[min(at, length)],
            display_to_source=lambda at: bisect_left(kept, min(at, count)),
        )


class InputLexer(Lexer):
    """Colours nothing until it is told the commands, which a shell that was just started has not loaded."""

    def __init__(self) -> None:
        self._table: CommandTable | None = None
        self._interface = ""

    def learn(self, table: CommandTable, interface: str) -> None:
        """Colour from now on, by the commands that `face` has."""
        self._table, self._interface = table, interface

    def invalidation_hash(self) -> bool:
        """Changes when what was drawn before is to be coloured anew."""
        return self._table is not None

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """The styled text of each line, which is only computed for lines that are shown."""
        lines, table = document.lines, self._table
        if table is None or len(document.text) >= MOST:
            return lambda number: [("", lines[number])]
        if len(lines) == 1 and is_command(lines[0]):
            return lambda number: self._command(lines[number], table)
        fenced = _fenced(lines)
        return lambda number: [(CODE, lines[number])] if number in fenced else list(_prompt(lines[number]))

    def _command(self, line: str, table: CommandTable) -> StyleAndTextTuples:
        if line.lstrip().startswith(":#"):
            return [(COMMENT, line)]
        words = line.replace(":", " ", 1).split()
        try:
            found, rest = table.find(words, self._interface) if words else (None, [])
        except UsageError:
            typed = " ".join(words)
            begun = not line[-1].isspace() and any(name.startswith(typed) for name in table.spellings(self._interface))
            return [("" if begun else UNKNOWN, line)]
        if found is None:
            return [("", line)]
        flags = {"-h", "--help", *(flag for a in found.arguments if not a.positional for flag in a.flags)}
        return list(_call(line, len(words) - len(rest), flags, free=found.rest is not None))


def is_command(line: str) -> bool:
    """Whether an input of one line is meant for the program and not for the model."""
    return line.lstrip().startswith(":") and not line.lstrip().startswith("::")


def _call(line: str, names: int, flags: set[str], *, free: bool) -> Iterator[tuple[str, str]]:
    """A command whose name has so many words; with `free` text the options end where that begins."""
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


def _fenced(lines: list[str]) -> set[int]:
    """The numbers of the lines that stand in a fence of Markdown, and of the fences themselves."""
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
