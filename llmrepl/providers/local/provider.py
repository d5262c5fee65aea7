"""The provider of `local/FILE.gguf`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from llmrepl.providers.base import Event, Loading, Notice, ReasoningDelta, Request, TextDelta
from llmrepl.providers.errors import KEPT, ProviderError
from llmrepl.providers.http_provider import create_http_provider
from llmrepl.providers.local.model_file import PROVIDER
from llmrepl.providers.local.process import ModelServer
from llmrepl.providers.retry import RetryPolicy
from llmrepl.providers.transport.http import Network
from llmrepl.providers.vendors import LOCAL


@dataclass(slots=True)
class LocalProvider:
    """Streams replies of model files, one of which is loaded at a time; `model` of a request is the file's path.

    A file is loaded by the first request to it, and again if its process ended.
    """

    network: Network
    retries: RetryPolicy
    environ: Mapping[str, str] = field(repr=False)
    server: ModelServer | None = None

    @property
    def name(self) -> str:
        """The name of the provider."""
        return PROVIDER

    def stream(self, request: Request) -> Iterator[Event]:
        """Load the model if need be, send the request and yield its events as they come; see base.Provider."""
        path = Path(request.model)
        if request.options.effort is not None:
            yield Notice("Model files take no effort. It was left out.")
        server = self.server
        if server is None or server.path != path or not server.running:
            self.close()
            server = self.server = ModelServer(path, self.environ)
            for seconds in server.load():
                yield Loading(path.name, seconds)
        http = create_http_provider(LOCAL, server.address, server.key, "", self.network, self.retries)
        sent = replace(request, model=path.name, options=replace(request.options, effort=None))
        begun = False
        try:
            for event in http.stream(sent):
                begun = begun or isinstance(event, TextDelta | ReasoningDelta)
                yield event
        except ProviderError as error:
            if server.running:
                raise
            then = KEPT if begun else ":retry loads it again"
            raise ProviderError(f"llama.cpp ended while it ran {path.name}.", then) from error
        finally:
            http.close()

    def close(self) -> None:
        """End the process of the model."""
        if self.server is not None:
            self.server.stop()
            self.server = None
