"""Commands that list models with their prices and context windows."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Cell, Column, Document, Group, Narrowing, Note, PickItem, PickOne, Result, Table
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
    argument("--all", help="include retired models and those for other purposes than chat", switch=True),
    argument("--details", "-d", help="show more columns", switch=True),
    argument("--refresh", help="refresh the cached model lists", switch=True),
    argument("--json", help="print all details as JSON", switch=True),
    group=GROUP,
    example="models list --filter mini --details",
    aliases=("models",),
)
def models_list(
    workspace: Workspace,
    *,
    filter: str | None,
    provider: str | None,
    all: bool,
    details: bool,
    refresh: bool,
    json: bool,
) -> Result:
    """List the models of providers with a key, of local servers, and of this program."""
    words = (filter or "").casefold().split()
    from llmrepl.chat.available import available_models

    now = workspace.environment.now().timestamp()
    every = available_models(workspace, provider, refresh=refresh)
    usable = [model for model in every if all or model.is_usable(now)]
    found = [model for model in usable if not words or _has_words(f"{model.name} {model.info.name}".casefold(), words)]
    if json:
        return Document(json_format.dumps([_facts(model) for model in found], indent=2, ensure_ascii=False))
    table = _table(found, details=details)
    table.empty = f"no model has '{filter}' in its name" if filter else "there are no models to chat with"
    if provider or any(model.listed != "built in" for model in every):
        return table
    mark = ":" if workspace.stdin_is_input else "llm "
    note = (
        f"No provider has a key yet: '{mark}keys set PROVIDER' saves one, "
        f"'{mark}models list --provider PROVIDER' shows its models"
    )
    return Group([table, Note(note)])


def _has_words(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _table(found: Sequence[AvailableModel], *, details: bool) -> Table:
    """Return the models as a table. The column of their end is there if one of them has an end."""
    columns = [
        Column("Model", "name"),
        Column("Context", "count"),
        Column("Input $/M", "usd"),
        Column("Output $/M", "usd"),
    ]
    rows: list[list[Cell]] = [
        [model.name, model.context_window, _rate(model, "input"), _rate(model, "output")] for model in found
    ]
    if details or any(_end(model) for model in found):
        columns.append(Column("Ends", "date"))
        rows = [[*row, _end(model)] for row, model in zip(rows, found, strict=True)]
    if details:
        columns += [
            Column("Cached $/M", "usd"),
            Column("Reply", "count"),
            Column("Images"),
            Column("Released", "date"),
            Column("About", "name"),
        ]
        rows = [
            [
                *row,
                _rate(model, "cache_read"),
                model.info.max_output,
                _YES_NO[model.info.vision],
                model.info.release_date(),
                model.info.name or None,
            ]
            for row, model in zip(rows, found, strict=True)
        ]
    titles = ("About", "Released", "Reply", "Images", "Cached $/M", "Context")
    return Table(columns, rows, narrowing=[Narrowing(title) for title in titles])


_YES_NO = {True: "yes", False: "no", None: None}


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
        raise UsageError(unknown.message, f"Did you mean '{escape_name(near)}'?") from None
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
        "Reply": f"up to {found.info.max_output:,} tokens" if found.info.max_output else "",
        "Images": _YES_NO[found.info.vision] or "",
        "Effort": "none" if found.info.efforts == () else ", ".join(found.info.efforts or ()),
        **_prices(found.price),
        "Price from": _source(workspace, found.price),
        "Released": found.info.release_date() or "",
        "Ends": _end(found) or "",
        "A simple chat": _example(found.price, 500, 300),
        "A long document": _example(found.price, 50_000, 2_000),
    }
    width = max(len(name) for name, text in facts.items() if text)
    return Document("\n".join(f"{name + ':':{width + 2}}{escape_name(text)}" for name, text in facts.items() if text))


def pick_model(workspace: Workspace, then: Callable[[str], Result]) -> PickOne:
    """Let the user pick a model; `then` gets its name. The current one comes first."""
    from llmrepl.chat.available import models_to_pick

    current = workspace.chat.model
    known = sorted(models_to_pick(workspace), key=lambda model: model.name != current)
    choices = [PickItem(model.name, (_hint(model),), partial(escape_name, model.info.name)) for model in known]
    return PickOne(choices, then, "llm models list shows the models")


def _hint(model: AvailableModel) -> str:
    """Return the context window and the prices in one line."""
    window = f"{model.context_window:,} tokens" if model.context_window else ""
    rates = [_rate(model, "input"), _rate(model, "output")]
    price = "free" if rates == [0, 0] else "  ".join(f"${rate:g}" for rate in rates if rate is not None)
    end = _end(model)
    return "  ".join(filter(None, (window, f"{price} per million" if "$" in price else price, end and f"ends {end}")))


def _example(price: Price | None, prompt: int, reply: int) -> str:
    """What a request of `prompt` and `reply` tokens costs; empty if the price is unknown."""
    if price is None or price.free:
        return ""
    return f"{prompt:,} → {reply:,} tokens, about {format_usd(price.of(prompt, 0, 0, reply))}"


def _rate(model: AvailableModel, key: str) -> float | None:
    rate: Rate = getattr(model.price, key) if model.price else ()
    return rate[0][1] if rate else None


def _end(model: AvailableModel) -> str | None:
    """Return the date of a model's retirement, or a word for an end without a date."""
    if date := model.info.end_date():
        return date
    return "retired" if model.info.retired else "deprecated" if model.info.deprecated else None


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


def _facts(model: AvailableModel) -> dict[str, str | int | float | list[str] | None]:
    rates = {f"{key}_usd_per_million": _rate(model, key) for key in RATES}
    return {
        "model": model.name,
        "provider": model.provider,
        "id": model.info.id,
        "name": model.info.name or None,
        "context_window": model.context_window,
        "max_output_tokens": model.info.max_output,
        **rates,
        "price_from": model.price.source if model.price else None,
        "images": model.info.vision,
        "efforts": None if model.info.efforts is None else list(model.info.efforts),
        "released": model.info.release_date(),
        "ends": model.info.end_date(),
        "deprecated": model.info.deprecated,
        "listed_by": model.listed,
    }
