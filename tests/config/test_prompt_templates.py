"""Saved prompts: which places they have, and what is put there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.config.prompt_templates import fill, holes, read_values


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", {}),
        ("{a} {b:x} {a:y}", {"a": "y", "b": "x"}),
        ("{a:} and {a}", {"a": ""}),
        ("$1 and $2", {"1": None, "2": None}),
        ("it costs $5, or $100", {}),
        ("$1 costs $5 or $10", {"1": None}),
        ('{} { a } {"key": 1} {1}', {}),
    ],
)
def test_places_of_a_prompt(text: str, wanted: dict[str, str | None]) -> None:
    assert holes(text) == wanted


def test_arguments_are_named_or_in_order() -> None:
    wanted = holes("$1 {who} $2")
    assert read_values(wanted, ["a", "who=Ada=x", "b=c"]) == {"1": "a", "who": "Ada=x", "2": "b=c"}
    with pytest.raises(KeyError, match="surplus"):
        read_values(wanted, ["a", "b", "surplus"])
    with pytest.raises(KeyError, match="wo=Ada"):
        read_values(holes("{who}"), ["wo=Ada"])


def test_a_value_stands_as_it_was_given() -> None:
    assert fill("{a} {b:x} $1 $5", {"a": "{b} $1 {c}", "1": "one"}) == "{b} $1 {c} x one $5"
    with pytest.raises(KeyError):
        fill("{a}", {})


@given(st.text(alphabet="{}:$12ab \n"), st.text(alphabet="{}$1a"))
def test_nothing_is_sent_with_a_place_left_open(text: str, value: str) -> None:
    missing = {name: value for name, default in holes(text).items() if default is None}
    assert fill(text, missing).count(value) >= len(missing) if value else fill(text, missing) is not None
