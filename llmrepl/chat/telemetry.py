"""Spans and metrics of requests for OpenTelemetry, sent over OTLP/HTTP by a background thread.

Names and units are those of OpenTelemetry's semantic conventions for generative AI clients
(https://opentelemetry.io/docs/specs/semconv/gen-ai/). The extra `otel` contains the libraries.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmrepl import __version__
from llmrepl.errors import LLMError
from llmrepl.providers.base import Request
from llmrepl.providers.errors import ProviderError
from llmrepl.types import Usage

DISTRIBUTION = "opentelemetry-exporter-otlp-proto-http"
BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

CLOSE_SECONDS = 1.0
"""The longest time that `close` waits for what is still to be sent."""

_WAITING = 1000  # requests in the queue; more are dropped
_TOKEN_BUCKETS = [4.0**power for power in range(14)]
_SECOND_BUCKETS = [0.01 * 2**power for power in range(14)]
_ERRORS = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)

_PROVIDER_NAMES = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}


@dataclass(frozen=True)
class RequestRecord:
    """One request. `ended_at` is Unix time in seconds, `seconds` its duration.

    `finish_reason` is the provider's; `error_type` is a status or a name, not a message. Estimated usage is not sent.
    `content` holds attributes with text, empty unless the user asked for them.
    """

    provider: str
    model: str
    ended_at: float
    seconds: float
    usage: Usage | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    content: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> dict[str, Any]:
        """Return the attributes that spans and metrics share."""
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDER_NAMES.get(self.provider, self.provider),
            "gen_ai.request.model": self.model,
        }

    def tokens(self) -> dict[str, int]:
        """Return the tokens that the provider counted, by `gen_ai.token.type`."""
        if self.usage is None or self.usage.estimated:
            return {}
        return {"input": self.usage.prompt_tokens, "output": self.usage.completion_tokens}

    def errors(self) -> dict[str, str]:
        """Return the attribute of a failed request."""
        return {"error.type": self.error_type} if self.error_type else {}

    def span_attributes(self) -> dict[str, Any]:
        """Return the attributes of the span."""
        counts = {f"gen_ai.usage.{kind}_tokens": count for kind, count in self.tokens().items()}
        reasons = {"gen_ai.response.finish_reasons": [self.finish_reason]} if self.finish_reason else {}
        return {**self.names(), **counts, **reasons, **self.errors(), **self.content}


class Telemetry:
    """Sends records from a daemon thread, which also imports the libraries. Errors only appear in the debug log.

    `traces` and `metrics` are the URLs of the receivers, None to send none.
    """

    def __init__(self, traces: str | None, metrics: str | None, *, capture: bool, log: Callable[[str], None]) -> None:
        self.capture = capture
        self._traces = traces
        self._metrics = metrics
        self._log = log
        self._queue: queue.Queue[RequestRecord | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, before the first record, so that the libraries are loaded while a reply arrives."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()

    def record(self, record: RequestRecord) -> None:
        """Send a record later. It is dropped if too many are waiting."""
        self.start()
        self._put(record)

    def close(self) -> None:
        """Wait at most CLOSE_SECONDS until everything is sent."""
        if self._thread is not None:
            self._put(None)
            self._thread.join(CLOSE_SECONDS)

    def _put(self, record: RequestRecord | None) -> None:
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._log("telemetry: a request is dropped, too many are waiting")

    def _run(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            version(DISTRIBUTION)
            exporter = _Exporter(self._traces, self._metrics)
            while (record := self._queue.get()) is not None:
                exporter.add(record)
                if self._queue.empty():
                    exporter.flush()
            exporter.flush()
        except PackageNotFoundError:
            self._log("telemetry: nothing is sent, the extra llmrepl[otel] is not installed")
        except _ERRORS as error:
            self._log(f"telemetry: nothing more is sent: {error!r}")


def create_telemetry(environ: Mapping[str, str], log: Callable[[str], None]) -> Telemetry | None:
    """Create what the standard variables ask for; None if they name no receiver."""

    def url(signal: str) -> str | None:
        if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip().lower() == "none":
            return None
        base = environ.get(BASE, "").strip()
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
        return own or (f"{base.rstrip('/')}/v1/{signal}" if base else None)

    traces, metrics = url("traces"), url("metrics")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or not (traces or metrics):
        return None
    if (protocol := environ.get(PROTOCOL, "").strip().lower()) not in ("", "http/protobuf"):
        log(f"telemetry: nothing is sent, the protocol is {protocol} and must be http/protobuf")
        return None
    return Telemetry(traces, metrics, capture=environ.get(CAPTURE, "").strip().lower() == "true", log=log)


def error_type(failure: LLMError) -> str:
    """Return the `error.type` of a failure: the status of the response, or the class of the error."""
    status = failure.status if isinstance(failure, ProviderError) else 0
    return str(status) if status else type(failure).__name__


def content_attributes(request: Request, reply: str, finish_reason: str) -> dict[str, str]:
    """Return the words of a request and its reply as the conventions' JSON, without attached files."""
    import json

    def parts(text: str) -> list[dict[str, str]]:
        return [{"type": "text", "content": text}]

    messages = [{"role": message.role, "parts": parts(message.content)} for message in request.messages]
    output = {"role": "assistant", "parts": parts(reply), "finish_reason": finish_reason}
    found: dict[str, object] = {"gen_ai.input.messages": messages, "gen_ai.output.messages": [output]}
    if request.system:
        found["gen_ai.system_instructions"] = parts(request.system)
    return {name: json.dumps(value, ensure_ascii=False) for name, value in found.items()}


class _Exporter:
    """The SDK's providers. It is only used in the thread, where exports block."""

    def __init__(self, traces: str | None, metrics: str | None) -> None:
        import logging

        from opentelemetry.sdk.resources import OTELResourceDetector, Resource

        for library in ("opentelemetry", "urllib3"):  # their warnings would be written into the conversation
            logging.getLogger(library).addHandler(logging.NullHandler())
        own = Resource({"service.name": "llmrepl", "service.version": __version__})
        self._resource = own.merge(OTELResourceDetector().detect())
        self._tracer = self._create_tracer(traces) if traces else None
        self._reader: Any = None
        if metrics:
            self._create_instruments(metrics)

    def _create_tracer(self, url: str) -> Any:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=url)))
        return provider.get_tracer("llmrepl", __version__)

    def _create_instruments(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        # an infinite interval: no thread of its own, only `flush` exports
        self._reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=url), math.inf)
        provider = MeterProvider([self._reader], self._resource, shutdown_on_exit=False)
        meter = provider.get_meter("llmrepl", __version__)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        )

    def add(self, record: RequestRecord) -> None:
        """Send the span of a record and count it in the metrics."""
        if self._reader is not None:
            for kind, count in record.tokens().items():
                self._tokens.record(count, {**record.names(), "gen_ai.token.type": kind})
            self._duration.record(record.seconds, {**record.names(), **record.errors()})
        if self._tracer is not None:
            from opentelemetry.trace import SpanKind, StatusCode

            end = int(record.ended_at * 1e9)
            span = self._tracer.start_span(
                f"chat {record.model}",
                kind=SpanKind.CLIENT,
                attributes=record.span_attributes(),
                start_time=end - int(record.seconds * 1e9),
            )
            if record.error_type:
                span.set_status(StatusCode.ERROR)
            span.end(end)

    def flush(self) -> None:
        """Send the metrics."""
        if self._reader is not None:
            self._reader.force_flush()
