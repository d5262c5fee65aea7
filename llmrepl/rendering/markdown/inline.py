"""Renders inline Markdown (emphasis, code, links, images) as styled text with control characters escaped."""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.normalize_url import normalizeLinkText
from markdown_it.rules_inline import StateInline
from rich.text import Text

from llmrepl.formatting import escape_controls

Env = dict[str, Any]
"""State of markdown-it; `references` are the link definitions so far."""

_LONGEST = 2000
"""Longer headings and cells, in characters, are shown as written."""

_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}
_LONE_STAR = re.compile(r"(?<![\w*])\*(?=[^\s*])[^*]*$")

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_MATH = re.compile(
    r"""\\\((?!\s*\\\)).+?\\\) | \\\[.+?\\\] | \$\$.+?\$\$ | \\begin\{(?P<env>[A-Za-z]+\*?)\}.+?\\end\{(?P=env)\}
    | \$(?=[^\s$])(?:\\.|[^$\n\\])*(?<=[^\s\\])\$(?![\d$])""",
    re.VERBOSE | re.DOTALL,
)
"""A formula of TeX: `\\(…\\)`, `\\[…\\]`, `$$…$$`, an environment, or `$…$` on a line (pandoc: tex_math_dollars)."""


def _math(state: StateInline, silent: bool) -> bool:
    """An inline rule of markdown-it: a formula is one token, and nothing in it is markup."""
    if state.src[state.pos] not in "\\$":
        return False
    found = _MATH.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("math", "", 0).content = found[0]
    state.pos = found.end()
    return True


_INLINE = MarkdownIt("commonmark").enable("strikethrough")
_INLINE.inline.ruler.before("escape", "math", _math)
_DEFINITIONS = MarkdownIt("zero").enable("reference").disable("inline")


def take_definitions(text: str, env: Env) -> str:
    """Move link definitions at the start of a paragraph to `env`; return the rest."""
    if not text.startswith("["):
        return text
    return "\n".join(token.content for token in _DEFINITIONS.parse(text, env) if token.type == "inline")


def render_inline(text: str, env: Env, style: str = "") -> Text:
    """Style the text of a block. Links are shown as text and address, never as control sequences."""
    if len(text) > _LONGEST:
        return Text(_escape(text), style)
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
        elif token.type in ("softbreak", "hardbreak") or (
            token.type == "html_inline" and _BREAK.fullmatch(token.content)
        ):
            # a reply's line breaks are kept: poems, addresses, lyrics
            out.append("\n")
        elif token.type == "math":
            out.append("\n".join(map(_escape, token.content.split("\n"))), " ".join(styles) or None)
        elif token.type == "code_inline":
            out.append(_escape(token.content), " ".join(("cyan", *styles)))
        elif token.type == "image":
            start = len(out)
            out.append(_escape(token.content), " ".join(("italic", *styles)))
            _append_url(out, start, str(token.attrs.get("src", "")))
        elif token.type == "link_close":
            _append_url(out, *link)
        else:
            out.append(_escape(token.content), " ".join(styles) or None)
    return out


def close_markup(text: str) -> str:
    """Close the open markup of a paragraph that is still streaming."""
    text = text.rstrip("*_`~")
    if text.count("`") % 2:
        return text + "`"
    if text.count("**") % 2:
        return text.rstrip() + "**"
    if _LONE_STAR.search(text):
        return text.rstrip() + "*"
    return text


def _append_url(out: Text, start: int, url: str) -> None:
    """Append a link's address, unless its text, which begins at `start`, is the address."""
    shown = _escape(normalizeLinkText(url))
    if shown and out.plain[start:] not in (shown, url, shown.removeprefix("mailto:")):
        out.append(f" ({shown})", "dim")


def _escape(text: str) -> str:
    """Escape control characters and replace line breaks, which entities may produce."""
    return escape_controls(text).replace("\n", " ").replace("\t", " ")
