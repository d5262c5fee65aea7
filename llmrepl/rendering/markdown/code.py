"""Highlights code line by line in time independent of the preceding lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from pygments.lexer import ExtendedRegexLexer, Lexer, LexerContext, RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    Token,
    _TokenType,
    is_token_subtype,
)
from pygments.util import ClassNotFound
from rich.text import Text

_LONGEST = 2000
"""Longer lines, in characters, are not highlighted."""

_STYLES = {
    Comment: "dim italic",
    Comment.Preproc: "magenta",
    Comment.PreprocFile: "green",
    Keyword: "magenta",
    Operator.Word: "magenta",
    Name.Builtin: "cyan",
    Name.Class: "bold",
    Name.Decorator: "cyan",
    Name.Exception: "bold",
    Name.Function: "bold",
    Name.Tag: "magenta",
    Name.Attribute: "cyan",
    Number: "cyan",
    String: "green",
    Generic.Deleted: "red",
    Generic.Inserted: "green",
    Generic.Heading: "bold",
    Generic.Subheading: "bold",
    Generic.Prompt: "dim",
}
"""Colors of the terminal's palette, legible on light and dark backgrounds."""

_ACROSS = (("/*", "*/"), ("<!--", "-->"), ("`", "`"), ('"""', '"""'), ("'''", "'''"), ("--[[", "]]"), ("(*", "*)"))
"""Delimiters of multi-line tokens that some lexers match with one pattern, which fails line by line."""

Part = tuple[_TokenType, str]


class Highlighter:
    """Highlights the lines of one code block; plain text if the language in the info string is unknown."""

    def __init__(self, info: str) -> None:
        self._lexer = _find_lexer(info)
        self._states = ["root"]
        self._until = ""
        self._inside: _TokenType = Token

    def line(self, line: str) -> Text:
        """Style the next line."""
        if self._lexer is None or len(line) > _LONGEST:
            return Text(line)
        out = Text()
        for kind, part in self._parts(self._lexer, line):
            out.append(part.rstrip("\n"), _style(kind))
        return out

    def _parts(self, lexer: Lexer, line: str) -> Iterator[Part]:
        if self._until:
            before, end, line = line.partition(self._until)
            yield self._inside, before + end
            if not end:
                return
            self._until = ""
        states = [*self._states]
        parts = self._lex(lexer, line + "\n")
        for begin, end in _ACROSS if self._states == states else ():
            if begin in line and (opened := self._open_at_end(lexer, line, begin, end)):
                parts = opened
                self._until, self._inside = end, parts[-1][0]
                break
        yield from parts

    def _open_at_end(self, lexer: Lexer, line: str, begin: str, end: str) -> list[Part]:
        """Return the tokens of a line that ends inside a token closed by `end`; empty if it does not."""
        states = [*self._states]
        parts = _merge_adjacent(self._lex(lexer, f"{line} {end} |"))
        self._states = states
        while parts and parts[-1][1].strip() in ("", "|"):
            parts.pop()
        kind, last = parts.pop() if parts else (Token, "")
        crosses = is_token_subtype(kind, Comment) or is_token_subtype(kind, String)
        if crosses and last.startswith(begin) and last.endswith(f" {end}"):
            return [*parts, (kind, last[: -len(end) - 1])]
        return []

    def _lex(self, lexer: Lexer, text: str) -> list[Part]:
        if isinstance(lexer, ExtendedRegexLexer):
            if type(lexer).get_tokens_unprocessed is ExtendedRegexLexer.get_tokens_unprocessed:
                context = LexerContext(text, 0, self._states)
                parts = [(kind, part) for _, kind, part in lexer.get_tokens_unprocessed(context=context)]
                self._states = context.stack
                return parts
        elif isinstance(lexer, RegexLexer):
            return list(_lex_on(lexer, text, self._states))
        return [(kind, part) for _, kind, part in lexer.get_tokens_unprocessed(text)]


def _lex_on(lexer: RegexLexer, text: str, states: list[str]) -> Iterator[Part]:
    """Lex like RegexLexer, starting from `states` and leaving the final states there."""
    at = 0
    while at < len(text):
        for match, action, change in lexer._tokens[states[-1]]:  # type: ignore[attr-defined]  # made by its metaclass
            if not (found := match(text, at)):
                continue
            if isinstance(action, _TokenType):
                yield action, found.group()
            elif action is not None:
                for _, kind, part in action(lexer, found):
                    yield kind, part
            at = found.end()
            _change(states, change)
            break
        else:
            if text[at] == "\n":
                states[:] = ["root"]
            yield Token, text[at]
            at += 1


def _change(states: list[str], change: int | str | tuple[str, ...] | None) -> None:
    """Apply a state change of a lexer: pop by number, or push by name."""
    if isinstance(change, int):
        del states[max(1, len(states) + change) if change < 0 else change :]
        return
    for state in (change,) if isinstance(change, str) else change or ():
        if state != "#pop":
            states.append(states[-1] if state == "#push" else state)
        elif len(states) > 1:
            states.pop()


def _merge_adjacent(parts: Iterable[Part]) -> list[Part]:
    """Merge adjacent tokens of one kind."""
    out: list[Part] = []
    for kind, part in parts:
        if out and out[-1][0] is kind:
            out[-1] = kind, out[-1][1] + part
        else:
            out.append((kind, part))
    return out


@cache
def _style(kind: _TokenType) -> str:
    """Return the style of a token kind or its closest ancestor."""
    return next((_STYLES[one] for one in reversed(kind.split()) if one in _STYLES), "")


def _find_lexer(info: str) -> Lexer | None:
    """Find the lexer for an info string such as `python`, `{.python}` or `python title=x`."""
    name = re.match(r"[\w+#-]*", info.lstrip("{. "))
    try:
        return get_lexer_by_name(name[0]) if name and name[0] else None
    except ClassNotFound:
        return None
