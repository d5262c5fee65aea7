"""What a model costs: the user's own prices first, else those of the genai-prices data set, else unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llmrepl.money.rates import Price, Rate, flat

FREE = ("offline", "ollama", "lmstudio", "llamacpp", "vllm")
"""Providers that run on the user's own machine."""

_DATASET_NAMES = {"gemini": "google", "xai": "x-ai"}


class Prices:
    """The prices of one shell. `configured` is `[prices."provider/model"]` of the configuration."""

    def __init__(self, configured: Mapping[str, Mapping[str, float]]) -> None:
        self._configured = configured
        self._known: dict[tuple[str, str], Price | None] = {}

    def find(self, provider: str, model: str, now: datetime) -> Price | None:
        """The price of `model` at `provider`, None if it is unknown. `model` is the provider's own name for it.

        Loads the data set (some 100 ms) at the first call that needs it.
        """
        asked = (provider, model)
        if asked not in self._known:
            self._known[asked] = self._own(provider, model) or _from_dataset(provider, model, now)
        return self._known[asked]

    def _own(self, provider: str, model: str) -> Price | None:
        if provider in FREE:
            return Price(flat(0.0), flat(0.0), source="local")
        own = self._configured.get(f"{provider}/{model}") or self._configured.get(model)
        if own is None or "input" not in own or "output" not in own:
            return None
        read, write = (flat(own[key]) if key in own else () for key in ("cache_read", "cache_write"))
        return Price(flat(own["input"]), flat(own["output"]), read, write, source="config")


def _from_dataset(provider: str, model: str, now: datetime) -> Price | None:
    from genai_prices import data_snapshot  # slow, and only needed once a model is asked that costs something

    name = _DATASET_NAMES.get(provider, provider)
    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, name, None)
    except LookupError:
        return None
    given = found.get_prices(now.astimezone())
    read, written = _rate(given, "input"), _rate(given, "output")
    if not read or not written:
        return None
    cached = _rate(given, "cache_read"), _rate(given, "cache_write")
    return Price(read, written, *cached, context_window=found.context_window)


def _rate(prices: Any, key: str) -> Rate:
    given = getattr(prices, f"{key}_mtok", None)
    if given is None:
        return ()
    if not hasattr(given, "tiers"):
        return flat(float(given))
    return ((0, float(given.base)), *((tier.start, float(tier.price)) for tier in given.tiers))
