"""What the settings say of providers: the one that a name means, opened, and the options of a request."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from llmrepl.packaged import packaged
from llmrepl.providers.choice import Chosen
from llmrepl.settings import Settings
from llmrepl.world import World

if TYPE_CHECKING:
    from llmrepl.providers.base import Options, Provider


def opened(chosen: Chosen, settings: Settings, world: World) -> Provider:
    """The provider of `chosen`, ready to be asked. Raises WrongUse if its address or key cannot be used."""
    if chosen.vendor is None:
        from llmrepl.providers.offline import Offline

        return Offline(packaged("docs"))
    from llmrepl.providers.http import Network
    from llmrepl.providers.remote import open_provider
    from llmrepl.providers.retry import Retries

    network = Network(
        connect_timeout=settings.number("connect_timeout") or 10.0,
        first_token_timeout=settings.number("first_token_timeout") or 300.0,
        idle_timeout=settings.number("idle_timeout") or 60.0,
        allow_http=settings.flag("allow_http"),
        environ=world.environ,
    )
    again = Retries(settings.count("max_retries") or 0, world.sleep, world.monotonic, random.random)
    key = chosen.key
    value, origin = (key.value, key.origin) if key else (None, "")
    return open_provider(chosen.vendor, chosen.base_url, value, origin, network, again)


def options_of(settings: Settings) -> Options:
    """What the user set for requests."""
    from llmrepl.providers.base import Options

    return Options(
        temperature=settings.number("temperature"),
        top_p=settings.number("top_p"),
        max_tokens=settings.count("max_tokens"),
        stream=settings.flag("stream_responses"),
    )
