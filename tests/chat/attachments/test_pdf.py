"""PDFs: pages are counted, text is found, a password and damage are said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.chat.attachments.documents import adapt, check, has_pdf
from llmrepl.chat.attachments.pdf import count_pages, text_of
from llmrepl.errors import UsageError
from llmrepl.providers.base import Request
from llmrepl.providers.tokens import prompt_tokens
from llmrepl.types import Attachment, Message
from tests.pdf_files import pdf, with_password

REPORT = pdf("Revenue rose by 7 percent", "Costs fell")


def test_pages_and_text() -> None:
    assert count_pages(REPORT, "r.pdf") == 2
    assert text_of(REPORT, "r.pdf") == "[page 1]\nRevenue rose by 7 percent\n\n[page 2]\nCosts fell"
    assert text_of(pdf("", "x"), "r.pdf") == "[page 2]\nx"


def test_a_password_is_said_and_an_empty_one_is_none() -> None:
    with pytest.raises(UsageError, match=r"^r\.pdf has a password") as raised:
        count_pages(with_password(REPORT, "secret"), "r.pdf")
    assert "remove the password" in raised.value.hint
    assert "Costs fell" in text_of(with_password(REPORT, ""), "r.pdf")


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", REPORT[:60], b"%PDF-1.4\n%%EOF", pdf()])
def test_damage_is_said(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"r\.pdf"):
        count_pages(data, "r.pdf")


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(REPORT) - 1), st.binary(max_size=30))
def test_a_damaged_pdf_is_read_or_refused(place: int, junk: bytes) -> None:
    data = REPORT[:place] + junk + REPORT[place + len(junk) :]
    try:
        text_of(data, "r.pdf")
    except UsageError as refused:
        assert "r.pdf" in refused.message


def test_who_reads_no_pdf_gets_its_text_in_the_prompt() -> None:
    picture = Attachment("a.png", "image/png", b"x")
    messages = [
        Message("user", "first"),
        Message("user", "what?", (picture, Attachment("r.pdf", "application/pdf", REPORT))),
    ]
    assert has_pdf(messages) and not has_pdf(messages[:1])
    first, second = adapt(messages, native=False)
    assert first is messages[0] and second.attachments == (picture,)
    assert second.content.startswith("what?\n\nr.pdf:\n```\n[page 1]\nRevenue")
    native = adapt(messages, native=True)[1]
    assert [one.pages for one in native.attachments] == [None, 2] and native.content == "what?"
    assert prompt_tokens(Request("m", [native])) > 5000


def test_a_scan_needs_a_model_that_reads_pdfs() -> None:
    scan = Attachment("scan.pdf", "application/pdf", pdf(""))
    with pytest.raises(UsageError, match=r"scan\.pdf has no text"):
        check([scan], "groq")
    assert "(a PDF without text)" in adapt([Message("user", "q", (scan,))], native=False)[0].content
    assert check([Attachment("r.pdf", "application/pdf", REPORT)], "groq") == ["r.pdf"]
