"""Bar charts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.commands.results import Bar, Chart
from llmrepl.rendering.chart import chart_rows, draw_bar
from llmrepl.rendering.markdown.layout import cell_width

DAYS = Chart(
    [Bar("2026-03-02", "$0.5000 ", 1.0), Bar("2026-03-03", "$0.2400+", 0.48), Bar("2026-03-04", "unknown ", 0.0)]
)


def test_a_chart_has_a_row_a_bar() -> None:
    assert chart_rows(DAYS, 40) == [
        "2026-03-02  $0.5000   ██████████████████",
        "2026-03-03  $0.2400+  ████████▋",
        "2026-03-04  unknown",
    ]
    assert chart_rows(DAYS, 40, ascii_only=True)[1] == "2026-03-03  $0.2400+  #########"
    assert chart_rows(Chart([]), 40) == []
    assert (draw_bar(1, 4), draw_bar(0.5, 4), draw_bar(0, 4)) == ("████", "██", "")


@pytest.mark.parametrize("width", [24, 40, 57, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
@given(
    names=st.lists(
        st.sampled_from(["anthropic/claude-sonnet-5", "日本語のモデル/長い名前", "a", "👩‍👩‍👧 family"]), min_size=1
    )
)
def test_no_row_is_wider_than_it_may_be_and_no_amount_is_cut(width: int, ascii_only: bool, names: list[str]) -> None:
    chart = Chart([Bar(name, f"${7.0**number / 1000:.4f} ", 1 / (number + 1)) for number, name in enumerate(names[:6])])
    for bar, row in zip(chart.bars, chart_rows(chart, width, ascii_only=ascii_only), strict=True):
        assert cell_width(row) <= width
        assert bar.amount.strip() in row
