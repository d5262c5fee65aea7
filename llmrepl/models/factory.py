"""What the settings say of providers: the one that a name means, opened, and the options of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrepl.config.settings import Settings
from llmrepl.models.resolver import Choice, Chosen
from llmrepl.system.environment import World
from llmrepl.system.paths import Places
from llmrepl.system.resources import packaged

if TYPE_CHECKING:
    from llmrepl.providers.base import Options, Provider
    from llmrepl.providers.http_provider import HttpProvider
    from llmrepl.providers.protocols.base import ModelInfo
    from llmrepl.providers.vendors import Vendor

LISTS = {"ollama": "/api/tags", "openai": "/models"}
"""Where a server on this machine has its list of models, by its dialect."""


def choice_of(settings: Settings, world: World, places: Places) -> Choice:
    """How models' names are understood, with the servers on this machine in view."""
    choice = Choice(settings, world.environ, world.cwd, places, local=lambda: _first(local_models(choice, world)))
    return choice


def local_models(choice: Choice, world: World) -> dict[str, list[ModelInfo]]:
    """The models of the servers on this machine that answer at once, by provider."""
    sites = choice.local_sites()
    if not sites:
        return {}
    from llmrepl.models.discovery import look

    pages = look({vendor.name: url + LISTS[vendor.dialect] for vendor, url in sites.items()}, world.monotonic)
    if not pages:
        return {}
    from llmrepl.providers.protocols import ollama
    from llmrepl.providers.protocols import openai_chat as openai

    protocols = {"ollama": ollama.PROTOCOL, "openai": openai.PROTOCOL}
    found = {vendor.name: protocols[vendor.dialect].models(pages.get(vendor.name)) for vendor in sites}
    return {name: models for name, models in found.items() if models}


def _first(local: dict[str, list[ModelInfo]]) -> str | None:
    """The first model that can talk."""
    return next((f"{name}/{m.id}" for name, models in local.items() for m in models if "embed" not in m.id), None)


def opened(chosen: Chosen, settings: Settings, world: World) -> Provider:
    """The provider of `chosen`, ready to be asked. Raises WrongUse if its address or key cannot be used."""
    if chosen.vendor is None:
        from llmrepl.providers.offline.provider import Offline

        return Offline(packaged("docs"))
    return network_provider(chosen, chosen.vendor, settings, world)


def network_provider(chosen: Chosen, vendor: Vendor, settings: Settings, world: World) -> HttpProvider:
    """The provider of `chosen` on the network. Raises WrongUse if its address or key cannot be used."""
    from random import random

    from llmrepl.providers.http_provider import open_provider
    from llmrepl.providers.retry import Retries
    from llmrepl.providers.transport.http import Network

    network = Network(
        connect_timeout=settings.number("connect_timeout") or 10.0,
        first_token_timeout=settings.number("first_token_timeout") or 300.0,
        idle_timeout=settings.number("idle_timeout") or 60.0,
        allow_http=settings.flag("allow_http"),
        environ=world.environ,
    )
    again = Retries(settings.count("max_retries") or 0, world.sleep, world.monotonic, random)
    key = chosen.key
    value, origin = (key.value, key.origin) if key else (None, "")
    return open_provider(vendor, chosen.base_url, value, origin, network, again)


def options_of(settings: Settings) -> Options:
    """What the user set for requests."""
    from llmrepl.providers.base import Options

    return Options(
        temperature=settings.number("temperature"),
        top_p=settings.number("top_p"),
        max_tokens=settings.count("max_tokens"),
        stream=settings.flag("stream_responses"),
    )
