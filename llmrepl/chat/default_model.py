"""The default model of a provider with a key: chosen from its list and the price data, cached for a day."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrepl.errors import LLMError
from llmrepl.models.defaults import SOON_SECONDS, ModelCandidate, choose, is_alive
from llmrepl.system.files import write_private

if TYPE_CHECKING:
    from llmrepl.billing.price_catalog import PriceCatalog
    from llmrepl.config.settings import Settings
    from llmrepl.models.list_cache import CachedList, ModelListCache
    from llmrepl.models.resolver import ModelResolver
    from llmrepl.system.environment import Environment
    from llmrepl.system.paths import Paths

DAY = 86_400.0
LIST_SECONDS = 5.0
"""Maximum wait of the first prompt for a provider's list."""

OWN = {"gemini": ("gemini-",), "openrouter": ("openai/", "google/", "anthropic/")}
"""Prefixes of a provider's own models, if it also lists models of others."""


class DefaultModels:
    """Chooses and caches default models, in a file that is safe to delete.

    `resolver`, `lists` and `prices` create these objects on first use.
    """

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        paths: Paths,
        *,
        resolver: Callable[[], ModelResolver],
        lists: Callable[[], ModelListCache],
        prices: Callable[[], PriceCatalog],
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._paths = paths
        self._resolver = resolver
        self._lists = lists
        self._prices = prices
        self._path: Path = paths.cache_dir / "defaults.json"

    def of(self, provider: str) -> str | None:
        """Return the default model of a provider without network access, or None."""
        cached = self._lists().cached(self._resolver().locate(provider))
        if (row := self._read().get(provider)) and self._is_alive(row["model"], cached):
            return str(row["model"])
        chosen = self._choose(provider, cached)
        if chosen:
            self._remember(provider, chosen, cached.at if cached else 0.0)
        return chosen

    def confirm(self, provider: str) -> str | None:
        """Return the default model of a provider, updating its list if it is older than a day and available.

        Raises UsageError for a missing key, and ProviderError if the list is unavailable and no default is known.
        """
        now = self._environment.now().timestamp()
        row = self._read().get(provider)
        cached = self._lists().cached(self._resolver().locate(provider))
        if row and 0 <= now - row["at"] < DAY and self._is_alive(row["model"], cached):
            return str(row["model"])
        from llmrepl.models.factory import network_provider

        site = self._resolver().locate_with_key(provider)
        if site.vendor is None:
            return self.of(provider)
        client = network_provider(site, site.vendor, self._settings, self._environment, self._paths)
        try:
            cached = self._lists().fetch(site, lambda: client.list_models(seconds=LIST_SECONDS), refresh=False)
        except LLMError:
            if known := self.of(provider):
                return known
            raise
        finally:
            client.close()
        if not cached.models:
            return self.of(provider)
        chosen = self._choose(provider, cached)
        if chosen:
            self._remember(provider, chosen, now)
        return chosen

    def after_refusal(self, provider: str, refused: Sequence[str]) -> str | None:
        """Choose and cache another default after the server rejected the earlier ones."""
        cached = self._lists().cached(self._resolver().locate(provider))
        chosen = self._choose(provider, cached, refused)
        if chosen:
            self._remember(provider, chosen, cached.at if cached else 0.0)
        return chosen

    def _is_alive(self, model: str, cached: CachedList | None) -> bool:
        """Whether the list does not say that a model has ended or soon will."""
        info = cached.models.get(model) if cached else None
        return info is None or is_alive(info, self._environment.now().timestamp() + SOON_SECONDS)

    def remembered(self) -> list[str]:
        """Return the cached defaults as `provider/model`."""
        return [f"{provider}/{row['model']}" for provider, row in self._read().items()]

    def _choose(self, provider: str, cached: CachedList | None, refused: Sequence[str] = ()) -> str | None:
        now = self._environment.now()
        known = _from_prices(provider, self._prices(), now)
        found = _from_list(cached, known) if cached and cached.models else known
        candidates = [one for one in found if one.id not in refused]
        own = [one for one in candidates if one.id.startswith(OWN.get(provider, ()))]
        return choose(own or candidates, now.timestamp())

    def _remember(self, provider: str, model: str, at: float) -> None:
        rows = {**self._read(), provider: {"model": model, "at": at}}
        try:
            write_private(self._path, json.dumps(rows).encode())
        except OSError:  # it is chosen again the next time
            pass

    def _read(self) -> Mapping[str, Any]:
        try:
            rows = json.loads(self._path.read_bytes()[: 1 << 16])
        except (OSError, ValueError, RecursionError):
            return {}
        return {
            name: row
            for name, row in (rows.items() if isinstance(rows, dict) else ())
            if isinstance(row, dict) and isinstance(row.get("model"), str) and isinstance(row.get("at"), int | float)
        }


def _from_list(cached: CachedList, known: Sequence[ModelCandidate]) -> Iterator[ModelCandidate]:
    """Yield the models of a list, with what the price data adds."""
    rows = {row.id: row for row in known}
    for info in cached.models.values():
        other = rows.get(info.id)
        output = info.output_price * 1e6 if info.output_price is not None else other.output if other else None
        deprecated = info.deprecated or bool(other and other.deprecated)
        yield ModelCandidate(info.id, output, info.created, info.ends, deprecated, info.chat, info.retired)


def _from_prices(provider: str, prices: PriceCatalog, now: datetime) -> list[ModelCandidate]:
    return [
        ModelCandidate(name, output, deprecated=deprecated)
        for name, output, deprecated in prices.models_of(provider, now)
    ]
