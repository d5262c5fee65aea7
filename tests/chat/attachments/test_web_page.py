"""What is read of a page: its text as Markdown, without what surrounds it."""

from __future__ import annotations

import time

import pytest

from llmrepl.chat.attachments.web_page import is_url, readable_text
from llmrepl.errors import UsageError
from llmrepl.providers.transport.web_page import WebPage

ARTICLE = """<!doctype html><html><head><title>Rust</title><style>p{}</style><script>alert(1)</script></head>
<body><nav><a href=/home>Home</a></nav><main><h1>Ownership</h1><p>Each value has an <b>owner</b>.
<a href="https://evil.example/?steal">See more</a><img src=x alt="picture"></p><ul><li>one<li>two</ul>
<pre><code>let x = 1;</code></pre><table><tr><th>a<th>b<tr><td>1<td>2</table></main>
<footer>© 2026</footer></body></html>"""


def text(html: str | bytes, media_type: str = "text/html", charset: str = "") -> str:
    return readable_text(WebPage("https://x", media_type, charset, html if isinstance(html, bytes) else html.encode()))


def test_an_article_becomes_markdown_without_links_scripts_and_navigation() -> None:
    read = text(ARTICLE)
    assert read.startswith("# Rust\n\n# Ownership\n\nEach value has an **owner**.")
    for kept in ("See more", "* one\n* two", "```\nlet x = 1;\n```", "| a | b |"):
        assert kept in read
    for dropped in ("alert", "Home", "evil.example", "© 2026", "p{}", "picture"):
        assert dropped not in read


@pytest.mark.parametrize(
    ("data", "charset", "expected"),
    [
        ("é".encode("latin-1"), "latin-1", "é"),
        ("é".encode(), "", "é"),
        (b'<meta charset="iso-8859-1"><p>\xe9</p>', "", "é"),
        (b"\xff\xfe plain", "no-such-charset", "plain"),
    ],
)
def test_charsets(data: bytes, charset: str, expected: str) -> None:
    assert expected in text(data, charset=charset)


def test_text_stays_as_it_is() -> None:
    assert text('{"a": "<b>"}', "application/json") == '{"a": "<b>"}'
    assert text(b"\xe9", "text/plain", "latin-1") == "é"


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 20_000 + "deep" + "</div>" * 20_000,
        "<b>x" * 20_000,
        "<p>x</p>" * 45_000,
        "<" * 90_000,
        "<!--" * 50_000,
        "&#" * 200_000,
    ],
)
def test_hostile_pages_are_read_in_bounded_time(html: str) -> None:
    begun = time.monotonic()
    assert isinstance(text(html), str)
    assert time.monotonic() - begun < 20


def test_a_page_of_too_many_tags_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 100,000 tags"):
        text("<b>" * 100_001)


def test_what_is_an_address_and_what_a_path() -> None:
    assert is_url("https://x") and is_url("HTTP://x") and not is_url("http:/x") and not is_url("./https")
