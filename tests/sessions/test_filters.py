"""Filters, order and dates of lists, and positions of search hits."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import UsageError
from llmrepl.sessions.index.query import Filters, Row, filter_and_sort, parse_epoch, parse_time, row_from_json
from llmrepl.sessions.index.search import AROUND, find_hits
from llmrepl.sessions.stats import grand_total, merge_by_model, total_by_model
from tests.cli_runner import CliRunner

NOW = datetime(2024, 1, 31, 12, 0)

ROWS = [
    Row("b", epoch=30.0, model="anthropic/claude", turns=2, tokens=50, cost=0.5, tags=("Python",), system="Be Kind"),
    Row("a", epoch=30.0, model="openai/gpt-4o", turns=12, tokens=5, cost=0.25),
    Row("c", epoch=10.0, model="openai/gpt-4o-mini", turns=1, tokens=700, unpriced=1),
    Row("bad", damaged="not a session"),
]


def names(filters: Filters, sort: str = "name", limit: int | None = None) -> str:
    return " ".join(row.name for row in filter_and_sort(ROWS, filters, sort, limit))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), "a b bad c"),
        (Filters(model="gpt-4o"), "a c"),
        (Filters(model="GPT"), ""),
        (Filters(since=30.0), "a b"),
        (Filters(until=30.0), "c"),
        (Filters(min_turns=2), "a b"),
        (Filters(max_turns=2), "b c"),
        (Filters(min_turns=0), "a b c"),
        (Filters(min_cost=0.25), "a b"),
        (Filters(max_cost=0.25), "a c"),
        (Filters(system_contains="KIND"), "b"),
        (Filters(tag="python"), "b"),
        (Filters(tag="pyth"), ""),
        (Filters(model="openai", max_cost=0.1), "c"),
    ],
)
def test_a_filter_lets_through_what_the_guide_says(filters: Filters, found: str) -> None:
    assert names(filters) == found


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        *(("date", "a b c"), ("name", "a b c"), ("model", "b a c")),
        *(("turns", "a b c"), ("tokens", "c b a"), ("cost", "b a c")),
    ],
)
def test_the_order_is_the_largest_first_and_equal_ones_by_name(sort: str, found: str) -> None:
    assert names(Filters(max_turns=99), sort) == found
    assert names(Filters(max_turns=99), sort, 2) == found[:3]


@pytest.mark.parametrize(
    ("text", "end", "meant"),
    [
        ("2024-01-08", False, datetime(2024, 1, 8)),
        ("2024-01-08", True, datetime(2024, 1, 9)),
        ("2024-01-08T14:30", True, datetime(2024, 1, 8, 14, 30)),
        ("30d", False, NOW - timedelta(days=30)),
        (" 2w ", False, NOW - timedelta(weeks=2)),
        ("12h", True, NOW - timedelta(hours=12)),
    ],
)
def test_a_date_is_written_as_people_do(text: str, end: bool, meant: datetime) -> None:
    assert parse_time(text, NOW, end=end) == meant.timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "30", "-3d", "999999d", "9999999d", "2024-13-01", "9999-12-31"])
def test_what_is_no_date_is_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match="is not a date"):
        parse_time(text, NOW, end=True)


@pytest.mark.parametrize("created", [None, 7, "", "junk", "2024-99-01", "10000-01-01", ["x"]])
def test_a_session_without_a_valid_date_has_that_of_its_file(created: object) -> None:
    assert parse_epoch(created, 5.0) == 5.0
    assert row_from_json("x", {"created_at": created, "turns": []}, 5.0).epoch == 5.0


def test_dates_with_an_offset_and_local_ones_are_one_order() -> None:
    assert parse_epoch("1970-01-02T00:00:00Z", 0.0) == 86400.0
    assert parse_epoch("1970-01-02T02:00:00+02:00", 0.0) == 86400.0
    assert parse_epoch("1970-01-02T00:00:00", 0.0) == datetime(1970, 1, 2).timestamp()


@settings(max_examples=60, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    (
                        "turns",
                        "meta",
                        "tags",
                        "title",
                        "cost_estimate",
                        "messages",
                        "content",
                        "text",
                        "usage_totals",
                        "total_tokens",
                        "model",
                        "system",
                        "role",
                    )
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_a_row_is_made_of_whatever_is_there(data: object) -> None:
    row = row_from_json(
        "x", data if isinstance(data, dict) else {"turns": data, "meta": data, "usage_totals": data}, 1.0
    )
    assert row.cost >= 0 and row.tokens >= 0 and 0 <= row.unpriced <= row.turns


def test_a_hit_is_shown_with_what_stands_around_it() -> None:
    text = "one  two\n" * 20 + "The Needle" + "\tthree" * 20
    data = {
        "turns": [
            {"messages": [{"role": "user", "content": "nothing"}]},
            "odd",
            {"messages": [{"role": "assistant", "content": [{"type": "text", "text": text}, 3]}]},
        ]
    }
    (hit,) = find_hits("x.json", data, "nEEDLE")
    assert (hit.turn, hit.role, hit.match) == (3, "assistant", "Needle")
    assert hit.before.startswith("…") and hit.before.endswith(" two The ") and hit.after.startswith(" three three")
    assert "\n" not in hit.snippet and len(hit.snippet) <= 2 * AROUND + len("needle") + 2


@pytest.mark.parametrize(("before", "match", "after"), [("İİ ", "needle", " İ"), ("", "İN", ""), ("İßé ", "İn", "İ")])
def test_a_hit_stands_where_it_is_also_where_letters_grow(before: str, match: str, after: str) -> None:
    data = {"turns": [{"messages": [{"role": "user", "content": before + match + after}]}]}
    (hit,) = find_hits("x", data, match.swapcase())
    assert (hit.before, hit.match, hit.after) == (before, match, after)


def test_sums_are_by_model_the_dearest_first() -> None:
    models = merge_by_model([total_by_model(ROWS[:1]), total_by_model(ROWS[1:3])])
    assert list(models) == ["anthropic/claude", "openai/gpt-4o", "openai/gpt-4o-mini"]
    assert [sums.known_cost for sums in models.values()] == [0.5, 0.25, None]
    every = grand_total(models.values())
    assert (every.sessions, every.turns, every.tokens, every.cost, every.unpriced) == (3, 15, 755, 0.75, 1)
    assert every.tokens_a_session == 251
    assert grand_total([]).tokens_a_session == 0


def test_the_cost_of_a_failed_turn_counts_in_a_filter_and_in_the_list(cli: CliRunner) -> None:
    cli.runs.mkdir()
    turn = {"messages": [{"role": "user", "content": "x"}], "finish_reason": "error", "cost_estimate": 0.25}
    session = {"model": "a/b", "created_at": "2026-01-01T10:00:00", "turns": [turn]}
    (cli.runs / "failed.json").write_text(json.dumps(session))
    for option in (("--min-cost", "0.2"), ("--max-cost", "0.25")):
        [row] = json.loads(cli.llm("sessions", "list", "--format", "json", *option).out)
        assert row["cost"] == 0.25
    assert json.loads(cli.llm("sessions", "list", "--format", "json", "--max-cost", "0.2").out) == []
    assert "$0.2500" in cli.llm("sessions", "show", "failed").out
