"""Code highlighted line by line: what a line costs does not depend on how many came before it."""

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
"""Characters in a line that is still highlighted."""

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
"""Colours of the terminal's own palette, legible on light and on dark."""

_ACROSS = (("/*", "*/"), ("<!--", "-->"), ("`", "`"), ('"""', '"""'), ("'''", "'''"), ("--[[", "]]"), ("(*", "*)"))
"""Begin and end of what goes across lines and is one pattern in some lexers, so that they cannot see it open."""

Part = tuple[_TokenType, str]


class Highlighter:
    """The lines of one block of code in the language that its info string names; text as it is if that is unknown."""

    def __init__(self, info: str) -> None:
        self._lexer = _lexer(info)
        self._states = ["root"]
        self._until = ""
        self._inside: _TokenType = Token

    def line(self, line: str) -> Text:
        """The next line, styled."""
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
        """The parts of a line that ends inside of something that only `end` would close, else nothing."""
        states = [*self._states]
        parts = _joined(self._lex(lexer, f"{line} {end} |"))
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
    """What RegexLexer does, but it goes on from `states` and leaves there how far it is."""
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
    """Go to another state of a lexer: so many back, or the ones that are named."""
    if isinstance(change, int):
        del states[max(1, len(states) + change) if change < 0 else change :]
        return
    for state in (change,) if isinstance(change, str) else change or ():
        if state != "#pop":
            states.append(states[-1] if state == "#push" else state)
        elif len(states) > 1:
            states.pop()


def _joined(parts: Iterable[Part]) -> list[Part]:
    """Neighbours of one kind as one."""
    out: list[Part] = []
    for kind, part in parts:
        if out and out[-1][0] is kind:
            out[-1] = kind, out[-1][1] + part
        else:
            out.append((kind, part))
    return out


@cache
def _style(kind: _TokenType) -> str:
    """The style of a kind of token, or of the nearest more general kind that has one."""
    return next((_STYLES[one] for one in reversed(kind.split()) if one in _STYLES), "")


def _lexer(info: str) -> Lexer | None:
    """The lexer for an info string such as `python`, `{.python}` or `python title=x`."""
    name = re.match(r"[\w+#-]*", info.lstrip("{. "))
    try:
        return get_lexer_by_name(name[0]) if name and name[0] else None
    except ClassNotFound:
        return None
