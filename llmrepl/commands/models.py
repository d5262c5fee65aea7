"""Commands that say which models there are, and what each of them costs and holds."""

from __future__ import annotations

import json as json_format
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmrepl.chat import services_tmp as rooms
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Cell, Column, Document, Note, Reply, Several, Table
from llmrepl.errors import WrongUse
from llmrepl.formatting import safe_name

if TYPE_CHECKING:
    from llmrepl.billing.pricing import Price, Rate
    from llmrepl.models.available import Offer

GROUP = "models"
RATES = ("input", "output", "cache_read", "cache_write")


@command(
    "models list",
    "the models, with context window and price",
    argument("--filter", help="only models with these words in their name", metavar="WORDS"),
    argument("--provider", help="of one provider, also without its key", source="providers"),
    argument("--details", help="more about each", switch=True),
    argument("--refresh", help="ask the providers now, not the list of the last 24 hours", switch=True),
    argument("--json", help="everything, as JSON", switch=True),
    group=GROUP,
    example="models list --filter mini --details",
    aliases=("models",),
)
def models_list(
    workspace: Workspace, *, filter: str | None, provider: str | None, details: bool, refresh: bool, json: bool
) -> Reply:
    """Of each provider with a key, of the servers on this machine that answer, and of this program."""
    words = (filter or "").casefold().split()
    every = rooms.offers().offers(workspace, provider, refresh=refresh)
    found = [offer for offer in every if all(word in f"{offer.name} {offer.info.name}".casefold() for word in words)]
    if json:
        return Document(json_format.dumps([_facts(offer) for offer in found], indent=2, ensure_ascii=False))
    columns = [Column("Model", "name"), Column("Context", "count"), Column("Input $/M", "usd"),
               Column("Output $/M", "usd")]
    rows: list[list[Cell]] = [[offer.name, offer.context_window, _rate(offer, "input"), _rate(offer, "output")]
                              for offer in found]
    if details:
        columns += [Column("Cached $/M", "usd"), Column("Released", "date"), Column("About", "name")]
        rows = [[*row, _rate(offer, "cache_read"), _released(offer), offer.info.name or None]
                for row, offer in zip(rows, found, strict=True)]
    table = Table(columns, rows, empty=f"no model has '{filter}' in its name" if filter else "there are no models")
    if provider or any(offer.listed != "built in" for offer in every):
        return table
    return Several([table, Note("no provider has a key yet: 'llm keys set PROVIDER' keeps one, "
                                "'models list --provider PROVIDER' shows what there is")])


@command(
    "models info",
    "one model: context window, prices, where it is asked",
    argument("model", help="provider/model or an alias", source="models"),
    argument("--json", help="as JSON", switch=True),
    group=GROUP,
    example="models info openai/gpt-4o-mini",
)
def models_info(workspace: Workspace, model: str, json: bool) -> Reply:
    """One model; the nearest name is given for one that does not exist."""
    try:
        chosen, offer = rooms.offers().find(workspace, model)
    except WrongUse as unknown:
        names = (offer.name for offer in rooms.offers().known(workspace))
        near = None if "/" in model else rooms.offers().nearest(model, names)
        if near is None:
            raise
        raise WrongUse(unknown.what, f"did you mean {safe_name(near)}?") from None
    if json:
        return Document(json_format.dumps(_facts(offer), indent=2, ensure_ascii=False))
    window = f"{offer.context_window:,} tokens" if offer.context_window else "unknown"
    key = workspace.choice().key_origin(chosen.provider)
    facts = {
        "Model": chosen.shown,
        "About": offer.info.name,
        "Asked": f"{chosen.model} at {chosen.base_url}" if chosen.base_url else "this program",
        "Key from": (key or "nowhere yet") if chosen.vendor and chosen.vendor.key_env else "",
        "Context": window,
        **_prices(offer.price),
        "Price from": _source(workspace, offer.price),
        "Released": _released(offer) or "",
    }
    width = max(len(name) for name, text in facts.items() if text)
    return Document("\n".join(f"{name + ':':{width + 2}}{safe_name(text)}" for name, text in facts.items() if text))


def _rate(offer: Offer, key: str) -> float | None:
    rate: Rate = getattr(offer.price, key) if offer.price else ()
    return rate[0][1] if rate else None


def _released(offer: Offer) -> str | None:
    try:
        return f"{datetime.fromtimestamp(offer.info.created, UTC):%Y-%m-%d}" if offer.info.created else None
    except (OverflowError, ValueError, OSError):
        return None


def _prices(price: Price | None) -> dict[str, str]:
    """The prices in words, tiers too."""
    if price is None or price.free:
        return {"Price": "free" if price else "unknown"}
    rates = {"Input": price.input, "Output": price.output, "Cached": price.cache_read, "Cache write": price.cache_write}
    return {name: _tiers(rate) for name, rate in rates.items() if rate}


def _tiers(rate: Rate) -> str:
    (_, first), *more = rate
    return "".join([f"${first:g} per million tokens", *(f", ${usd:g} from {start:,} on" for start, usd in more)])


def _source(workspace: Workspace, price: Price | None) -> str:
    if price is None:
        return ""
    sources = {"config": "your configuration", "provider": "the provider's list", "local": "runs on your machine"}
    return sources.get(price.source) or workspace.till().prices.data_set()


def _facts(offer: Offer) -> dict[str, str | int | float | None]:
    rates = {f"{key}_usd_per_million": _rate(offer, key) for key in RATES}
    return {"model": offer.name, "provider": offer.provider, "id": offer.info.id, "name": offer.info.name or None,
            "context_window": offer.context_window, **rates, "price_from": offer.price.source if offer.price else None,
            "released": _released(offer), "listed_by": offer.listed}
