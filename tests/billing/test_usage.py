"""Usage reports: sums of the ledger and their chart."""

from __future__ import annotations

import pytest

from llmrepl.billing.pricing import LedgerEntry
from llmrepl.billing.usage_report import BREAKDOWNS, UsageRow, chart, total, totals


def entry(cost: float | None, **names: str) -> LedgerEntry:
    said = {"day": "2026-03-04", "provider": "openai", "model": "openai/m", "session": "s"} | names
    return LedgerEntry(
        0.0, said["day"], said["provider"], said["model"], said["session"], "reply", 10, 5, 4, 2, cost, False
    )


ENTRIES = [
    entry(0.5, day="2026-03-05"),
    entry(0.25, model="openai/n", session="t"),
    entry(None, provider="mine"),
    entry(0.0, session=""),
]


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_every_breakdown_adds_up_to_the_same(by: str) -> None:
    parts, whole = totals(ENTRIES, by).values(), total(ENTRIES)
    assert whole == UsageRow(4, 40, 20, 0.75, 1) and whole.total_tokens == 60
    assert sum(part.requests for part in parts) == 4
    assert sum(part.cost for part in parts) == whole.cost and sum(part.unpriced for part in parts) == 1


def test_days_are_in_order_and_the_rest_the_dearest_first() -> None:
    assert list(totals(ENTRIES, "day")) == ["2026-03-04", "2026-03-05"]
    assert list(totals(ENTRIES, "model")) == ["openai/m", "openai/n"]
    assert list(totals(ENTRIES, "session")) == ["s", "t", ""]


def test_a_chart_has_a_row_a_day_and_says_what_is_unknown() -> None:
    days = {
        "2026-03-02": UsageRow(1, 1, 1, 0.5, 0),
        "2026-03-03": UsageRow(2, 1, 1, 0.24, 1),
        "2026-03-04": UsageRow(1, 1, 1, 0.0, 1),
    }
    assert chart(days, 40) == [
        "2026-03-02  $0.5000   ██████████████████",
        "2026-03-03  $0.2400+  ████████▋",
        "2026-03-04  unknown",
    ]
    assert chart(days, 40, ascii_only=True)[1] == "2026-03-03  $0.2400+  #########"
    assert chart({}, 40) == []
    assert chart({"2026-03-04": UsageRow(1, 1, 1, 0.0, 0)}, 40) == ["2026-03-04  $0.0000"], "nothing spent, no bar"


@pytest.mark.parametrize("width", [40, 57, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_row_of_a_chart_is_wider_than_it_may_be(width: int, ascii_only: bool) -> None:
    days = {f"2026-03-{day:02}": UsageRow(1, 1, 1, 7.0**day / 1000, day % 2) for day in range(1, 12)}
    rows = chart(days, width, ascii_only=ascii_only)
    assert max(map(len, rows)) == width
    assert all(row.isascii() for row in rows) == ascii_only
