"""Prices of models: exact, or reported as unknown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from llmrepl.billing.cost import cost_of
from llmrepl.billing.price_catalog import PriceCatalog
from llmrepl.billing.pricing import Price, flat_rate
from llmrepl.types import Usage

NOW = datetime(2026, 11, 23, 12)
OWN = {"input": 7.0, "output": 9.0}


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4-5"),
        ("gemini", "gemini-2.5-pro"),
        ("openrouter", "openai/gpt-4o-mini"),
        ("mistral", "mistral-large-latest"),
        ("deepseek", "deepseek-chat"),
        ("xai", "grok-4"),
        ("groq", "llama-3.3-70b-versatile"),
    ],
)
def test_the_vendors_models_have_prices(provider: str, model: str) -> None:
    price = PriceCatalog({}).find(provider, model, NOW)
    assert price and price.source == "dataset" and not price.free and price.output[0][1] >= price.input[0][1] > 0


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model-at-all"),
        ("nobody", "gpt-4o"),
        ("my-openai-proxy", "gpt-4o"),  # what a proxy charges only its owner knows
        ("mistral-at-work", "mistral-large-latest"),
        ("perplexity", "sonar"),  # costs something a request as well
        ("openrouter", "perplexity/sonar-deep-research"),  # has a price of its own for reasoning
        ("openrouter", ""),
    ],
)
def test_what_is_not_known_exactly_is_unknown(provider: str, model: str) -> None:
    assert PriceCatalog({}).find(provider, model, NOW) is None


@pytest.mark.parametrize("provider", ["offline", "ollama", "lmstudio", "llamacpp", "vllm"])
def test_your_own_machine_sends_no_bill_unless_you_say_so(provider: str) -> None:
    free = PriceCatalog({"m": OWN}).find(provider, "m", NOW)
    assert free and free.free and cost_of(Usage(10**6, 10**6), free) == 0.0
    said = PriceCatalog({f"{provider}/m": OWN}).find(provider, "m", NOW)
    assert said and (said.input, said.source) == (flat_rate(7.0), "config")


def test_free_models_of_openrouter_are_free() -> None:
    price = PriceCatalog({}).find("openrouter", "google/gemma-3-27b-it:free", NOW)
    assert price and price.free


def test_a_price_of_which_you_say_a_part_keeps_the_rest() -> None:
    listed = PriceCatalog({}).find("openai", "gpt-4o-mini", NOW)
    mixed = PriceCatalog({"openai/gpt-4o-mini": {"input": 7.0}}).find("openai", "gpt-4o-mini", NOW)
    assert listed and mixed
    assert (mixed.input, mixed.output, mixed.cache_read, mixed.source) == (
        flat_rate(7.0),
        listed.output,
        listed.cache_read,
        "config",
    )
    assert PriceCatalog({"mine/m": {"input": 7.0}}).find("mine", "m", NOW) is None, "half a price is no price"
    assert PriceCatalog({"mine/m": OWN}).find("mine", "m", NOW) == Price(
        flat_rate(7.0), flat_rate(9.0), source="config"
    )


def test_long_contexts_have_their_tier() -> None:
    price = PriceCatalog({}).find("anthropic", "claude-sonnet-4-5", NOW)
    assert price and len(price.input) == 2
    start, dearer = price.input[1]
    below, above = cost_of(Usage(start, 0), price), cost_of(Usage(start + 1, 0), price)
    assert below == start * price.input[0][1] / 1e6 and above == (start + 1) * dearer / 1e6


@pytest.mark.parametrize(
    ("provider", "model", "before", "after"),
    [
        ("openai", "o3", datetime(2025, 6, 9, tzinfo=UTC), datetime(2025, 6, 12, tzinfo=UTC)),
        ("deepseek", "deepseek-chat", datetime(2025, 6, 1, 12, tzinfo=UTC), datetime(2025, 6, 1, 20, tzinfo=UTC)),
    ],
)
def test_a_price_that_changes_while_the_shell_runs_changes_in_it(
    provider: str, model: str, before: datetime, after: datetime
) -> None:
    prices = PriceCatalog({})
    dear, cheap = (prices.find(provider, model, at.astimezone().replace(tzinfo=None)) for at in (before, after))
    assert dear and cheap and dear.input > cheap.input


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(1000, 0, cached_tokens=600, cache_write_tokens=300), 0.0002 + 0.0003 + 0.00075),  # 100 + 600 + 300
        (Usage(-1000, 500), 0.005),
        (Usage(1000, -500), 0.002),
        (Usage(1000, 0, cached_tokens=-800), 0.002),
        (Usage(1000, 0, cached_tokens=5000), 0.0005),  # no more than there is
        (Usage(1000, 0, cached_tokens=900, cache_write_tokens=900), 0.00045 + 0.00025),
        (Usage(1000, 500, cost=float("inf")), 0.007),
        (Usage(1000, 500, cost=-0.5), 0.007),
        (Usage(1000, 500, cost=0.0), 0.0),
        (Usage(0, 0), 0.0),
    ],
)
def test_no_count_makes_a_cost_that_cannot_be(usage: Usage, cost: float) -> None:
    price = Price(flat_rate(2.0), flat_rate(10.0), flat_rate(0.5), flat_rate(2.5))
    assert cost_of(usage, price) == pytest.approx(cost, abs=1e-15)


def test_a_price_beyond_all_numbers_gives_no_cost() -> None:
    assert cost_of(Usage(10**6, 1), Price(flat_rate(1e308), flat_rate(1e308))) is None
