"""Available models and their prices, from the providers' lists or else from the price data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from llmrepl.billing.pricing import Price
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.models.defaults import can_chat, is_alive
from llmrepl.models.factory import local_model, local_models, network_provider
from llmrepl.models.list_cache import closest_name
from llmrepl.models.resolver import OFFLINE, ResolvedModel
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.providers.vendors import LOCAL, OFFLINE_MODELS


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be used. `listed` is its source: `provider`, `prices` (the price data), `file` or `built in`."""

    provider: str
    info: ModelInfo
    price: Price | None
    listed: str

    @property
    def name(self) -> str:
        """The model as `provider/model`."""
        return f"{self.provider}/{self.info.id}"

    @property
    def context_window(self) -> int | None:
        """The context window in tokens, from the provider or the price data; None if unknown."""
        return self.info.context_window or (self.price.context_window if self.price else None)

    def is_usable(self, now: float) -> bool:
        """Whether one can chat with it at `now`, in seconds since 1970."""
        return can_chat(self.info) and is_alive(self.info, now)


def available_models(workspace: Workspace, provider: str | None, *, refresh: bool) -> list[AvailableModel]:
    """List the models of a provider, or of all usable ones: those with a key, local servers, and the built-in one.

    Models for other purposes and retired ones are included.

    A provider that does not respond is reported in the workspace's notes. For one `provider` raises UsageError if it is
    unknown, and ProviderError if neither its list nor its price data are known.
    """
    if provider is not None:
        return list(_list_provider(workspace, provider, refresh=refresh))
    local = local_models(workspace.resolver(), workspace.environment)
    remote = [name for name in workspace.resolver().listable_providers() if name not in local]
    found: list[AvailableModel] = []
    for name in remote:
        try:
            found += _list_provider(workspace, name, refresh=refresh)
        except LLMError as failure:
            workspace.notes.append(f"{failure.message}; {failure.hint}" if failure.hint else failure.message)
    here = [
        _make_available(workspace, ResolvedModel("", m.id, workspace.resolver().vendor(name)), m, "provider")
        for name, models in local.items()
        for m in models
    ]
    return [*_list_provider(workspace, OFFLINE, refresh=False), *here, *found]


def find_model(workspace: Workspace, name: str) -> tuple[ResolvedModel, AvailableModel]:
    """Resolve a model's name. Raises UsageError, with the closest match, if neither list nor price data has it."""
    resolved = workspace.resolver().resolve(name)
    if resolved.vendor is LOCAL:
        workspace.resolver().resolve_with_key(name)
        return resolved, _make_available(workspace, resolved, local_model(resolved, workspace.environment), "file")
    listed: dict[str, AvailableModel] = {}
    failure: LLMError | None = None
    try:
        found = _list_provider(workspace, resolved.provider, refresh=False, report=False)
        listed = {model.info.id: model for model in found}
    except LLMError as error:
        failure = error
    if resolved.model in listed:
        return resolved, listed[resolved.model]
    price = workspace.cost_tracker().price(resolved)
    if price is not None and resolved.provider != OFFLINE and not price.free:
        return resolved, AvailableModel(resolved.provider, ModelInfo(resolved.model), price, "prices")
    raise failure or unknown_model_error(resolved, listed)


def unknown_model_error(resolved: ResolvedModel, listed: Iterable[str]) -> UsageError:
    """Create the error for a model that its provider does not list."""
    near = closest_name(resolved.model, listed)
    advice = (
        f"Did you mean '{resolved.provider}/{escape_name(near)}'?"
        if near
        else (f"llm models list --provider {resolved.provider} shows its models")
    )
    return UsageError(f"{resolved.provider} lists no model {escape_name(resolved.model)}.", advice)


def model_warning(workspace: Workspace) -> str:
    """Return a warning if the provider's cached list lacks the current model or says that it ends, else nothing."""
    resolved = workspace.resolver().resolve(workspace.chat.model)
    cached = workspace.model_lists().cached(resolved)
    if cached is None:
        return ""
    info = cached.models.get(resolved.model)
    if info is None:
        return str(unknown_model_error(resolved, cached.models))
    if info.retired:
        return f"{resolved.provider} says that it is retired"
    if end := info.end_date():
        return f"{resolved.provider} ends it on {end}"
    return f"{resolved.provider} says that it is deprecated" if info.deprecated else ""


def cached_models(workspace: Workspace, provider: str = "") -> list[AvailableModel]:
    """List the models to chat with in all cached lists, without network access.

    If there is no cached list of `provider`, its models in the price data are added.
    """
    resolver, models = workspace.resolver(), workspace.model_lists()
    places = [resolver.locate(name) for name in resolver.listable_providers()]
    cached = [(place, found) for place in places if (found := models.cached(place))]
    listed = [
        AvailableModel(place.provider, info, None, "provider")
        for place, found in cached
        for info in found.models.values()
    ]
    vendor = resolver.vendor(provider) if provider else None
    if vendor and provider not in (place.provider for place, _ in cached):
        listed += [
            AvailableModel(provider, ModelInfo(name), None, "prices")
            for name in workspace.cost_tracker().prices.known(vendor.price_owner)
        ]
    now = workspace.environment.now().timestamp()
    return [model for model in listed if model.is_usable(now)]


def models_to_pick(workspace: Workspace) -> list[AvailableModel]:
    """List the models to chat with that are known without network access to others, with prices.

    These are those of local servers and cached lists, the default models, and the built-in ones.
    """
    resolver = workspace.resolver()
    local = local_models(resolver, workspace.environment)
    here = [AvailableModel(name, info, None, "provider") for name, models in local.items() for info in models]
    known = {model.name: model for model in [*here, *cached_models(workspace)]}
    for name in [workspace.chat.model, *workspace.default_models().remembered()]:
        provider, _, model = name.partition("/")
        known.setdefault(name, AvailableModel(provider, ModelInfo(model), None, "prices"))
    found = [model for model in known.values() if model.provider != OFFLINE]
    found = [
        _make_available(workspace, resolver.resolve(model.name), model.info, model.listed)
        for model in found
        if resolver.vendor(model.provider)
    ]
    return [*found, *_list_provider(workspace, OFFLINE, refresh=False)]


def _list_provider(
    workspace: Workspace, provider: str, *, refresh: bool, report: bool = True
) -> Iterator[AvailableModel]:
    """Yield the models of one provider, from the price data if its list is unavailable."""
    if provider == OFFLINE:
        for name, description in OFFLINE_MODELS.items():
            yield _make_available(workspace, ResolvedModel("", name, None), ModelInfo(name, description), "built in")
        return
    try:
        site = workspace.resolver().locate_with_key(provider)
        cached = workspace.model_lists().fetch(site, lambda: _fetch_models(workspace, site), refresh=refresh)
        for info in cached.models.values():
            yield _make_available(workspace, ResolvedModel("", info.id, site.vendor, site.base_url), info, "provider")
    except LLMError as failure:
        place = workspace.resolver().locate(provider)
        names = workspace.cost_tracker().prices.known(place.vendor.price_owner if place.vendor else provider)
        if not names:
            raise
        if report:
            workspace.notes.append(f"{failure.message}: these are the models that the price data knows; {failure.hint}")
        for name in names:
            yield _make_available(
                workspace, ResolvedModel("", name, place.vendor, place.base_url), ModelInfo(name), "prices"
            )


def refresh_list(workspace: Workspace, provider: str, *, refresh: bool) -> None:
    """Fetch the list of a provider if it is older than a day, or with `refresh`; nothing happens if that fails."""
    if provider in (OFFLINE, LOCAL.name):
        return
    with suppress(LLMError):
        site = workspace.resolver().locate_with_key(provider)
        workspace.model_lists().fetch(site, lambda: _fetch_models(workspace, site, SHORT_SECONDS), refresh=refresh)


LONG_SECONDS, SHORT_SECONDS = 10.0, 3.0
"""Maximum wait for a page of a list, and of one that is only needed for a detail."""


def _fetch_models(workspace: Workspace, site: ResolvedModel, seconds: float = LONG_SECONDS) -> list[ModelInfo]:
    if site.vendor is None:
        return []
    provider = network_provider(site, site.vendor, workspace.settings, workspace.environment, workspace.paths)
    try:
        return provider.list_models(seconds=seconds)
    finally:
        provider.close()


def _make_available(workspace: Workspace, resolved: ResolvedModel, info: ModelInfo, listed: str) -> AvailableModel:
    price = workspace.cost_tracker().price(resolved, keep=False)
    return AvailableModel(resolved.provider, info, price, listed)
