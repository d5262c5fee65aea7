"""Markdown of a reply -> HTML that runs and loads nothing."""

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
"""The most characters of a code block that are coloured; a lexer's work may grow faster than its text."""

_OPEN = re.compile(r"(?:https?|mailto):", re.IGNORECASE)


class _Renderer(RendererHTML):
    """markdown-it's HTML with links that tell the page they open nothing, and tables that scroll by themselves."""

    def link_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        tokens[index].attrSet("rel", "noopener noreferrer")
        return self.renderToken(tokens, index, options, env)

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="wide"><table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"


class _Markdown(MarkdownIt):
    """CommonMark with tables and strikethrough; HTML is text, an image is a link, and few links are links."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "highlight": highlight_code}, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])
        self.disable(["image", "html_block", "html_inline"])

    def validateLink(self, url: str) -> bool:
        """Whether `url` may become a link: http, https and mailto only."""
        return bool(_OPEN.match(url))


def highlight_code(code: str, language: str, _attributes: str = "") -> str:
    """`code` as HTML with pygments' classes where `language` names one that it knows, else only escaped."""
    if len(code) > MAX_HIGHLIGHTED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    return highlight(code, lexer, HtmlFormatter(nowrap=True))


_MARKDOWN = _Markdown()


def render_markdown(text: str) -> str:
    """The Markdown `text` as HTML."""
    return str(_MARKDOWN.render(text))
