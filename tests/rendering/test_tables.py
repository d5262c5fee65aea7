"""Tables fit the terminal: numbers and dates are intact, names distinct, one row per session."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from llmrepl.commands.results import Column, Narrowing, Table
from llmrepl.rendering.markdown.layout import cell_width
from llmrepl.rendering.table_fit import shorten_names
from llmrepl.rendering.widgets import draw_table

NAMES = [
    "session_20261125_051932.json",
    "notes.json",
    "研究ノート_二〇二六年十一月の会議と議事録.json",
    "🚀launch👍🏽plan.json",
    "the_long_name_of_a_session_about_lifetimes_part_one.json",
    "the_long_name_of_a_session_about_lifetimes_part_two.json",
]
DATES = ["2026-11-25T05:19:32", "2026-11-24T18:30:00"]
MODELS = ["openai/gpt-5-mini", "anthropic/claude-sonnet-5", "openrouter/meta-llama/llama-4-maverick"]


def sessions(names: list[str]) -> Table:
    """Return a list of sessions as the command does."""
    return Table(
        [
            Column("Filename", "name"),
            Column("Date", "date"),
            Column("Model", "name"),
            Column("Turns", "count"),
            Column("Tokens", "count"),
            Column("Est. Cost", "usd"),
        ],
        [(n, DATES[i % 2], MODELS[i % 3], i + 1, 12_345 + i, 12.3456 + i) for i, n in enumerate(names)],
        title=f"Sessions ({len(names)} found)",
        narrowing=[
            Narrowing("Tokens"),
            Narrowing("Model", "provider"),
            Narrowing("Date", "time"),
            Narrowing("Model"),
        ],
    )


def drawn(table: Table, width: int) -> list[str]:
    """Return the lines of a table on a terminal of this width."""
    screen = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    with screen.capture() as capture:
        draw_table(table, screen)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_sessions_at_every_width(width: int) -> None:
    lines = drawn(sessions(NAMES), width)
    text = "\n".join(lines)
    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert [f"${12.3456 + i:.4f}" in text for i in range(6)] == [True] * 6
    assert all(date[:10] in text for date in DATES)
    if width < 60:
        assert "│" not in text
        assert len(lines) == 1 + 2 * len(NAMES)
        assert [line.startswith("  2026-11-2") for line in lines[2::2]] == [True] * 6
    else:
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
        assert len(rows) == len(NAMES)
        assert len({row[0] for row in rows}) == len(NAMES)
        assert all(re.match(r"\d{4}-\d\d-\d\d", row[1]) for row in rows)


def test_what_goes_first() -> None:
    titles = ["Filename", "Date", "Model", "Turns", "Tokens", "Est. Cost"]
    seen = {}
    for width in range(60, 121):
        lines = drawn(sessions(NAMES[:1]), width)
        kept = [title for title in titles if title in lines[2]]
        seen[width] = (kept, "provider" if "openai/" in lines[4] else "", "time" if "05:19" in lines[4] else "")
    assert seen[120] == (titles, "provider", "time")
    assert seen[90] == ([t for t in titles if t != "Tokens"], "provider", "time")
    assert seen[80] == ([t for t in titles if t != "Tokens"], "", "time")
    assert seen[75] == ([t for t in titles if t != "Tokens"], "", "")
    assert seen[60] == ([t for t in titles if t not in ("Tokens", "Model")], "", "")
    assert all("session_20261125_051932" in drawn(sessions(NAMES[:1]), width)[4] for width in range(60, 121))


def test_a_wide_terminal_shows_the_names_in_full() -> None:
    text = "\n".join(drawn(sessions(NAMES), 200))
    assert all(name in text for name in NAMES)


def test_texts_wrap_between_words_and_lose_nothing() -> None:
    words = "A prompt of many words that does not fit on one line of this terminal and is wrapped instead of being cut."
    table = Table([Column("Turn", "count"), Column("Prompt"), Column("Cost", "usd")], [(1, words, 0.5)])
    for width in (60, 80):
        lines = [line.split("│")[2].strip() for line in drawn(table, width) if line.startswith("│")]
        assert " ".join(lines) == words


def test_a_record_labels_its_figures() -> None:
    table = Table([Column("Turn", "count"), Column("Tokens", "count"), Column("Cost", "usd")], [(3, 1200, 0.5)])
    assert [line.rstrip() for line in drawn(table, 40)] == ["Turn 3", "  1,200 tokens · $0.5000"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_marked_row_keeps_its_star(width: int) -> None:
    table = sessions(NAMES)
    table.starred = [4]
    assert [line for line in drawn(table, width) if "★ the_long" in line and "one" in line]
    assert sum("★" in line for line in drawn(table, width)) == 1


@given(
    st.lists(st.text("ab_漢字👩\u200d👧é", min_size=1, max_size=40), min_size=1, max_size=4, unique=True),
    st.integers(8, 30),
)
def test_a_shortened_name_fits(names: list[str], width: int) -> None:
    for name, shown in zip(names, shorten_names(names, width), strict=True):
        assert cell_width(shown) <= width
        assert shown == name or "…" in shown


@given(st.text("abc", max_size=30), st.text("xyz", max_size=30), st.integers(8, 30))
def test_names_with_one_difference_stay_distinct(start: str, end: str, width: int) -> None:
    assert len(set(shorten_names([f"{start}1{end}", f"{start}2{end}"], width))) == 2


TITLES = [
    "Borrowing in Rust",
    "",
    "日本語のタイトル 👩‍👩‍👧 family",
    "x" * 200,
    "\x1b[2J\n",
    "pinned one",
    "a",
    "b",
]


@pytest.mark.parametrize("width", [30, 40, 59, 60, 80, 99, 100, 120, 200])
def test_a_title_follows_the_name_only_where_there_is_space(width: int) -> None:
    names = NAMES[: len(TITLES)]
    table = sessions(names)
    before = drawn(table, width)
    table.subtitles = TITLES[: len(names)]
    after = drawn(table, width)
    assert all(cell_len(line) <= width for line in after)
    assert len(after) == len(before), "a title takes no line of its own"
    if 60 <= width < 100:
        assert after == before
    if width >= 200 or width in (40, 59):
        assert sum("Borrowing" in line for line in after) == 1
    figures = [cell for line in before for cell in re.findall(r"\$[\d.]+|\d\d,\d{3}", line)]
    assert [cell for line in after for cell in re.findall(r"\$[\d.]+|\d\d,\d{3}", line)] == figures


def test_names_are_not_shortened_for_titles() -> None:
    table = sessions(NAMES)
    table.subtitles = ["a title"] * len(NAMES)
    for name in NAMES:
        assert any(name in line for line in drawn(table, 200))
