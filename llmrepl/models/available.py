"""What models there are, and what each costs: the providers' own lists, else the price data, joined with the prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmrepl.billing.pricing import Price
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import Failure, WrongUse
from llmrepl.formatting import safe_name
from llmrepl.models.factory import local_models, network_provider
from llmrepl.models.list_cache import nearest
from llmrepl.models.resolver import OFFLINE, Chosen
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.providers.vendors import OFFLINE_MODELS, VENDORS


@dataclass(frozen=True, slots=True)
class Offer:
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


def offers(workspace: Workspace, provider: str | None, *, refresh: bool) -> list[Offer]:
    """The models of a provider, or of all that can be asked: those with a key, local ones that answer, the built-in.

    Raises WrongUse for a provider that does not exist. Who does not answer is told among the workspace's notes.
    """
    if provider is not None:
        return list(_of(workspace, provider, refresh=refresh))
    local = local_models(workspace.choice(), workspace.world)
    asked = [name for name in workspace.choice().listing() if name not in local]
    found = [offer for name in asked for offer in _of(workspace, name, refresh=refresh)]
    here = [_offer(workspace, Chosen("", m.id, workspace.choice().vendor(name)), m, "provider")
            for name, models in local.items() for m in models]
    return [*_of(workspace, OFFLINE, refresh=False), *here, *found]


def find(workspace: Workspace, name: str) -> tuple[Chosen, Offer]:
    """What a model's name means, and what is known of it. Raises WrongUse, which names the nearest, if nothing is."""
    chosen = workspace.choice().resolve(name)
    listed = {offer.info.id: offer for offer in _of(workspace, chosen.provider, refresh=False, tell=False)}
    if chosen.model in listed:
        return chosen, listed[chosen.model]
    price = workspace.till().price(chosen)
    if price is not None and chosen.provider != OFFLINE and not price.free:
        return chosen, Offer(chosen.provider, ModelInfo(chosen.model), price, "prices")
    raise unknown(chosen, listed)


def unknown(chosen: Chosen, listed: Iterable[str]) -> WrongUse:
    """The failure for a model that its provider does not have."""
    near = nearest(chosen.model, listed)
    advice = f"did you mean {chosen.provider}/{safe_name(near)}?" if near else (
        f"see 'models list --provider {chosen.provider}'")
    return WrongUse(f"{chosen.provider} lists no model {safe_name(chosen.model)}", advice)


def doubt(workspace: Workspace) -> str:
    """What speaks against the current model: its provider's list, as it is kept, does not have it. Else empty."""
    chosen = workspace.choice().resolve(workspace.model)
    kept = workspace.models().kept(chosen)
    return "" if kept is None or chosen.model in kept.models else str(unknown(chosen, kept.models))


def known(workspace: Workspace, provider: str = "") -> list[Offer]:
    """The models of all lists that are kept from an earlier look; nobody is asked.

    Of `provider`, if no list of its is kept, the models in the price data.
    """
    choice, models = workspace.choice(), workspace.models()
    places = [choice.place(name) for name in choice.listing()]
    kept = [(place, found) for place in places if (found := models.kept(place))]
    listed = [Offer(place.provider, info, None, "provider") for place, found in kept for info in found.models.values()]
    if provider in VENDORS and provider not in (place.provider for place, _ in kept):
        listed += [Offer(provider, ModelInfo(name), None, "prices") for name in workspace.till().prices.known(provider)]
    return listed


def _of(workspace: Workspace, provider: str, *, refresh: bool, tell: bool = True) -> Iterator[Offer]:
    """The models of one provider, out of the price data if it cannot be asked."""
    if provider == OFFLINE:
        for name, what in OFFLINE_MODELS.items():
            yield _offer(workspace, Chosen("", name, None), ModelInfo(name, what), "built in")
        return
    try:
        site = workspace.choice().site(provider)
        kept = workspace.models().fetched(site, lambda: _ask(workspace, site), refresh=refresh)
        for info in kept.models.values():
            yield _offer(workspace, Chosen("", info.id, site.vendor, site.base_url), info, "provider")
    except Failure as failure:
        place = workspace.choice().place(provider)
        names = workspace.till().prices.known(provider)
        if not names:
            raise
        if tell:
            workspace.notes.append(f"{failure.what}: these are the models that the price data knows; {failure.next}")
        for name in names:
            yield _offer(workspace, Chosen("", name, place.vendor, place.base_url), ModelInfo(name), "prices")


def _ask(workspace: Workspace, site: Chosen) -> list[ModelInfo]:
    if site.vendor is None:
        return []
    provider = network_provider(site, site.vendor, workspace.settings, workspace.world)
    try:
        return provider.list_models()
    finally:
        provider.close()


def _offer(workspace: Workspace, chosen: Chosen, info: ModelInfo, listed: str) -> Offer:
    return Offer(chosen.provider, info, workspace.till().price(chosen), listed)
