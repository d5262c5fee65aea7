"""Endless combining marks: the prompt and the reply stay fast, and all of them are sent."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import Transformation, TransformationInput
from rich.text import Text

from llmrepl.prompt.highlight import MOST_MARKS, ShortenMarks
from llmrepl.rendering.markdown.layout import wrap

MARK, ZWJ, VARIATION = "\u0301", "\U0001f469\u200d", "\ufe0f"


def shown(text: str) -> tuple[str, Transformation]:
    document = Document(text)
    control = BufferControl(Buffer(document=document))
    given: list[Any] = [("", text[: len(text) // 2]), ("bold", text[len(text) // 2 :])]
    made = ShortenMarks().apply_transformation(
        TransformationInput(control, document, 0, lambda at: at, given, width=80, height=24)
    )
    return "".join(fragment[1] for fragment in made.fragments), made


@pytest.mark.parametrize("text", ["plain", "e" + MARK, "e" + MARK * MOST_MARKS + "f", "family " + ZWJ * 5, ""])
def test_what_people_write_is_drawn_as_it_is(text: str) -> None:
    assert shown(text)[0] == text


def test_only_some_of_endless_marks_are_drawn_and_the_cursor_knows() -> None:
    text = "ab" + MARK * 1000 + "cd"
    drawn, made = shown(text)
    assert drawn == "ab" + MARK * MOST_MARKS + "cd"
    assert [made.source_to_display(at) for at in (0, 1, 2, 1002, len(text))] == [
        0,
        1,
        2,
        len(drawn) - 2,
        len(drawn),
    ]
    assert made.display_to_source(len(drawn)) == len(text) and made.display_to_source(1) == 1


@pytest.mark.parametrize("unit", [MARK, ZWJ, VARIATION, "\U0001f3fb", "\U0001f1e9", "\u1160"])
def test_a_reply_of_nothing_but_joined_characters_has_rows(unit: str) -> None:
    text = "e" + unit * 30_000
    began = time.perf_counter()
    rows = wrap(Text(text), 80)
    assert time.perf_counter() - began < 2
    assert "".join(row.plain for row in rows) == text
    assert max(len(row.plain) for row in rows) <= 80 * 32
