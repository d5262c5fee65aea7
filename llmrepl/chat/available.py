"""What models there are, and what each costs: the providers' own lists, else the price data, joined with the prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmrepl.billing.pricing import Price
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.models.factory import local_models, network_provider
from llmrepl.models.list_cache import nearest
from llmrepl.models.resolver import OFFLINE, ResolvedModel
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.providers.vendors import OFFLINE_MODELS, VENDORS


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be asked. `listed` says who knows of it: `provider`, `prices` (the price data) or `built in`."""

    provider: str
    info: ModelInfo
    price: Price | None
    listed: str

    @property
    def name(self) -> str:
        """What the model is called here, `provider/model`."""
        return f"{self.provider}/{self.info.id}"

    @property
    def context_window(self) -> int | None:
        """In tokens: what the provider says, else the price data; None if nobody does."""
        return self.info.context_window or (self.price.context_window if self.price else None)


def available_models(workspace: Workspace, provider: str | None, *, refresh: bool) -> list[AvailableModel]:
    """The models of a provider, or of all that can be asked: those with a key, local ones that answer, the built-in.

    Raises UsageError for a provider that does not exist. Who does not answer is told among the workspace's notes.
    """
    if provider is not None:
        return list(_of(workspace, provider, refresh=refresh))
    local = local_models(workspace.resolver(), workspace.environment)
    asked = [name for name in workspace.resolver().listing() if name not in local]
    found = [model for name in asked for model in _of(workspace, name, refresh=refresh)]
    here = [
        _available(workspace, ResolvedModel("", m.id, workspace.resolver().vendor(name)), m, "provider")
        for name, models in local.items()
        for m in models
    ]
    return [*_of(workspace, OFFLINE, refresh=False), *here, *found]


def find(workspace: Workspace, name: str) -> tuple[ResolvedModel, AvailableModel]:
    """What a model's name means, and what is known of it. Raises UsageError, which names the nearest, if nothing is."""
    resolved = workspace.resolver().resolve(name)
    listed = {model.info.id: model for model in _of(workspace, resolved.provider, refresh=False, tell=False)}
    if resolved.model in listed:
        return resolved, listed[resolved.model]
    price = workspace.cost_tracker().price(resolved)
    if price is not None and resolved.provider != OFFLINE and not price.free:
        return resolved, AvailableModel(resolved.provider, ModelInfo(resolved.model), price, "prices")
    raise unknown(resolved, listed)


def unknown(resolved: ResolvedModel, listed: Iterable[str]) -> UsageError:
    """The failure for a model that its provider does not have."""
    near = nearest(resolved.model, listed)
    advice = (
        f"did you mean {resolved.provider}/{escape_name(near)}?"
        if near
        else (f"see 'models list --provider {resolved.provider}'")
    )
    return UsageError(f"{resolved.provider} lists no model {escape_name(resolved.model)}", advice)


def warning(workspace: Workspace) -> str:
    """What speaks against the current model: its provider's list, as it is kept, does not have it. Else empty."""
    resolved = workspace.resolver().resolve(workspace.chat.model)
    kept = workspace.model_lists().kept(resolved)
    return "" if kept is None or resolved.model in kept.models else str(unknown(resolved, kept.models))


def known(workspace: Workspace, provider: str = "") -> list[AvailableModel]:
    """The models of all lists that are kept from an earlier look; nobody is asked.

    Of `provider`, if no list of its is kept, the models in the price data.
    """
    resolver, models = workspace.resolver(), workspace.model_lists()
    places = [resolver.place(name) for name in resolver.listing()]
    kept = [(place, found) for place in places if (found := models.kept(place))]
    listed = [
        AvailableModel(place.provider, info, None, "provider")
        for place, found in kept
        for info in found.models.values()
    ]
    if provider in VENDORS and provider not in (place.provider for place, _ in kept):
        listed += [
            AvailableModel(provider, ModelInfo(name), None, "prices")
            for name in workspace.cost_tracker().prices.known(provider)
        ]
    return listed


def _of(workspace: Workspace, provider: str, *, refresh: bool, tell: bool = True) -> Iterator[AvailableModel]:
    """The models of one provider, out of the price data if it cannot be asked."""
    if provider == OFFLINE:
        for name, what in OFFLINE_MODELS.items():
            yield _available(workspace, ResolvedModel("", name, None), ModelInfo(name, what), "built in")
        return
    try:
        site = workspace.resolver().site(provider)
        kept = workspace.model_lists().fetched(site, lambda: _ask(workspace, site), refresh=refresh)
        for info in kept.models.values():
            yield _available(workspace, ResolvedModel("", info.id, site.vendor, site.base_url), info, "provider")
    except LLMError as failure:
        place = workspace.resolver().place(provider)
        names = workspace.cost_tracker().prices.known(provider)
        if not names:
            raise
        if tell:
            workspace.notes.append(f"{failure.message}: these are the models that the price data knows; {failure.hint}")
        for name in names:
            yield _available(
                workspace, ResolvedModel("", name, place.vendor, place.base_url), ModelInfo(name), "prices"
            )


def _ask(workspace: Workspace, site: ResolvedModel) -> list[ModelInfo]:
    if site.vendor is None:
        return []
    provider = network_provider(site, site.vendor, workspace.settings, workspace.environment)
    try:
        return provider.list_models()
    finally:
        provider.close()


def _available(workspace: Workspace, resolved: ResolvedModel, info: ModelInfo, listed: str) -> AvailableModel:
    return AvailableModel(resolved.provider, info, workspace.cost_tracker().price(resolved), listed)
