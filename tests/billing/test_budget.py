"""Which requests a limit admits and how it caps the reply: figures computed by hand."""

from __future__ import annotations

import pytest

from llmrepl.billing.limits import Admission, Limit, admit
from llmrepl.billing.pricing import Price, flat_rate
from llmrepl.errors import OVER_BUDGET, BudgetError

PRICE = Price(flat_rate(2.0), flat_rate(10.0))
WINDOW = Price(flat_rate(2.0), flat_rate(10.0), context_window=8000)


def session(usd: float = 1.0) -> Limit:
    return Limit("session", usd, "':budget increase 0.50' raises it")


def test_without_a_limit_or_without_a_cost_everything_goes() -> None:
    assert admit([], 10**9, PRICE) == Admission(None, None)
    assert admit([(session(), 5.0)], 10**9, Price(flat_rate(0.0), flat_rate(0.0))) == Admission(None, None)


def test_the_cap_is_what_is_left_after_the_question() -> None:
    admission = admit([(session(0.01), 0.004)], 1000, PRICE)  # 0.006 left, 0.002 for the question
    assert admission.max_tokens == 400
    assert admission.left == pytest.approx(0.006)
    assert admission.worst == pytest.approx(0.006)


def test_a_question_may_be_written_to_the_cache_at_a_higher_price() -> None:
    dearer = Price(flat_rate(2.0), flat_rate(10.0), flat_rate(0.2), flat_rate(2.5))
    assert admit([(session(0.01), 0.0)], 1000, dearer).max_tokens == 750  # 0.0025 for the question


def test_a_long_question_is_in_a_dearer_tier_with_its_reply() -> None:
    tiers = Price(((0, 1.0), (200_000, 2.0)), ((0, 5.0), (200_000, 10.0)))
    assert admit([(session(1.0), 0.0)], 200_000, tiers).max_tokens == 160_000
    assert admit([(session(1.0), 0.0)], 250_000, tiers).max_tokens == 50_000


def test_a_cap_that_no_reply_can_reach_is_not_sent() -> None:
    """Servers reject a `max_tokens` beyond the model's maximum, so a budget of 5 USD must not cause an error 400."""
    assert admit([(session(5.0), 0.0)], 1000, PRICE).max_tokens == 499_800
    roomy = admit([(session(5.0), 0.0)], 1000, WINDOW)
    assert (roomy.max_tokens, roomy.left) == (None, 5.0)
    assert roomy.worst == pytest.approx(0.002 + 0.08)
    tight = admit([(session(0.05), 0.0)], 1000, WINDOW)
    assert tight.max_tokens == 4800
    assert tight.worst == pytest.approx(0.05)


def test_no_more_is_set_apart_than_the_reply_that_the_user_wants_can_cost() -> None:
    wanted = admit([(session(5.0), 0.0)], 1000, PRICE, longest=500)
    assert wanted.max_tokens is None
    assert wanted.worst == pytest.approx(0.002 + 0.005)
    assert admit([(session(0.004), 0.0)], 1000, PRICE, longest=500).max_tokens == 200


def test_of_two_limits_the_one_with_less_left_counts_and_is_named() -> None:
    daily = Limit("daily", 3.0, "raise the day")
    assert admit([(session(1.0), 0.0), (daily, 2.99)], 1000, PRICE).max_tokens == 800
    with pytest.raises(BudgetError) as raised:
        admit([(session(1.0), 0.0), (daily, 3.5)], 1000, PRICE)
    assert (raised.value.message, raised.value.hint) == (
        "Daily budget reached: $3.5000 of $3.0000 spent.",
        "raise the day",
    )
    assert raised.value.code == OVER_BUDGET


@pytest.mark.parametrize(
    ("usd", "spent", "why"),
    [
        (1.0, 1.0, "Budget reached: $1.0000 of $1.0000 spent."),
        (1.0, float("nan"), "Budget reached"),
        (0.0, 0.0, "Budget reached: $0.0000 of $0.0000 spent."),
        (1.0, 0.999, "has $0.0010 left, and the prompt alone may cost $0.0020"),
        (1.0, 0.997995, "too little for a reply"),
    ],
)
def test_a_refusal_says_why(usd: float, spent: float, why: str) -> None:
    with pytest.raises(BudgetError) as raised:
        admit([(session(usd), spent)], 1000, PRICE)
    assert why in raised.value.message and "increase 0.50" in raised.value.hint


def test_a_limit_that_only_warns_lets_everything_through_and_says_so() -> None:
    assert "Budget reached" in admit([(session(), 2.0)], 1000, PRICE, stop=False).note
    assert admit([(session(), 0.9999)], 400, PRICE, stop=False) == Admission(
        None, None, "The session budget has <$0.0001 left, and the prompt alone may cost $0.0008."
    )
    assert admit([(session(), 0.0)], 1000, PRICE, stop=False) == Admission(None, None)


def test_with_an_unknown_price_a_spent_limit_still_refuses() -> None:
    assert "does not limit it" in admit([(session(), 0.5)], 1000, None).note
    with pytest.raises(BudgetError):
        admit([(session(), 1.0)], 1000, None)


def test_each_fraction_is_warned_about_once_and_only_the_highest_of_several() -> None:
    limit = session(2.0)
    alerts = [limit.alert(spent) for spent in (0.0, 1.0, 1.5, 1.9, 1.95, 5.0)]
    assert alerts == [
        None,
        "⚠️  Budget Alert: 50% used ($1.00 of $2.00)",
        None,
        "🚨 Budget Critical: 90% used ($1.90 of $2.00)",
        None,
        "🛑 Budget Exceeded: 100% used ($5.00 of $2.00)",
    ]
    own = Limit("session", 2.0, "", warn_at=(0.7,))
    assert [bool(own.alert(spent)) for spent in (1.3, 1.4, 1.9)] == [False, True, False]
