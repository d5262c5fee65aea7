"""Usage reports: sums of the ledger."""

from __future__ import annotations

import pytest

from llmrepl.billing.pricing import LedgerEntry
from llmrepl.billing.usage_report import BREAKDOWNS, UsageRow, total, totals


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
