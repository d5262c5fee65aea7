"""The services of a shell, created lazily: stores, index, providers, costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.config.api_keys import Key
from llmrepl.config.settings import Settings
from llmrepl.models.factory import create_provider, create_resolver, local_model
from llmrepl.models.resolver import ModelResolver, ResolvedModel
from llmrepl.providers.vendors import LOCAL
from llmrepl.sessions.names import Journals
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.progress import Progress
from llmrepl.system.signals import Signals

if TYPE_CHECKING:
    from llmrepl.billing.cost_tracker import CostTracker
    from llmrepl.billing.limits import Limit
    from llmrepl.billing.reservation import Reservation
    from llmrepl.chat.default_model import DefaultModels
    from llmrepl.chat.telemetry import Telemetry
    from llmrepl.models.list_cache import ModelListCache
    from llmrepl.providers.base import Provider
    from llmrepl.providers.protocols.base import ModelInfo
    from llmrepl.sessions.index.finder import SessionFinder
    from llmrepl.sessions.index.name_index import SessionNameIndex
    from llmrepl.sessions.storage.store import Store


class Services:
    """The session stores, the index, the providers and the cost tracker of one shell.

    `notes` collects messages for the user until `take_notes` is called.
    """

    def __init__(self, environment: Environment, settings: Settings, paths: Paths, signals: Signals) -> None:
        self.environment = environment
        self.settings = settings
        self.paths = paths
        self.signals = signals
        self.notes: list[str] = []
        self.journals = Journals()
        self._stores: dict[Path, Store] = {}
        self._opening = threading.Lock()  # the prompt opens the store in a background thread
        self._providers: dict[tuple[str, str, Key | None], Provider] = {}

    def store_at(self, directory: Path) -> Store:
        """Return the store of `directory`. The first call recovers journals of shells that died."""
        with self._opening:
            store = self._stores.get(directory)
            if store is None:
                from llmrepl.sessions.storage.store import Store

                store = Store(directory, self.environment.cwd, self.signals.shield)
                self.notes += store.recover_journals()
                self.environment.log(f"store {directory}")
                self._stores[directory] = store
        return store

    @cached_property
    def _finder(self) -> SessionFinder:
        from llmrepl.sessions.index.finder import SessionFinder
        from llmrepl.sessions.index.index import Index

        index = Index(self.paths.index_file, time.time_ns)
        return SessionFinder(index, Progress(self.environment), self.environment.monotonic)

    def finder(self) -> SessionFinder:
        """Return the session finder. Only for the thread that runs commands."""
        return self._finder

    @cached_property
    def _name_index(self) -> SessionNameIndex:
        from llmrepl.sessions.index.name_index import SessionNameIndex

        return SessionNameIndex(self.paths.index_file, time.time_ns)

    def name_index(self) -> SessionNameIndex:
        """Return the index of session names. Thread-safe."""
        return self._name_index

    @cached_property
    def _resolver(self) -> ModelResolver:
        return create_resolver(self.settings, self.environment, self.paths, lambda name: self.default_models().of(name))

    def resolver(self) -> ModelResolver:
        """Return the resolver of model names."""
        return self._resolver

    @cached_property
    def _default_models(self) -> DefaultModels:
        from llmrepl.chat.default_model import DefaultModels

        return DefaultModels(
            self.environment,
            self.settings,
            self.paths,
            resolver=self.resolver,
            lists=self.model_lists,
            prices=lambda: self.cost_tracker().prices,
        )

    def default_models(self) -> DefaultModels:
        """Chooses the default model of a provider."""
        return self._default_models

    def provider(self, model: str) -> tuple[ResolvedModel, Provider]:
        """Resolve a model's name and return its provider. Raises UsageError, also for a missing key."""
        resolved = self.resolver().resolve_with_key(model)
        self.environment.log(f"model {resolved.shown} at {resolved.address or 'this program'}")
        key = (resolved.provider, resolved.base_url, resolved.key)
        if key not in self._providers:
            self._providers[key] = create_provider(resolved, self.settings, self.environment, self.paths)
        return resolved, self._providers[key]

    @cached_property
    def _model_lists(self) -> ModelListCache:
        from llmrepl.models.list_cache import ModelListCache

        return ModelListCache(self.paths.cache_dir / "models", lambda: self.environment.now().timestamp())

    def model_lists(self) -> ModelListCache:
        """Return the providers' model lists, cached for a day."""
        return self._model_lists

    @cached_property
    def _cost_tracker(self) -> CostTracker:
        from llmrepl.billing.cost_tracker import CostTracker

        return CostTracker(
            self.environment, self.settings, self.paths, lambda text: self.notes.append(text), self.model_info
        )

    def model_info(self, resolved: ResolvedModel) -> ModelInfo | None:
        """Return what is known of a model without network access: from the cached list, or the model file."""
        if resolved.vendor is LOCAL:
            return local_model(resolved, self.environment)
        return self.model_lists().info(resolved)

    def longest_reply(self, resolved: ResolvedModel) -> int | None:
        """Return the longest reply of a model in tokens, where the protocol requires a limit and it is known."""
        if resolved.vendor is None or resolved.vendor.dialect != "anthropic":
            return None
        info = self.model_info(resolved)
        return info.max_output if info else None

    def cost_tracker(self) -> CostTracker:
        """Return limits, prices and the ledger."""
        return self._cost_tracker

    @cached_property
    def _telemetry(self) -> Telemetry | None:
        if not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in self.environment.environ):
            return None
        from llmrepl.chat.telemetry import create_telemetry

        return create_telemetry(self.environment.environ, self.environment.log)

    def telemetry(self) -> Telemetry | None:
        """Return what sends spans and metrics; None unless the environment names a receiver."""
        return self._telemetry

    def reserve(
        self,
        resolved: ResolvedModel,
        most_tokens: Callable[[], int],
        within: Sequence[tuple[Limit, float]] | None = None,
    ) -> Reservation:
        """Admit a request; see CostTracker.reserve, which is not needed without limits. Raises BudgetError."""
        limits = ("default_budget", "daily_budget")
        if "_cost_tracker" in self.__dict__ or any(self.settings.number(name) is not None for name in limits):
            return self._cost_tracker.reserve(resolved, most_tokens, within)
        from llmrepl.billing.reservation import Reservation

        return Reservation(None, None, None, None, 0)

    def session_budget(self) -> float | None:
        """Return the session's budget in USD, None for no limit. Does not create the cost tracker."""
        if "_cost_tracker" in self.__dict__:
            return self._cost_tracker.session.usd if self._cost_tracker.session else None
        return self.settings.number("default_budget")

    def close_services(self) -> None:
        """Close open files and connections, and end the process of a model file."""
        if self._providers:
            from llmrepl.providers.base import Closable

            for provider in self._providers.values():
                if isinstance(provider, Closable):
                    provider.close()
        if "_finder" in self.__dict__:
            self._finder.close()
        if "_cost_tracker" in self.__dict__:
            self._cost_tracker.close()
