"""What a model costs: the user's own prices first, else those of the genai-prices data set, else unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrepl.money.rates import Price, Rate, flat

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

LOCAL = ("offline", "ollama", "lmstudio", "llamacpp", "vllm")
"""Providers that run on the user's own machine, where nobody sends a bill."""

FREE = Price(flat(0.0), flat(0.0), source="local")

_DATASET_NAMES = {"gemini": "google", "xai": "x-ai"}

_UNCOUNTED = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""What a few models charge for beside the tokens that we count: with it price x tokens would be too little."""


class Prices:
    """The prices of one shell. `configured` is `[prices."provider/model"]` of the configuration."""

    def __init__(self, configured: Mapping[str, Mapping[str, float]]) -> None:
        self._configured = configured
        self._models: dict[tuple[str, str], ModelInfo | None] = {}

    def find(self, provider: str, model: str, now: datetime) -> Price | None:
        """The price at `now` of `model` at `provider`, None if unknown. `model` is the provider's own name for it.

        The user's own come first; one that says only a part is laid over the data set's. Loads the data set (some
        100 ms) at the first call that needs it.
        """
        own = self._configured.get(f"{provider}/{model}")
        if own is None and provider in LOCAL:
            return FREE
        own = own or self._configured.get(model, {})
        if "input" in own and "output" in own:
            return _with_own(None, own)
        return _with_own(self._listed(provider, model, now), own)

    def known(self, provider: str) -> list[str]:
        """The models of a provider that the data set knows. Loads it."""
        return _names(_DATASET_NAMES.get(provider, provider))

    def data_set(self) -> str:
        """The name and version of the data set, and the day when it was installed."""
        distribution = metadata.distribution("genai-prices")
        installed = datetime.fromtimestamp(Path(str(distribution.locate_file("genai_prices/data.py"))).stat().st_mtime)
        return f"genai-prices {distribution.version}, installed {installed:%Y-%m-%d}"

    def _listed(self, provider: str, model: str, now: datetime) -> Price | None:
        if provider in LOCAL:
            return FREE
        if provider == "openrouter" and model.endswith(":free"):  # which the data set lists without a price
            return Price(flat(0.0), flat(0.0))
        asked = (provider, model)
        if asked not in self._models:
            self._models[asked] = _model(_DATASET_NAMES.get(provider, provider), model)
        found = self._models[asked]
        return _price(found, now) if found else None


def _with_own(listed: Price | None, own: Mapping[str, float]) -> Price | None:
    """The listed price with the user's own rates in the place of its; None if one is missing that it takes."""
    rates: dict[str, Any] = {key: flat(usd) for key, usd in own.items()}
    if not rates:
        return listed
    if listed:
        return replace(listed, **rates, source="config")
    return Price(**rates, source="config") if "input" in own and "output" in own else None


def _model(provider: str, model: str) -> ModelInfo | None:
    from genai_prices import data_snapshot  # slow, and only needed once a model is asked that costs something

    try:
        owner, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return found if owner.id == provider else None  # a proxy with "openai" in its name has prices of its own


def _names(provider: str) -> list[str]:
    from genai_prices import data_snapshot

    found = (owner for owner in data_snapshot.get_snapshot().providers if owner.id == provider)
    every = (model for owner in found for model in owner.models if not model.deprecated)
    return [model.id for model in every if "ft" not in re.split("[^a-z]", model.id)]  # a fine-tuned one is a person's


def _price(model: ModelInfo, now: datetime) -> Price | None:
    """The price at `now`, for some change on a day, and some with the hour."""
    given = model.get_prices(now.astimezone())
    read, written = _rate(given, "input"), _rate(given, "output")
    if not read or not written or any(getattr(given, key, None) is not None for key in _UNCOUNTED):
        return None
    cached = _rate(given, "cache_read"), _rate(given, "cache_write")
    return Price(read, written, *cached, context_window=model.context_window)


def _rate(prices: Any, key: str) -> Rate:
    given = getattr(prices, f"{key}_mtok", None)
    if given is None:
        return ()
    if not hasattr(given, "tiers"):
        return flat(float(given))
    return ((0, float(given.base)), *((tier.start, float(tier.price)) for tier in given.tiers))
