"""Create resolvers, providers and request options from the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmrepl.config.settings import Settings
from llmrepl.models.resolver import ModelResolver, ResolvedModel
from llmrepl.providers.vendors import LOCAL
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.resources import packaged_directory

if TYPE_CHECKING:
    from llmrepl.models.parameter_memory import ParameterCache
    from llmrepl.providers.base import Options, Provider
    from llmrepl.providers.http_provider import HTTPProvider
    from llmrepl.providers.protocols.base import ModelInfo
    from llmrepl.providers.retry import RetryPolicy
    from llmrepl.providers.transport.http import Network
    from llmrepl.providers.vendors import Vendor

LISTS = {"ollama": "/api/tags", "openai": "/models"}
"""Path of the model list on local servers, by protocol."""


def create_resolver(
    settings: Settings, environment: Environment, paths: Paths, default: Callable[[str], str | None]
) -> ModelResolver:
    """Create the resolver of model names, including local servers."""
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
    """Return the models of responsive local servers, by provider."""
    sites = resolver.local_servers()
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


def loading_servers(resolver: ModelResolver, environment: Environment) -> list[str]:
    """Return the providers whose local servers still load their model."""
    sites = resolver.local_servers()
    if not sites:
        return []
    from llmrepl.models.discovery import find_loading

    urls = {vendor.name: url + LISTS[vendor.dialect] for vendor, url in sites.items()}
    return find_loading(urls, environment.monotonic)


def _first(local: dict[str, list[ModelInfo]]) -> str | None:
    """Return the first chat model."""
    from llmrepl.models.defaults import can_chat

    return next((f"{name}/{m.id}" for name, models in local.items() for m in models if can_chat(m)), None)


def create_provider(resolved: ResolvedModel, settings: Settings, environment: Environment, paths: Paths) -> Provider:
    """Create the provider of a resolved model. Raises UsageError if its address or key is invalid."""
    if resolved.vendor is None:
        from llmrepl.providers.offline.provider import OfflineProvider

        return OfflineProvider(packaged_directory("docs"))
    if resolved.vendor is LOCAL:
        from llmrepl.providers.local.provider import LocalProvider

        return LocalProvider(*_connection(settings, environment), environment.environ)
    return network_provider(resolved, resolved.vendor, settings, environment, paths)


def network_provider(
    resolved: ResolvedModel, vendor: Vendor, settings: Settings, environment: Environment, paths: Paths
) -> HTTPProvider:
    """Create the network provider of a resolved model. Raises UsageError if its address or key is invalid."""
    from llmrepl.providers.http_provider import create_http_provider

    key = resolved.key
    value, origin = (key.value, key.origin) if key else (None, "")
    memory = parameter_memory(resolved, vendor, environment, paths)
    network, again = _connection(settings, environment)
    return create_http_provider(vendor, resolved.base_url, value, origin, network, again, memory)


def parameter_memory(resolved: ResolvedModel, vendor: Vendor, environment: Environment, paths: Paths) -> ParameterCache:
    """Create the memory of what the models of a provider reject."""
    from llmrepl.models.parameter_memory import ParameterCache
    from llmrepl.providers.hints import likely_changes

    return ParameterCache(
        paths.cache_dir / "parameters.json",
        f"{vendor.name} {resolved.address}",
        lambda: environment.now().timestamp(),
        lambda model: likely_changes(model, vendor.dialect),
    )


def local_model(resolved: ResolvedModel, environment: Environment) -> ModelInfo:
    """Return what a model file says about itself."""
    from pathlib import Path

    from llmrepl.providers.local.model_file import context_size
    from llmrepl.providers.protocols.base import ModelInfo

    return ModelInfo(resolved.model, context_window=context_size(Path(resolved.model), environment.environ))


def _connection(settings: Settings, environment: Environment) -> tuple[Network, RetryPolicy]:
    """Return the network settings and the retry policy."""
    from random import random

    from llmrepl.providers.retry import RetryPolicy

    again = RetryPolicy(settings.count("max_retries") or 0, environment.sleep, environment.monotonic, random)
    return network_of(settings, environment), again


def network_of(settings: Settings, environment: Environment) -> Network:
    """Return how to reach servers."""
    from llmrepl.providers.transport.http import Network

    return Network(
        connect_timeout=settings.number("connect_timeout") or 10.0,
        first_token_timeout=settings.number("first_token_timeout") or 300.0,
        idle_timeout=settings.number("idle_timeout") or 60.0,
        allow_http=settings.flag("allow_http"),
        environ=environment.environ,
    )


def options_of(settings: Settings, resolved: ResolvedModel, longest: int | None = None) -> Options:
    """Return the request options that the user set for a model, whose longest reply may be known.

    `[models."provider/model"]` overrides the general configuration, but not the command line, environment variables or
    settings of this shell.
    """
    from llmrepl.providers.base import Options

    own = settings.models.get(resolved.shown) or settings.models.get(f"{resolved.provider}/{resolved.model}") or {}

    def value(key: str) -> Any:
        general = settings.source(key) == "default" or settings.source(key).endswith((".toml", ".json"))
        return own[key] if key in own and general else settings.get(key)

    extra = own.get("extra")
    return Options(
        temperature=value("temperature"),
        top_p=value("top_p"),
        max_tokens=value("max_tokens"),
        effort=value("effort"),
        stream=settings.flag("stream_responses"),
        extra=extra if isinstance(extra, dict) else {},
        longest=longest,
    )
