"""Costs computed by hand, enforced limits, and a ledger shared by several shells."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from llmrepl.billing.cost import cost_of
from llmrepl.billing.ledger import Ledger, LedgerError
from llmrepl.billing.limits import Limit, admit
from llmrepl.billing.price_catalog import PriceCatalog
from llmrepl.billing.pricing import LedgerEntry, Price, flat_rate
from llmrepl.billing.usage_report import total, totals
from llmrepl.errors import BudgetError
from llmrepl.types import Usage

NOW = datetime(2026, 3, 4, 12)
PLAIN = Price(flat_rate(2.0), flat_rate(10.0))
CACHED = Price(flat_rate(2.0), flat_rate(10.0), flat_rate(0.5), flat_rate(2.5))
TIERS = Price(((0, 1.0), (200_000, 2.0)), ((0, 5.0), (200_000, 8.0)))


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(1_000_000, 0), PLAIN, 2.0),
        (Usage(1000, 500), PLAIN, 0.007),
        (Usage(1000, 500, reasoning_tokens=400), PLAIN, 0.007),
        (Usage(1000, 0, cached_tokens=800), CACHED, 0.0008),
        (Usage(1000, 0, cache_write_tokens=800), CACHED, 0.0024),
        (Usage(1000, 0, cached_tokens=800), PLAIN, 0.002),
        (Usage(200_000, 1000), TIERS, 0.205),
        (Usage(200_001, 1000), TIERS, 0.408002),
        (Usage(1000, 500, cost=0.5), PLAIN, 0.5),
        (Usage(1000, 500, cost=0.5), None, 0.5),
        (Usage(1000, 500, cost=float("nan")), PLAIN, 0.007),
        (Usage(1000, 500, cost=-1.0), None, None),
        (Usage(1000, 500), None, None),
    ],
)
def test_a_cost_is_what_a_hand_computes(usage: Usage, price: Price | None, cost: float | None) -> None:
    found = cost_of(usage, price)
    assert found == (None if cost is None else pytest.approx(cost, abs=1e-12))


def test_prices_are_the_users_own_before_those_of_the_data_set() -> None:
    prices = PriceCatalog({"openai/gpt-4o-mini": {"input": 7.0, "output": 9.0}})
    own = prices.find("openai", "gpt-4o-mini", NOW)
    assert own is not None and (own.input, own.output, own.source) == (flat_rate(7.0), flat_rate(9.0), "config")
    routed = prices.find("openrouter", "openai/gpt-4o-mini", NOW)  # the user's name for it
    assert routed is not None and routed.source == "config"
    listed = prices.find("openrouter", "openai/gpt-4o", NOW)
    assert listed is not None and listed.source == "dataset" and listed.input[0][1] > 0
    assert prices.find("openai", "no-such-model-at-all", NOW) is None
    free = prices.find("ollama", "llama3", NOW)
    assert free is not None and free.free


def test_a_budget_refuses_caps_and_tells_once() -> None:
    limit = Limit("session", 1.0, "raise it")
    assert admit([(limit, 0.0)], 1000, PLAIN).max_tokens == 99_800
    with pytest.raises(BudgetError, match="Budget reached"):
        admit([(limit, 1.0)], 1, PLAIN)
    with pytest.raises(BudgetError, match="prompt alone"):
        admit([(limit, 0.999)], 1000, PLAIN)
    assert "unknown" in admit([(limit, 0.0)], 1, None).note
    assert admit([(limit, 5.0)], 1, PLAIN, stop=False).max_tokens is None
    alerts = [limit.alert(spent) is not None for spent in (0.4, 0.5, 0.6, 0.95, 0.96)]
    assert alerts == [False, True, False, True, False]


def entry(cost: float | None, model: str = "m") -> LedgerEntry:
    return LedgerEntry(NOW.timestamp(), "2026-03-04", "openai", model, "s", "reply", 10, 5, 0, 0, cost, False)


def test_random_conversations_of_three_shells_never_pass_the_day_by_more_than_one_question(tmp_path: Path) -> None:
    rng = random.Random(1)
    shells = [Ledger(tmp_path / "ledger.db") for _ in range(3)]
    limit, tally, worst_question = 1.0, 0.0, 0.0
    for _ in range(300):
        ledger = rng.choice(shells)
        prompt = rng.randrange(1, 3000)
        try:
            admission = admit([(Limit("daily", limit, ""), ledger.spent_today(NOW))], prompt, PLAIN)
        except BudgetError:
            continue
        most = PLAIN.of(prompt, 0, 0, admission.max_tokens or 0)
        number, _amount = ledger.reserve_within(NOW, most, limit)
        replied = rng.randrange(0, min(admission.max_tokens or 0, 4000) + 1)
        cost = PLAIN.of(prompt, 0, 0, replied)
        ledger.settle(number, entry(cost))
        tally += cost
        worst_question = max(worst_question, PLAIN.worst_input(prompt))
    assert tally <= limit + worst_question
    assert shells[0].spent_today(NOW) == pytest.approx(tally, abs=1e-9)


def test_what_a_killed_shell_had_reserved_counts_as_spent_and_blocks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    program = (
        "import os, signal, sys; from datetime import datetime; from pathlib import Path;"
        "from llmrepl.billing.ledger import Ledger;"
        "Ledger(Path(sys.argv[1])).reserve_within(datetime(2026, 3, 4), 0.4, 1.0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    ledger = Ledger(path)
    assert ledger.spent_today(NOW) == pytest.approx(0.4)
    assert [(one.kind, one.cost) for one in ledger.entries()] == [("interrupted", 0.4)]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_damaged_ledger_is_renamed_and_an_unreadable_one_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"junk" * 4000)
    assert Ledger(path).spent_today(NOW) == 0
    assert (tmp_path / "ledger.db.corrupt").read_bytes().startswith(b"junk")
    (tmp_path / "directory.db").mkdir()
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "directory.db").spent_today(NOW)


def test_usage_adds_up_and_says_what_is_unpriced() -> None:
    entries = [entry(0.5, "a"), entry(None, "a"), entry(0.25, "b")]
    assert [(name, used.requests, used.cost, used.unpriced) for name, used in totals(entries, "model").items()] == [
        ("a", 2, 0.5, 1),
        ("b", 1, 0.25, 0),
    ]
    assert (total(entries).total_tokens, total(entries).cost) == (45, 0.75)
