"""Layout fills rows, loses nothing, and never splits a grapheme cluster."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from llmrepl.rendering.markdown.layout import cell_width, wrap

PARTS = st.sampled_from(
    ["\n", "\u200d", "\u0301", "x" * 30, *"a@word@ @  @日本@語。@「@👩‍💻@🇩🇪@e\u0301@❤️@👍🏽@שלום@한국".split("@")],
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(PARTS, max_size=20).map("".join), st.integers(2, 50))
def test_no_row_is_too_wide_and_no_character_is_lost(text: str, width: int) -> None:
    rows = [row.plain for row in wrap(Text(text), width)]
    assert "".join(rows).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    for row in rows:
        assert cell_width(row) <= width or cell_width(row) <= 8, (
            "only one joined emoji may be wider than a narrow screen"
        )


@pytest.mark.parametrize("whole", ["👩‍💻", "🇩🇪", "e\u0301", "❤️", "👍🏽", "👨‍👩‍👧‍👦"])
def test_what_is_drawn_as_one_is_never_cut(whole: str) -> None:
    for width in range(8, 20):
        for row in wrap(Text(whole * 20), width):
            assert row.plain == whole * (len(row) // len(whole))


def test_styles_stay_with_their_words() -> None:
    text = Text("one two three")
    text.stylize("bold", 4, 7)
    rows = wrap(text, 8)
    assert [row.plain for row in rows] == ["one two", "three"]
    assert [(span.start, span.end) for span in rows[0].spans] == [(4, 7)]


def test_punctuation_stays_with_the_character_before_it() -> None:
    assert [row.plain for row in wrap(Text("日本語。日本"), 6)] == ["日本", "語。日", "本"]


@pytest.mark.parametrize(
    ("text", "most"), [("👩‍💻", 4), ("❤️", 2), ("👍🏽", 4), ("e\u0301", 1), ("日本", 4), ("plain", 5)]
)
def test_a_joined_emoji_counts_as_wide_as_its_parts(text: str, most: int) -> None:
    assert cell_width(text) == most
