"""Attach a web page as readable text."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.types import Attachment

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

    from llmrepl.providers.transport.http import Network
    from llmrepl.providers.transport.web_page import WebPage

_HTML = ("text/html", "application/xhtml+xml")
_TEXT = ("text/", *_HTML, "application/json", "application/xml", "application/yaml", "application/toml")
_UNREAD = ("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas", "nav", "footer", "form")
"""Elements whose contents nobody reads in a page."""


_MAX_TAGS = 100_000
"""Tags of a page that is read, which takes some seconds; long articles have a tenth of it."""


def is_url(text: str) -> bool:
    """Whether a word is the address of a web page, and not a path."""
    return text.lower().startswith(("https://", "http://"))


def from_url(url: str, network: Network, *, allow_private: bool) -> Attachment:
    """Fetch a page and attach its text. Raises UsageError for what is refused, LLMError for a network error."""
    from llmrepl.providers.transport.web_page import fetch

    page = fetch(url, network, allow_private=allow_private, accepted=_TEXT)
    text = readable_text(page)
    if not text.strip():
        raise UsageError(f"{escape_name(_host(page.url))} sent a page without text.", "open it in a browser")
    return Attachment(page.url, "text/plain", text.encode("utf-8", "replace"))


def readable_text(page: WebPage) -> str:
    """Return the text of a page: of HTML the main part as Markdown, without links, images and navigation.

    Raises UsageError for a page of too many tags.
    """
    if page.media_type not in _HTML:
        return page.data.decode(_codec(page.charset), "replace")
    if page.data.count(b"<") > _MAX_TAGS:
        what = f"{escape_name(_host(page.url))} sent a page of more than {_MAX_TAGS:,} tags."
        raise UsageError(what, "download it, and attach a part of it")
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page.data, "lxml", from_encoding=_codec(page.charset) if page.charset else None)
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for element in soup.find_all(_UNREAD):
        element.decompose()
    body = _as_markdown(_main_part(soup))
    return f"# {title}\n\n{body}" if title and title not in body[: len(title) + 10] else body


def _main_part(soup: BeautifulSoup) -> Tag:
    articles = soup.find_all("article", limit=2)
    main = soup.find("main") or soup.find(None, {"role": "main"}) or (articles[0] if len(articles) == 1 else soup.body)
    return main or soup


def _as_markdown(part: Tag) -> str:
    import re

    from markdownify import MarkdownConverter

    try:
        text = MarkdownConverter(strip=["a", "img"], heading_style="ATX", escape_misc=False).convert_soup(part)
    except RecursionError:  # thousands of elements inside one another
        text = part.get_text("\n", strip=True)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _codec(charset: str) -> str:
    """Return a codec that Python has for a charset; UTF-8 for an unknown one."""
    try:
        return codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
