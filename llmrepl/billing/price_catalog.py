"""What a model costs: the user's own prices first, else those of the genai-prices data set, else unknown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrepl.billing.pricing import Price, Rate, flat
from llmrepl.errors import UsageError
from llmrepl.system.files import write_private
from llmrepl.system.paths import read_own

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

LOCAL = ("offline", "ollama", "lmstudio", "llamacpp", "vllm")
"""Providers that run on the user's own machine, where nobody sends a bill."""

FREE = Price(flat(0.0), flat(0.0), source="local")

_DATASET_NAMES = {
    "gemini": "google",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "bedrock": "aws",
    "vertex": "google",
}
"""What the data set calls a provider."""

_UNCOUNTED = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""What a few models charge for beside the tokens that we count: with it price x tokens would be too little."""

_LIMIT = 1 << 20
_RATES = ("input", "output", "cache_read", "cache_write")


class PriceCatalog:
    """The prices of one shell. `configured` is `[prices."provider/model"]` of the configuration.

    `cache` is a file for what was looked up in the data set, so that this need not be loaded to look it up again.
    """

    def __init__(self, configured: Mapping[str, Mapping[str, float]], cache: Path | None = None) -> None:
        self._configured = configured
        self._cache = _Cache(cache)
        self._models: dict[tuple[str, str], ModelInfo | None] = {}

    def find(self, provider: str, model: str, now: datetime, *, keep: bool = True) -> Price | None:
        """The price at `now` of `model` at `provider`, None if unknown. `model` is the provider's own name for it.

        The user's own come first; one that says only a part is laid over the data set's. Loads the data set (some
        100 ms) at the first call that needs it; with `keep` what it says is kept in the cache.
        """
        own = self._configured.get(f"{provider}/{model}")
        if own is None and provider in LOCAL:
            return FREE
        own = own or self._configured.get(model, {})
        if "input" in own and "output" in own:
            return _with_own(None, own)
        return _with_own(self._listed(provider, model, now, keep), own)

    def known(self, provider: str) -> list[str]:
        """The models of a provider that the data set knows. Loads it."""
        return _names(_DATASET_NAMES.get(provider, provider))

    def models_of(self, provider: str) -> list[tuple[str, float | None, bool]]:
        """The models of a provider in the data set: id, USD per million tokens of a reply (None if unknown or priced in
        another way) and whether it is deprecated. Loads the data set."""
        from genai_prices import data_snapshot

        now, name = datetime.now().astimezone(), _DATASET_NAMES.get(provider, provider)
        found = (owner for owner in data_snapshot.get_snapshot().providers if owner.id == name)
        rows = []
        for model in (model for owner in found for model in owner.models):
            price = _price(model, now)
            rows.append((model.id, price.output[0][1] if price else None, bool(model.deprecated)))
        return rows

    def data_set(self) -> str:
        """The name and version of the data set, and the day when it was installed."""
        from importlib import metadata

        distribution = metadata.distribution("genai-prices")
        installed = datetime.fromtimestamp(Path(str(distribution.locate_file("genai_prices/data.py"))).stat().st_mtime)
        return f"genai-prices {distribution.version}, installed {installed:%Y-%m-%d}"

    def _listed(self, provider: str, model: str, now: datetime, keep: bool) -> Price | None:
        if provider in LOCAL:
            return FREE
        if provider == "openrouter" and model.endswith(":free"):  # which the data set lists without a price
            return Price(flat(0.0), flat(0.0))
        asked, day = (provider, model), f"{now.astimezone():%Y-%m-%d}"
        if asked not in self._models:
            if kept := self._cache.find("/".join(asked), day):
                return kept[0]
            self._models[asked] = _model(_DATASET_NAMES.get(provider, provider), model)
            if keep and not _hourly(self._models[asked]):
                self._cache.keep("/".join(asked), day, _price(self._models[asked], now))
        return _price(self._models[asked], now)


class _Cache:
    """What was looked up today, in the file at `path`, None for no file. It may be deleted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._of: list[Any] | None = None
        self._prices: dict[str, Price | None] = {}

    def find(self, model: str, day: str) -> tuple[Price | None] | None:
        """What was found for a model on this day: a price, or that there is none. None if it was not looked for yet."""
        self._read(day)
        return (self._prices[model],) if model in self._prices else None

    def keep(self, model: str, day: str, price: Price | None) -> None:
        """Keep what was found, for as long as the day lasts."""
        self._read(day)
        self._prices[model] = price
        if self._path:
            prices = {name: one and asdict(one) for name, one in self._prices.items()}
            with suppress(OSError):  # the data set is there as well
                write_private(self._path, json.dumps({"of": self._of, "prices": prices}).encode())

    def _read(self, day: str) -> None:
        if self._of and self._of[0] == day:
            return
        self._of, self._prices = [day, *_installed()], {}
        if self._path is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
            kept = json.loads(read_own(self._path, _LIMIT) or "{}")
            if kept["of"] == self._of:
                self._prices = {name: given and _kept(given) for name, given in kept["prices"].items()}


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


def _hourly(model: ModelInfo | None) -> bool:
    """Whether the price changes in the course of a day."""
    conditions = model.prices if model and isinstance(model.prices, list) else []
    return any(hasattr(one.constraint, "start_time") for one in conditions)


def _price(model: ModelInfo | None, now: datetime) -> Price | None:
    """The price at `now`, for some change on a day, and some with the hour."""
    if model is None:
        return None
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


def _installed() -> tuple[str, int]:
    """Which data set is installed, without loading it: where it is, and when it came there in ns."""
    spec = find_spec("genai_prices")
    origin = (spec.origin if spec else None) or ""
    return origin, Path(origin).with_name("data.py").stat().st_mtime_ns if origin else 0


def _kept(given: Any) -> Price:
    """A price as it was kept. Raises some error if it is none."""
    window = given["context_window"]
    rates = {name: _kept_rate(given[name]) for name in _RATES}
    price = Price(**rates, source="dataset", context_window=None if window is None else int(window))
    if not price.input or not price.output:
        raise ValueError("no price")
    return price


def _kept_rate(given: Any) -> Rate:
    rate = tuple((int(start), float(usd)) for start, usd in given)
    if rate and (rate[0][0] != 0 or not all(math.isfinite(usd) and usd >= 0 for _, usd in rate)):
        raise ValueError("no rate")
    return rate
