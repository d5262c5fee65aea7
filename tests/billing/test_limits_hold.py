"""Random conversations with a server of known prices: no limit is exceeded by more than one request's input.

LLMREPL_CONVERSATIONS says how many, of which three shells hold ten a day; 10,000 take about a minute and a half.
"""

from __future__ import annotations

import io
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.billing.cost_tracker import CostTracker
from llmrepl.billing.ledger import Ledger
from llmrepl.billing.limits import Limit, admit
from llmrepl.billing.pricing import LedgerEntry, Price, flat_rate
from llmrepl.billing.reservation import Reservation
from llmrepl.config.settings import Settings
from llmrepl.errors import BudgetError
from llmrepl.models.resolver import ResolvedModel
from llmrepl.providers.base import Options
from llmrepl.providers.vendors import configured_vendor
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.types import Usage

CONVERSATIONS = int(os.environ.get("LLMREPL_CONVERSATIONS", "200"))
INPUT, CACHED, WRITTEN, OUTPUT = Fraction(3), Fraction(3, 10), Fraction(15, 4), Fraction(15)
"""The server's prices, USD per million tokens."""
MODEL = ResolvedModel("sim/m", "m", configured_vendor("sim", None, {"base_url": "https://sim.test/v1"}))


class Server:
    """A server that keeps its own account, in exact fractions of USD."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.owed = Fraction(0)

    def answer(self, reservation: Reservation, most_prompt: int) -> Usage:
        """Read a prompt of at most `prompt` tokens, then reply until done, capped or disconnected."""
        prompt = self.rng.randrange(most_prompt // 3, most_prompt + 1)
        cached = self.rng.choice((0, self.rng.randrange(prompt + 1)))
        written = self.rng.choice((0, self.rng.randrange(prompt - cached + 1)))
        cap = reservation.capped(Options()).max_tokens
        wanted = self.rng.choice((5, 200, 4000, 60_000))
        replied = 0
        while replied < (wanted if cap is None else min(wanted, cap)):
            replied = min(replied + 50, wanted, cap or wanted)
            if reservation.overrun(replied * self.rng.randrange(100, 130) // 100):  # the guess is never too low
                break
        cost = (INPUT * (prompt - cached - written) + CACHED * cached + WRITTEN * written + OUTPUT * replied) / 10**6
        self.owed += cost
        reported = float(cost) if self.rng.random() < 0.3 else None
        return Usage(prompt, replied, cached, written, cost=reported)


@dataclass
class Shell:
    """A shell with its own connection to the shared ledger; `asked` while a request is in progress."""

    cost_tracker: CostTracker
    asked: tuple[Reservation, int] | None = None


@pytest.fixture
def state() -> Iterator[Path]:
    """Return a directory for the ledger, in memory if possible, since every request is flushed to disk."""
    with ExitStack() as stack:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))


def cost_tracker(state: Path, now: list[datetime], **environ: str) -> CostTracker:
    nothing = io.StringIO()
    environment = Environment({"HOME": str(state), **environ}, state, nothing, nothing, nothing, now=lambda: now[0])
    paths = Paths.find(environment.environ)
    found = Settings.load(environment.environ, state, paths)
    rates = {"input": INPUT, "output": OUTPUT, "cache_read": CACHED, "cache_write": WRITTEN}
    found.prices["sim/m"] = {key: float(usd) for key, usd in rates.items()}
    return CostTracker(environment, found, paths, lambda text: None)


def worst_question(tokens: int) -> Fraction:
    return WRITTEN * tokens / 10**6


@pytest.mark.timeout(600)
def test_one_shell_never_passes_its_sessions_limit(state: Path) -> None:
    rng, now = random.Random(4), [datetime(2026, 3, 4, 12)]
    server = Server(rng)
    one = cost_tracker(state, now)
    for _ in range(CONVERSATIONS):
        limit, before, largest = rng.choice((0.001, 0.02, 0.3, 1.5)), server.owed, Fraction(0)
        one.set_session(limit)
        one.spent = 0.0
        for _ in range(8):
            tokens = rng.choice((20, 900, 30_000))
            try:
                reservation = one.reserve(MODEL, lambda tokens=tokens: tokens)  # type: ignore[misc]
            except BudgetError:
                break
            one.record(reservation, MODEL, server.answer(reservation, tokens), kind="reply", session="s")
            largest = max(largest, worst_question(tokens))
        assert server.owed - before <= Fraction(limit) + largest
    assert sum(entry.cost or 0.0 for entry in one.entries(None)) == pytest.approx(float(server.owed), abs=1e-9)


@pytest.mark.timeout(600)
def test_three_shells_at_once_never_pass_the_days_limit(state: Path) -> None:
    rng, now, limit = random.Random(8), [datetime(2026, 3, 1, 12)], 0.05
    server = Server(rng)
    shells = [Shell(cost_tracker(state, now, LLM_DAILY_BUDGET=str(limit))) for _ in range(3)]
    refused = 0
    for day in range(CONVERSATIONS // 10):
        now[0] = datetime(2026, 3, 1, 12) + timedelta(days=day)
        before, largest = server.owed, Fraction(0)
        for _ in range(30):
            shell = rng.choice(shells)
            if shell.asked:
                reservation, tokens = shell.asked
                shell.cost_tracker.record(
                    reservation, MODEL, server.answer(reservation, tokens), kind="reply", session="s"
                )
                shell.asked = None
                continue
            tokens = rng.choice((20, 300, 2000))
            try:
                shell.asked = shell.cost_tracker.reserve(MODEL, lambda tokens=tokens: tokens), tokens  # type: ignore[misc]
            except BudgetError:
                refused += 1
            else:
                largest = max(largest, worst_question(tokens))
        for shell in shells:
            if shell.asked:
                reservation, tokens = shell.asked
                shell.cost_tracker.record(
                    reservation, MODEL, server.answer(reservation, tokens), kind="reply", session="s"
                )
                shell.asked = None
        assert server.owed - before <= Fraction(limit) + largest
        assert shells[0].cost_tracker.spent_today() == pytest.approx(float(server.owed - before), abs=1e-9)
    recorded = sum(entry.cost or 0.0 for entry in shells[1].cost_tracker.entries(None))
    assert recorded == pytest.approx(float(server.owed), abs=1e-9)
    assert refused > 0, "no conversation reached the limit"


@dataclass
class Request:
    """A request in progress: admitted, then reserved (with `number`), then settled."""

    ledger: Ledger
    tokens: int
    worst: float
    cap: int | None
    number: int | None = None


@pytest.mark.timeout(600)
def test_three_ledgers_hold_the_day_however_their_requests_overlap(state: Path) -> None:
    rng, limit = random.Random(15), 0.5
    read, output, cached, written = (flat_rate(float(usd)) for usd in (INPUT, OUTPUT, CACHED, WRITTEN))
    price = Price(read, output, cached, written, context_window=4000)
    ledgers = [Ledger(state / "ledger.db") for _ in range(3)]
    most_at_once = 0
    for day in range(CONVERSATIONS // 10):
        now = datetime(2026, 3, 1, 12) + timedelta(days=day)
        owed, largest = Fraction(0), Fraction(0)
        open_requests: list[Request] = []
        for step in range(60):
            if step < 50 and len(open_requests) < 3 and rng.random() < 0.5:
                tokens = rng.choice((20, 300, 2000))
                limits = [(Limit("daily", limit, "raise"), ledgers[0].spent_today(now))]
                try:
                    admission = admit(limits, tokens, price)
                except BudgetError:
                    continue
                largest = max(largest, worst_question(tokens))
                ledger = ledgers[len(open_requests)]
                open_requests.append(Request(ledger, tokens, admission.worst, admission.max_tokens))
            elif open_requests:
                one = rng.choice(open_requests)
                if one.number is None:
                    one.number, amount = one.ledger.reserve_within(now, one.worst, limit)
                    if amount + 1e-12 < one.worst:
                        one.cap = price.affordable(amount - price.worst_input(one.tokens), one.tokens)
                    if one.cap == 0:
                        one.ledger.release(one.number)
                        open_requests.remove(one)
                    most_at_once = max(most_at_once, sum(other.number is not None for other in open_requests))
                    continue
                replied = min(rng.choice((5, 900, 4000)), 4000 if one.cap is None else one.cap)
                exact = (INPUT * one.tokens + OUTPUT * replied) / 10**6
                owed += exact
                one.ledger.settle(one.number, entry(now, float(exact)))
                open_requests.remove(one)
        for one in open_requests:
            if one.number is not None:
                one.ledger.release(one.number)
        assert owed <= Fraction(limit) + largest
        assert ledgers[2].spent_today(now) == pytest.approx(float(owed), abs=1e-9)
    assert most_at_once == 3


def entry(now: datetime, cost: float) -> LedgerEntry:
    return LedgerEntry(now.timestamp(), f"{now:%Y-%m-%d}", "sim", "sim/m", "s", "reply", 1, 1, 0, 0, cost, False)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    usd=st.floats(1e-6, 10),
    spent=st.floats(0, 10),
    daily=st.floats(1e-6, 10),
    today=st.floats(0, 10),
    prompt=st.integers(0, 300_000),
    wanted=st.none() | st.integers(1, 100_000),
    window=st.sampled_from([None, 8192, 200_000]),
    rates=st.tuples(*[st.floats(0.01, 100)] * 4),
)
def test_what_is_admitted_fits_into_the_smaller_limit(
    usd: float,
    spent: float,
    daily: float,
    today: float,
    prompt: int,
    wanted: int | None,
    window: int | None,
    rates: tuple[float, float, float, float],
) -> None:
    read, write, hit, kept = rates
    tiers = (flat_rate(read)[0], (200_000, read * 2)), (flat_rate(write)[0], (200_000, write * 1.5))
    price = Price(*tiers, flat_rate(hit), flat_rate(kept), context_window=window)
    limits = [(Limit("session", usd, "raise"), spent), (Limit("daily", daily, "raise"), today)]
    left = min(usd - spent, daily - today)
    try:
        admission = admit(limits, prompt, price, longest=wanted)
    except BudgetError:
        one_more = price.worst_input(prompt) + price.of(prompt, 0, 0, 1) - price.of(prompt, 0, 0, 0)
        assert one_more > left * (1 - 1e-9) - 1e-15
        return
    replies = [n for n in (admission.max_tokens, wanted, window) if n is not None]
    for cached, written in ((0, 0), (0, prompt), (prompt, 0)):
        if price.of(prompt - cached - written, cached, written, 0) <= price.worst_input(prompt):
            assert price.of(prompt - cached - written, cached, written, min(replies)) <= left + 1e-9
    assert admission.worst <= left + 1e-9
