"""A streamed reply looks like the complete one, and finished rows are not changed."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmrepl.config.settings import Settings
from llmrepl.formatting import escape_controls
from llmrepl.rendering.markdown.document import MarkdownStream, render
from llmrepl.rendering.reply_view import ReplyView, create_reply_view
from llmrepl.system.environment import Environment
from tests.rendering.corpus import commonmark, documents, replies
from tests.rendering.terminals import CODES, Rows, console, cut, lines, screen, streamed, written
from tests.rendering.test_blocks import LINES

WIDTHS = (40, 57, 80, 132, 250)
WHOLE = bool(os.environ.get("LLMREPL_WHOLE_CORPUS"))
"""All documents at all widths takes minutes; without it every document is drawn at one width, in turn."""

CASES = [
    (name, width)
    for number, name in enumerate(documents())
    for turn, width in enumerate(WIDTHS)
    if WHOLE or (number % len(WIDTHS) == turn and (number % 2 or name in replies()))
]
PROSE = "The parser looks at every word once, and the screen shows each of them at the place where it stays. "


@pytest.mark.parametrize(("name", "width"), CASES)
def test_the_screen_equals_that_of_the_complete_reply(name: str, width: int) -> None:
    text = documents()[name]
    for height in (10, 50) if WHOLE else (12,):
        output = streamed(cut(text, Random(f"{name} {width}")), console(width, height))
        assert screen(output, width, height) == screen(render(text, console(width)), width, height)


@pytest.mark.parametrize("name", [*replies(), *(commonmark() if WHOLE else ())])
def test_a_finished_row_is_never_touched(name: str) -> None:
    text = documents()[name]
    out, done, rows = console(60, 16), MarkdownStream(console(60, 16)), Rows(16)
    view = ReplyView(out, clock=lambda: 0.0)
    finished = seen = 0
    for piece in cut(text, Random(name)):
        view.text(piece)
        rows.take(written(out)[seen:])
        seen = len(written(out))
        assert rows.touched >= finished
        finished += len(done.feed(escape_controls(piece)))
    view.finish()
    rows.take(written(out)[seen:])
    assert rows.touched >= finished
    assert "\n".join(rows.rows) == render(text, console(60))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(LINES, max_size=9), st.integers(0, 1000), st.sampled_from((12, 40)))
def test_any_markdown_comes_out_the_same(parts: list[str], seed: int, width: int) -> None:
    text = "\n".join(parts)
    assert screen(streamed(cut(text, Random(seed)), console(width)), width) == screen(
        render(text, console(width)), width
    )


def test_a_row_that_is_full_and_ends_with_a_mark_is_drawn_over_where_it_is() -> None:
    pieces = ["b\t\ufffd\ufffd\ufffd\\x7fr\\x0fb\ufffd\ufffd\ufffd\u200d", "\r"]  # 20 cells, then one more
    assert screen(streamed(pieces, console(20)), 20) == screen(render("".join(pieces), console(20)), 20)


def test_a_paragraph_whose_last_row_turns_out_to_head_a_table_leaves_no_row_behind() -> None:
    pieces = ["ld** | ", "a | bb ", "|\nbb|\n|", "-\n"]
    assert screen(streamed(pieces, console(20)), 20) == screen(render("".join(pieces), console(20)), 20)


def test_each_word_of_prose_is_shown_as_it_comes() -> None:
    out = console(40)
    view = ReplyView(out, clock=lambda: 0.0)
    for end in range(len("one two **three")):
        view.text("one two **three"[end])
        shown = "one two **three"[: end + 1].replace("**", "").strip()
        assert lines(screen(written(out), 40)) == [shown.removesuffix("*").strip()]
    assert screen(written(out), 40)[0][8].bold


def test_code_is_shown_line_by_line_and_a_table_when_it_is_complete() -> None:
    out = console(40)
    view = ReplyView(out, clock=lambda: 0.0)
    view.text("```py\nx = 1\ny = ")
    assert lines(screen(written(out), 40)) == ["py", "x = 1"]
    view.text("2\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3")
    assert lines(screen(written(out), 40)) == ["py", "x = 1", "y = 2"]
    view.text(" | 4 |\n\nafter")
    assert lines(screen(written(out), 40)) == ["py", "x = 1", "y = 2", "", "a  b", "────", "1  2", "3  4", "", "after"]


def test_fast_pieces_are_drawn_together_but_the_first_at_once() -> None:
    now = [0.0]
    out = console(40)

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    view = ReplyView(out, clock=clock, stall=60)
    view.text("one")
    assert lines(screen(written(out), 40)) == ["one"]
    view.text(" two")
    assert lines(screen(written(out), 40)) == ["one"]
    now[0] += 1
    view.text(" three")
    assert lines(screen(written(out), 40)) == ["one two three"]
    view.text(" four")
    view.finish()
    assert lines(screen(written(out), 40)) == ["one two three four"]


def test_the_last_piece_of_a_burst_appears_although_the_stream_stalls() -> None:
    now = [0.0]
    out = console(40)

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    view = ReplyView(out, clock=clock, stall=0.02)
    for burst in (("one", " two"), (" three", " four")):
        for piece in burst:
            view.text(piece)
        end = time.monotonic() + 5
        while not written(out).endswith(burst[-1]) and time.monotonic() < end:
            time.sleep(0.005)
    assert lines(screen(written(out), 40)) == ["one two three four"]
    view.text(" five")
    view.finish()
    whole = written(out)
    time.sleep(0.05)
    assert written(out) == whole
    assert lines(screen(whole, 40)) == ["one two three four five"]


def test_words_go_on_appearing_when_a_paragraph_is_longer_than_the_screen() -> None:
    out = console(40, 8)
    view = ReplyView(out, clock=lambda: 0.0)
    for word in (PROSE * 40).split(" "):
        view.text(word + " ")
    shown = "".join(lines(screen(written(out), 40, 8))).replace(" ", "")
    assert len((PROSE * 40).replace(" ", "")) - len(shown) < 1000
    view.finish()
    assert screen(written(out), 40, 8) == screen(render(PROSE * 40, console(40)), 40, 8)


@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("after", [30, 59, 60, 200])
def test_a_resize_loses_and_repeats_nothing(after: int, breaks: bool) -> None:
    out, rows, seen = console(60), Rows(24), 0
    view = ReplyView(out, clock=lambda: 0.0)
    words = [f"word{number}" for number in range(60)]
    for number, word in enumerate(words):
        if number == 25:
            seen = len(written(out))
            rows.take(written(out))
            if breaks:
                rows.narrow(after)
            out.width = after
        view.text(word + " ")
    view.text("\n\n- an item\n\nnext")
    view.finish()
    rows.take(written(out)[seen:])
    assert "".join(CODES.sub("", row) for row in rows.rows).replace(" ", "") == "".join(words) + "•anitemnext"
    assert max(len(row) for row in rows.rows[-4:]) <= after


def test_a_word_that_changes_nothing_else_is_all_that_is_written() -> None:
    out = console(60)
    view = ReplyView(out, clock=lambda: 0.0)
    view.text("- an item\n\n" + PROSE)
    seen = len(written(out))
    view.text("More")
    view.text(" words")
    assert written(out)[seen:] == " More words"


def test_a_lower_screen_is_not_drawn_over() -> None:
    out, rows = console(40, 24), Rows(6)
    view = ReplyView(out, clock=lambda: 0.0)
    view.text(PROSE * 4)
    out.height = 6
    view.text("The end.")
    view.finish()
    rows.take(written(out))
    assert " ".join(" ".join(rows.rows).split()) == PROSE * 4 + "The end."


def test_reasoning_is_dim_and_apart_and_can_be_hidden() -> None:
    out = console(40)
    view = ReplyView(out, clock=lambda: 0.0)
    for piece in ("Let me ", "*think*.", "\n\nWell"):
        view.reasoning(piece)
    view.text("The answer")
    view.finish()
    assert lines(screen(written(out), 40)) == ["Let me think.", "", "Well", "", "The answer"]
    thought, answer = written(out).rsplit("\n\n", 1)
    assert "\x1b[2m" in thought and answer == "The answer\n"
    hidden = console(40)
    view = ReplyView(hidden, reasoning=False)
    view.reasoning("Let me think.")
    view.text("The answer")
    view.finish()
    assert written(hidden) == "The answer\n"


def test_finish_lets_something_else_be_printed_in_between() -> None:
    out = console(40)
    view = ReplyView(out, clock=lambda: 0.0)
    view.finish()
    view.text("one")
    view.finish()
    view.text("two")
    view.finish()
    assert written(out) == "one\ntwo\n"


@pytest.mark.parametrize("how", ["file", "dumb", "markdown off", "ascii"])
def test_plain_text_is_appended_and_never_drawn_again(how: str) -> None:
    out = console(40, TERM="dumb" if how == "dumb" else "xterm")
    if how == "file":
        out = Console(file=io.StringIO())
    elif how == "ascii":
        out = Console(file=io.TextIOWrapper(io.BytesIO(), "ascii"), force_terminal=True)
    view = ReplyView(out, markdown=how != "markdown off")
    for piece in ("# **A**", "\r", "\nb\x1b[2J", "\rc"):
        view.text(piece)
    view.finish()
    out.file.seek(0)
    assert out.file.read() == "# **A**\nb\\x1b[2J\\rc\n"


def test_a_line_end_may_be_cut_in_two() -> None:
    assert streamed(["- a\r", "\n- b\r\n"], console(40)) == streamed(["- a\n- b\n"], console(40))


def test_hostile_text_makes_no_other_sequences_than_harmless_text() -> None:
    hostile = replies()["odd"]
    odd = dict.fromkeys(map(ord, "\x1b\x07\x9b\x00\x08\u202e\u202c\u2066\u2069\U000e0041"), "?")
    made = [streamed(cut(text, Random(7)), console(80)) for text in (hostile, hostile.translate(odd))]
    sequences = [
        {re.sub(r"\d+(?=A)", "", one) for one in re.findall(r"\x1b[^A-Za-z]*[A-Za-z]?", text)} for text in made
    ]
    assert sequences[0] == sequences[1]
    assert not set(made[0]) & (set(map(chr, odd)) - {"\x1b"})
    assert "\x1b]" not in made[0] and "\x1b]" not in render(hostile, console(80))


def test_no_color_leaves_only_weight() -> None:
    text = "**bold** `code`\n\n```py\nif 1: pass\n```\n"
    made = streamed([text], console(40, NO_COLOR="1"))
    assert set(re.findall(r"\x1b\[([\d;]*)m", made)) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("environ", "chosen", "expected"),
    [
        ({}, {}, "\x1b[2mhm\x1b[0m\n\n\x1b[1mhi\x1b[0m\n"),
        ({"NO_COLOR": "1", "COLUMNS": "3"}, {}, "\x1b[2mhm\x1b[0m\n\n\x1b[1mhi\x1b[0m\n"),
        ({}, {"reasoning": "hide"}, "\x1b[1mhi\x1b[0m\n"),
        ({"ACCESSIBLE": "1"}, {"reasoning": "hide"}, "**hi**\n"),
        ({"TERM": "dumb"}, {"reasoning": "hide"}, "**hi**\n"),
        ({}, {"reasoning": "hide", "markdown": False}, "**hi**\n"),
    ],
)
def test_the_settings_and_the_environment_choose(
    environ: dict[str, str], chosen: dict[str, str | bool], expected: str, tmp_path: Path
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    environment = Environment({"TERM": "xterm-256color", **environ}, tmp_path, io.StringIO(), out, io.StringIO())
    own = Settings()
    for name, value in chosen.items():
        own.set(name, value)
    view = create_reply_view(environment, own)
    view.reasoning("hm")
    view.text("**hi**")
    view.finish()
    assert out.getvalue() == expected


def test_a_code_block_has_its_language_above_it_dim() -> None:
    made = streamed(["```rust title=x\nlet x;\n```\n\n```\nplain\n```\n"], console(40))
    assert made.startswith("\x1b[2mrust\x1b[0m\n")
    assert lines(screen(made, 40)) == ["rust", "let x;", "", "plain"]


def test_a_br_breaks_the_line_of_a_cell_and_of_a_paragraph() -> None:
    text = "| a | b |\n|---|---|\n| one<br>two<BR/>three | x |\n\nhere<br />there `<br>`\n"
    assert lines(screen(streamed([text], console(40)), 40)) == [
        *("a      b", "────────", "one    x", "two", "three", "", "here", "there <br>")
    ]


def test_a_reference_link_shows_its_address_before_and_after_the_definition() -> None:
    text = "See [it][1].\n\n[1]: http://x.y/z\n\nAgain [it][1].\n"
    made = lines(screen(streamed([text], console(60)), 60))
    assert made == ["See [it][1].", "", "[1]: http://x.y/z", "", "Again it (http://x.y/z)."]
