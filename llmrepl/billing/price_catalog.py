"""Model prices: the user's own first, then the genai-prices data set."""

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

from llmrepl.billing.pricing import Price, Rate, flat_rate
from llmrepl.errors import UsageError
from llmrepl.system.files import write_private
from llmrepl.system.paths import read_own

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

LOCAL = ("offline", "local", "ollama", "lmstudio", "llamacpp", "vllm")
"""Providers that run on the user's machine at no cost."""

FREE = Price(flat_rate(0.0), flat_rate(0.0), source="local")

_DATASET_NAMES = {
    "gemini": "google",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "bedrock": "aws",
    "vertex": "google",
}
"""Names of providers in the data set that differ from ours."""

_UNCOUNTED = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Charges other than for counted tokens; with these, price times tokens would be too low."""

_LIMIT = 1 << 20
_RATES = ("input", "output", "cache_read", "cache_write")


class PriceCatalog:
    """The prices known to one shell. `configured` is `[prices."provider/model"]` of the configuration.

    `cache` is a file for looked-up prices, so that the data set need not be loaded again.
    """

    def __init__(self, configured: Mapping[str, Mapping[str, float]], cache: Path | None = None) -> None:
        self._configured = configured
        self._cache = _Cache(cache)
        self._models: dict[tuple[str, str], ModelInfo | None] = {}

    def find(self, provider: str, model: str, now: datetime, *, keep: bool = True) -> Price | None:
        """Return the price of a model at the time `now`, None if unknown. `model` is the provider's name for it.

        Configured prices take precedence and may override only a part. The first call that needs the data set loads it
        (about 100 ms); `keep` caches the result.
        """
        own = self._configured.get(f"{provider}/{model}")
        if own is None and provider in LOCAL:
            return FREE
        own = own or self._configured.get(model, {})
        if "input" in own and "output" in own:
            return _with_own(None, own)
        return _with_own(self._listed(provider, model, now, keep), own)

    def known(self, provider: str) -> list[str]:
        """Return the models of a provider in the data set, which is loaded."""
        return _names(_DATASET_NAMES.get(provider, provider))

    def models_of(self, provider: str, now: datetime) -> list[tuple[str, float | None, bool]]:
        """Return the models of a provider in the data set, which is loaded, with their prices at the time `now`.

        Each has its id, USD per million tokens of a reply (None if unknown or priced otherwise) and whether it is
        deprecated.
        """
        from genai_prices import data_snapshot

        name = _DATASET_NAMES.get(provider, provider)
        found = (owner for owner in data_snapshot.get_snapshot().providers if owner.id == name)
        rows = []
        for model in (model for owner in found for model in owner.models):
            price = _price(model, now)
            rows.append((model.id, price.output[0][1] if price else None, bool(model.deprecated)))
        return rows

    def dataset_name(self) -> str:
        """Return name, version and installation date of the data set."""
        from importlib import metadata

        distribution = metadata.distribution("genai-prices")
        installed = datetime.fromtimestamp(Path(str(distribution.locate_file("genai_prices/data.py"))).stat().st_mtime)
        return f"genai-prices {distribution.version}, installed {installed:%Y-%m-%d}"

    def _listed(self, provider: str, model: str, now: datetime, keep: bool) -> Price | None:
        if provider in LOCAL:
            return FREE
        if provider == "openrouter" and model.endswith(":free"):  # listed without a price in the data set
            return Price(flat_rate(0.0), flat_rate(0.0))
        key, day = (provider, model), f"{now.astimezone():%Y-%m-%d}"
        if key not in self._models:
            if cached := self._cache.find("/".join(key), day):
                return cached[0]
            self._models[key] = _model(_DATASET_NAMES.get(provider, provider), model)
            if keep and not _hourly(self._models[key]):
                self._cache.keep("/".join(key), day, _price(self._models[key], now))
        return _price(self._models[key], now)


class _Cache:
    """Prices looked up today, in the file at `path`, or None for no file. Safe to delete."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._of: list[Any] | None = None
        self._prices: dict[str, Price | None] = {}

    def find(self, model: str, day: str) -> tuple[Price | None] | None:
        """Return the cached result for a model on this day, which may be no price; None if nothing is cached."""
        self._read(day)
        return (self._prices[model],) if model in self._prices else None

    def keep(self, model: str, day: str, price: Price | None) -> None:
        """Cache a result for the rest of the day."""
        self._read(day)
        self._prices[model] = price
        if self._path:
            prices = {name: one and asdict(one) for name, one in self._prices.items()}
            with suppress(OSError):  # fall back to the data set
                write_private(self._path, json.dumps({"of": self._of, "prices": prices}).encode())

    def _read(self, day: str) -> None:
        if self._of and self._of[0] == day:
            return
        self._of, self._prices = [day, *_installed_version()], {}
        if self._path is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
            data = json.loads(read_own(self._path, _LIMIT) or "{}")
            if data["of"] == self._of:
                self._prices = {name: given and _decode_price(given) for name, given in data["prices"].items()}


def _with_own(listed: Price | None, own: Mapping[str, float]) -> Price | None:
    """Override rates of the listed price; None if a required rate is missing."""
    rates: dict[str, Any] = {key: flat_rate(usd) for key, usd in own.items()}
    if not rates:
        return listed
    if listed:
        return replace(listed, **rates, source="config")
    return Price(**rates, source="config") if "input" in own and "output" in own else None


def _model(provider: str, model: str) -> ModelInfo | None:
    from genai_prices import data_snapshot  # slow, and only needed for models that are not free

    try:
        owner, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return found if owner.id == provider else None  # a proxy with "openai" in its name has prices of its own


def _names(provider: str) -> list[str]:
    from genai_prices import data_snapshot

    found = (owner for owner in data_snapshot.get_snapshot().providers if owner.id == provider)
    every = (model for owner in found for model in owner.models if not model.deprecated)
    return [
        model.id for model in every if "ft" not in re.split("[^a-z]", model.id)
    ]  # fine-tuned models belong to an account


def _hourly(model: ModelInfo | None) -> bool:
    """Whether the price changes during a day."""
    conditions = model.prices if model and isinstance(model.prices, list) else []
    return any(hasattr(one.constraint, "start_time") for one in conditions)


def _price(model: ModelInfo | None, now: datetime) -> Price | None:
    """Return the price at `now`; some change by date, some by hour."""
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
        return flat_rate(float(given))
    return ((0, float(given.base)), *((tier.start, float(tier.price)) for tier in given.tiers))


def _installed_version() -> tuple[str, int]:
    """Return the path and the installation time in ns of the data set, without loading it."""
    spec = find_spec("genai_prices")
    origin = (spec.origin if spec else None) or ""
    return origin, Path(origin).with_name("data.py").stat().st_mtime_ns if origin else 0


def _decode_price(given: Any) -> Price:
    """Decode a cached price. Raises an error if it is invalid."""
    window = given["context_window"]
    rates = {name: _decode_rate(given[name]) for name in _RATES}
    price = Price(**rates, source="dataset", context_window=None if window is None else int(window))
    if not price.input or not price.output:
        raise ValueError("no price")
    return price


def _decode_rate(given: Any) -> Rate:
    rate = tuple((int(start), float(usd)) for start, usd in given)
    if rate and (rate[0][0] != 0 or not all(math.isfinite(usd) and usd >= 0 for _, usd in rate)):
        raise ValueError("no rate")
    return rate
