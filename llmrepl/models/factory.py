"""What the settings say of providers: the one that a name means, opened, and the options of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmrepl.config.settings import Settings
from llmrepl.models.resolver import ModelResolver, ResolvedModel
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.resources import packaged

if TYPE_CHECKING:
    from llmrepl.providers.base import Options, Provider
    from llmrepl.providers.http_provider import HTTPProvider
    from llmrepl.providers.protocols.base import ModelInfo
    from llmrepl.providers.vendors import Vendor

LISTS = {"ollama": "/api/tags", "openai": "/models"}
"""Where a server on this machine has its list of models, by its dialect."""


def create_resolver(
    settings: Settings, environment: Environment, paths: Paths, default: Callable[[str], str | None]
) -> ModelResolver:
    """How models' names are understood, with the servers on this machine in view."""
    resolver = ModelResolver(
        settings,
        environment.environ,
        environment.cwd,
        paths,
        local=lambda: _first(local_models(resolver, environment)),
        default=default,
    )
    return resolver


def local_models(resolver: ModelResolver, environment: Environment) -> dict[str, list[ModelInfo]]:
    """The models of the servers on this machine that answer at once, by provider."""
    sites = resolver.local_sites()
    if not sites:
        return {}
    from llmrepl.models.discovery import probe

    pages = probe({vendor.name: url + LISTS[vendor.dialect] for vendor, url in sites.items()}, environment.monotonic)
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


def create_provider(resolved: ResolvedModel, settings: Settings, environment: Environment, paths: Paths) -> Provider:
    """The provider of `chosen`, ready to be asked. Raises WrongUse if its address or key cannot be used."""
    if resolved.vendor is None:
        from llmrepl.providers.offline.provider import OfflineProvider

        return OfflineProvider(packaged("docs"))
    return network_provider(resolved, resolved.vendor, settings, environment, paths)


def network_provider(
    resolved: ResolvedModel, vendor: Vendor, settings: Settings, environment: Environment, paths: Paths
) -> HTTPProvider:
    """The provider of `chosen` on the network. Raises WrongUse if its address or key cannot be used."""
    from random import random

    from llmrepl.models.parameter_memory import ParameterCache
    from llmrepl.providers.hints import likely_changes
    from llmrepl.providers.http_provider import create_http_provider
    from llmrepl.providers.retry import RetryPolicy
    from llmrepl.providers.transport.http import Network

    network = Network(
        connect_timeout=settings.number("connect_timeout") or 10.0,
        first_token_timeout=settings.number("first_token_timeout") or 300.0,
        idle_timeout=settings.number("idle_timeout") or 60.0,
        allow_http=settings.flag("allow_http"),
        environ=environment.environ,
    )
    again = RetryPolicy(settings.count("max_retries") or 0, environment.sleep, environment.monotonic, random)
    key = resolved.key
    value, origin = (key.value, key.origin) if key else (None, "")
    memory = ParameterCache(
        paths.cache_dir / "parameters.json",
        f"{vendor.name} {resolved.address}",
        lambda: environment.now().timestamp(),
        lambda model: likely_changes(model, vendor.dialect),
    )
    return create_http_provider(vendor, resolved.base_url, value, origin, network, again, memory)


def options_of(settings: Settings, resolved: ResolvedModel) -> Options:
    """What the user set for requests to a model.

    What `[models."provider/model"]` says comes before the general configuration, and after what was set for this shell,
    by a variable or on the command line.
    """
    from llmrepl.providers.base import Options

    own = settings.models.get(resolved.shown) or settings.models.get(f"{resolved.provider}/{resolved.model}") or {}

    def value(key: str) -> Any:
        general = settings.source(key) == "default" or settings.source(key).endswith(".toml")
        return own[key] if key in own and general else settings.get(key)

    extra = own.get("extra")
    return Options(
        temperature=value("temperature"),
        top_p=value("top_p"),
        max_tokens=value("max_tokens"),
        effort=value("effort"),
        stream=settings.flag("stream_responses"),
        extra=extra if isinstance(extra, dict) else {},
    )
