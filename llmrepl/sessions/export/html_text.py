"""Render the Markdown of a reply as HTML without scripts or external resources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

MAX_HIGHLIGHTED = 100_000
"""Code blocks longer than this, in characters, are not highlighted; lexers may be superlinear."""

_OPEN = re.compile(r"(?:https?|mailto):", re.IGNORECASE)


class _Renderer(RendererHTML):
    """markdown-it's renderer with `rel="noopener noreferrer"` on links and tables in a scrolling container."""

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        tokens[index].attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, index, options, env)

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="wide"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


class _Markdown(MarkdownIt):
    """CommonMark with tables and strikethrough; HTML is escaped, images are links, and only safe URLs are links."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "highlight": highlight_code}, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])
        self.disable(["image", "html_block", "html_inline"])

    def validateLink(self, url: str) -> bool:
        """Whether `url` may become a link: http, https and mailto only."""
        return bool(_OPEN.match(url))


def highlight_code(code: str, language: str, _attributes: str = "") -> str:
    """Render `code` with pygments classes, or only escaped if `language` is unknown."""
    if len(code) > MAX_HIGHLIGHTED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


_MARKDOWN = _Markdown()


def render_markdown(text: str) -> str:
    """Render Markdown as HTML."""
    return str(_MARKDOWN.render(text))
