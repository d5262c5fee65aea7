"""The inside of a paragraph: Markdown's emphasis, code, links and images as styled text, harmless for a terminal."""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLinkText
from rich.text import Text

from llmrepl.formatting import escape_controls

Env = dict[str, Any]
"""What markdown-it remembers of a text: `references`, the link definitions so far."""

_LONGEST = 2000
"""Characters in a text of which the markup is still read: a longer heading or cell is shown as written."""

_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}
_LONE_STAR = re.compile(r"(?<![\w*])\*(?=[^\s*])[^*]*$")

_INLINE = MarkdownIt("commonmark").enable("strikethrough")
_DEFINITIONS = MarkdownIt("zero").enable("reference").disable("inline")


def take_definitions(text: str, env: Env) -> str:
    """A paragraph without the link definitions at its beginning, which go to `env`."""
    if not text.startswith("["):
        return text
    return "\n".join(token.content for token in _DEFINITIONS.parse(text, env) if token.type == "inline")


def inline(text: str, env: Env, style: str = "") -> Text:
    """The text of a block, styled. A link is its text and then its address, never a control sequence."""
    if len(text) > _LONGEST:
        return Text(_harmless(text), style)
    out = Text(style=style)
    styles: list[str] = []
    link = (0, "")
    for token in _INLINE.parseInline(text, env)[0].children or []:
        kind = token.type.removesuffix("_open").removesuffix("_close")
        if kind in _STYLES:
            if token.nesting == 1:
                styles.append(_STYLES[kind])
            else:
                styles.remove(_STYLES[kind])
        elif token.type == "link_open":
            link = len(out), str(token.attrs.get("href", ""))
        elif token.type == "softbreak":
            out.append(" ")
        elif token.type == "hardbreak":
            out.append("\n")
        elif token.type == "code_inline":
            out.append(_harmless(token.content), " ".join(("cyan", *styles)))
        elif token.type == "image":
            start = len(out)
            out.append(_harmless(token.content), " ".join(("italic", *styles)))
            _address(out, start, str(token.attrs.get("src", "")))
        elif token.type == "link_close":
            _address(out, *link)
        else:
            out.append(_harmless(token.content), " ".join(styles) or None)
    return out


def mended(text: str) -> str:
    """The text of a paragraph that is still coming, with the markup closed that it leaves open."""
    text = text.rstrip("*_`~")
    if text.count("`") % 2:
        return text + "`"
    if text.count("**") % 2:
        return text.rstrip() + "**"
    if _LONE_STAR.search(text):
        return text.rstrip() + "*"
    return text


def _address(out: Text, start: int, url: str) -> None:
    """Add where a link leads, unless its text, which begins at `start`, says so already."""
    shown = _harmless(normalizeLinkText(url))
    if shown and out.plain[start:] not in (shown, url, shown.removeprefix("mailto:")):
        out.append(f" ({shown})", "dim")


def _harmless(text: str) -> str:
    """Safe, and without line ends of its own: entities may stand for any character."""
    return escape_controls(text).replace("\n", " ").replace("\t", " ")
