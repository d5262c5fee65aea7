"""Read the YAML that a program writes: block mappings, sequences and scalars, without anchors, tags and flow style.

A YAML library reads much more, such as aliases, with which a small file stands for a huge one, and objects. What is
outside of this subset is an error with its line. https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

_KEY = re.compile(
    r"""(?P<key>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s'"#&*!|>%@`\[\]{},-][^'":]*)"""
    r""":(?:[ ]+(?P<rest>.*)|[ ]*)$"""
)
_LITERAL = re.compile(r"\|([1-9]?)([+-]?)([1-9]?)")
_SINGLE, _DOUBLE = re.compile(r"'((?:[^']|'')*)'"), re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_SHORT = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", " ": " ",
    '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_EMPTY: dict[str, Any] = {"": None, "~": None, "null": None, "[]": [], "{}": {}}
_MAX_DEPTH = 100


class BlockYamlError(ValueError):
    """Why a text is not such YAML, with the number of its line."""


def load(text: str) -> Any:
    """Parse a document. Scalars are texts, whatever they look like, but an empty one and `null` are None.

    Raises BlockYamlError.
    """
    return _YamlLines(text).parse()


class _YamlLines:
    """The lines of a document, and the one that is parsed next."""

    def __init__(self, text: str) -> None:
        self._lines = text.removeprefix("---\n").replace("\r\n", "\n").split("\n")
        self._shift = text.startswith("---\n")
        self._at = 0

    def parse(self) -> Any:
        """Parse all lines."""
        self._skip_blank()
        result = self._node(0, 0) if self._at < len(self._lines) else None
        if self._at < len(self._lines):
            self._fail("not expected here")
        return result

    def _fail(self, why: str) -> NoReturn:
        raise BlockYamlError(f"line {self._at + 1 + self._shift}: {why}")

    def _skip_blank(self) -> None:
        while self._at < len(self._lines) and not self._lines[self._at].strip():
            self._at += 1

    def _indent(self) -> int:
        """Return the indentation of the next line that is not blank, -1 at the end."""
        self._skip_blank()
        if self._at == len(self._lines):
            return -1
        line = self._lines[self._at]
        return len(line) - len(line.lstrip(" "))

    def _is_item(self, indent: int) -> bool:
        rest = self._lines[self._at][indent:]
        return rest == "-" or rest.startswith("- ")

    def _node(self, indent: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            self._fail("nested too deeply")
        return self._sequence(indent, depth) if self._is_item(indent) else self._mapping(indent, depth)

    def _sequence(self, indent: int, depth: int) -> list[Any]:
        items = []
        while self._indent() == indent and self._is_item(indent):
            rest = self._lines[self._at][indent + 1 :].lstrip(" ")
            inner = len(self._lines[self._at]) - len(rest)
            if _KEY.match(rest) or rest.startswith("- "):
                self._lines[self._at] = " " * inner + rest
                items.append(self._node(inner, depth + 1))
            else:
                items.append(self._value(rest, indent, depth, is_item=True))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        result = {}
        while self._indent() == indent and not self._is_item(indent):
            found = _KEY.match(self._lines[self._at], indent)
            if found is None:
                self._fail("it is not a key with a value")
            result[str(self._scalar(found["key"]))] = self._value(found["rest"] or "", indent, depth, is_item=False)
        return result

    def _value(self, rest: str, indent: int, depth: int, *, is_item: bool) -> Any:
        """Parse what follows a key or dash on the current line, or the indented lines below."""
        rest = rest.strip(" ")
        if literal := _LITERAL.fullmatch(rest):
            self._at += 1
            return self._literal(indent, literal[1] or literal[3], literal[2])
        if rest:
            value = self._scalar(rest)
            self._at += 1
            return value
        self._at += 1
        below = self._indent()
        if below > indent or (below == indent and not is_item and self._is_item(below)):
            return self._node(below, depth + 1)
        return None

    def _literal(self, indent: int, width: str, chomping: str) -> str:
        """Parse the lines of a block scalar: those indented more than `indent`, and blank ones."""
        start = self._at
        first = self._indent()
        inner = indent + int(width) if width else max(first, indent + 1)
        self._at = start
        block = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip(" ") and len(line) - len(line.lstrip(" ")) < inner:
                break
            block.append(line[inner:])
            self._at += 1
        if self._at == len(self._lines) and block and not block[-1]:
            block.pop()  # the text ended with a newline
        text = "".join(f"{line}\n" for line in block)
        if chomping == "+":
            return text
        return text.rstrip("\n") + ("" if chomping == "-" or not text.strip("\n") else "\n")

    def _scalar(self, word: str) -> Any:
        if word in _EMPTY:
            return _EMPTY[word]
        if found := _SINGLE.fullmatch(word):
            return found[1].replace("''", "'")
        if found := _DOUBLE.fullmatch(word):
            return _ESCAPE.sub(self._unescape, found[1])
        if word[0] in "'\"&*!|>%@`[]{},":
            self._fail("it is not a text in one line")
        return word

    def _unescape(self, escape: re.Match[str]) -> str:
        if len(escape[1]) == 1:
            return _SHORT[escape[1]] if escape[1] in _SHORT else self._fail("unknown escape")
        code = int(escape[1][1:], 16)
        return chr(code) if code <= 0x10FFFF else self._fail("unknown character")
