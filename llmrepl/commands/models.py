"""Commands that list models with their prices and context windows."""

from __future__ import annotations

import json as json_format
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Cell, Column, Document, Group, Narrowing, Note, Result, Table
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name, format_usd

if TYPE_CHECKING:
    from llmrepl.billing.pricing import Price, Rate
    from llmrepl.chat.available import AvailableModel

GROUP = "models"
RATES = ("input", "output", "cache_read", "cache_write")


@command(
    "models list",
    "list models with context window and price",
    argument("--filter", "-f", help="show only models with all WORDS in their name", metavar="WORDS"),
    argument("--provider", help="show only one provider, even without its key", source="providers"),
    argument("--details", "-d", help="show more columns", switch=True),
    argument("--refresh", help="refresh the cached model lists", switch=True),
    argument("--json", help="print all details as JSON", switch=True),
    group=GROUP,
    example="models list --filter mini --details",
    aliases=("models",),
)
def models_list(
    workspace: Workspace, *, filter: str | None, provider: str | None, details: bool, refresh: bool, json: bool
) -> Result:
    """List the models of providers with a key, of local servers, and of this program."""
    words = (filter or "").casefold().split()
    from llmrepl.chat.available import available_models

    every = available_models(workspace, provider, refresh=refresh)
    found = [model for model in every if all(word in f"{model.name} {model.info.name}".casefold() for word in words)]
    if json:
        return Document(json_format.dumps([_facts(model) for model in found], indent=2, ensure_ascii=False))
    columns = [
        Column("Model", "name"),
        Column("Context", "count"),
        Column("Input $/M", "usd"),
        Column("Output $/M", "usd"),
    ]
    rows: list[list[Cell]] = [
        [model.name, model.context_window, _rate(model, "input"), _rate(model, "output")] for model in found
    ]
    if details:
        columns += [Column("Cached $/M", "usd"), Column("Released", "date"), Column("About", "name")]
        rows = [
            [*row, _rate(model, "cache_read"), _released(model), model.info.name or None]
            for row, model in zip(rows, found, strict=True)
        ]
    table = Table(
        columns,
        rows,
        empty=f"no model has '{filter}' in its name" if filter else "there are no models",
        narrowing=[Narrowing(title) for title in ("About", "Released", "Cached $/M", "Context")],
    )
    if provider or any(model.listed != "built in" for model in every):
        return table
    return Group(
        [
            table,
            Note(
                "no provider has a key yet: 'llm keys set PROVIDER' keeps one, "
                "'models list --provider PROVIDER' shows what there is"
            ),
        ]
    )


@command(
    "models info",
    "show a model's context window, prices and endpoint",
    argument("model", help="model as PROVIDER/MODEL, or an alias", source="models"),
    argument("--json", help="print JSON", switch=True),
    group=GROUP,
    example="models info openai/gpt-4o-mini",
)
def models_info(workspace: Workspace, model: str, json: bool) -> Result:
    """Show one model, or suggest the closest name."""
    from llmrepl.chat import available
    from llmrepl.models.list_cache import closest_name

    try:
        resolved, found = available.find_model(workspace, model)
    except UsageError as unknown:
        names = (one.name for one in available.cached_models(workspace))
        near = None if "/" in model else closest_name(model, names)
        if near is None:
            raise
        raise UsageError(unknown.message, f"did you mean {escape_name(near)}?") from None
    if json:
        return Document(json_format.dumps(_facts(found), indent=2, ensure_ascii=False))
    window = f"{found.context_window:,} tokens" if found.context_window else "unknown"
    key = workspace.resolver().key_origin(resolved.provider)
    facts = {
        "Model": resolved.shown,
        "About": found.info.name,
        "Asked": f"{resolved.model} at {resolved.address}" if resolved.address else "this program",
        "Key from": (key or "nowhere yet") if resolved.vendor and resolved.vendor.key_env else "",
        "Context": window,
        **_prices(found.price),
        "Price from": _source(workspace, found.price),
        "Released": _released(found) or "",
        "A simple chat": _example(found.price, 500, 300),
        "A long document": _example(found.price, 50_000, 2_000),
    }
    width = max(len(name) for name, text in facts.items() if text)
    return Document("\n".join(f"{name + ':':{width + 2}}{escape_name(text)}" for name, text in facts.items() if text))


def _example(price: Price | None, prompt: int, reply: int) -> str:
    """What a request of `prompt` and `reply` tokens costs; empty if the price is unknown."""
    if price is None or price.free:
        return ""
    return f"{prompt:,} → {reply:,} tokens, about {format_usd(price.of(prompt, 0, 0, reply))}"


def _rate(model: AvailableModel, key: str) -> float | None:
    rate: Rate = getattr(model.price, key) if model.price else ()
    return rate[0][1] if rate else None


def _released(model: AvailableModel) -> str | None:
    try:
        try:
            return f"{datetime.fromtimestamp(model.info.created, UTC):%Y-%m-%d}" if model.info.created else None
        except (ValueError, OverflowError, OSError):
            return None
    except (OverflowError, ValueError, OSError):
        return None


def _prices(price: Price | None) -> dict[str, str]:
    """Format the prices, including tiers."""
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
    return sources.get(price.source) or workspace.cost_tracker().prices.dataset_name()


def _facts(model: AvailableModel) -> dict[str, str | int | float | None]:
    rates = {f"{key}_usd_per_million": _rate(model, key) for key in RATES}
    return {
        "model": model.name,
        "provider": model.provider,
        "id": model.info.id,
        "name": model.info.name or None,
        "context_window": model.context_window,
        **rates,
        "price_from": model.price.source if model.price else None,
        "released": _released(model),
        "listed_by": model.listed,
    }
