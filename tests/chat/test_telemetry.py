"""Spans and metrics, decoded by a receiver with OpenTelemetry's own protobufs."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from llmrepl.chat import turn
from llmrepl.chat.telemetry import CLOSE_SECONDS, create_telemetry
from llmrepl.chat.workspace import Workspace
from llmrepl.config.settings import Settings
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner
from tests.providers.loopback import serving, sse, status, stream

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install -e '.[dev]'")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REPLY = stream(
    sse(
        {"choices": [{"delta": {"content": "violet"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}},
        "[DONE]",
    )
)


class Receiver:
    """Spans and metrics received by an OTLP receiver at `url`; the last value of a metric counts."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.spans: list[Any] = []
        self.resource: dict[str, object] = {}
        self.metrics: dict[str, Any] = {}
        self.changed = threading.Condition()

    def take(self, path: str, body: bytes) -> None:
        with self.changed:
            self.bodies.append(body)
            if path == "/v1/traces":
                for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resource = plain(part.resource.attributes)
                    self.spans += [span for scope in part.scope_spans for span in scope.spans]
            else:
                assert path == "/v1/metrics"
                for found in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    self.metrics |= {metric.name: metric for s in found.scope_metrics for metric in s.metrics}
            self.changed.notify_all()

    def wait(self, done: Callable[[Receiver], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: done(self), 60)

    def points(self, name: str) -> list[tuple[dict[str, object], int, float]]:
        """Return the attributes, count and sum of each data point of a histogram."""
        return [(plain(p.attributes), p.count, p.sum) for p in self.metrics[name].histogram.data_points]


def plain(attributes: Any) -> dict[str, object]:
    return {a.key: value(a.value) for a in attributes}


def value(found: Any) -> object:
    kind = found.WhichOneof("value")
    return [value(one) for one in found.array_value.values] if kind == "array_value" else getattr(found, kind)


@contextmanager
def receiving(hold: threading.Event | None = None, delay: float = 0) -> Iterator[Receiver]:
    """Run a receiver on loopback. It answers after `delay` seconds, or once `hold` is set."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/x-protobuf"
            if hold:
                hold.wait(60)
            time.sleep(delay)
            receiver.take(self.path, body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        if hold:
            hold.set()
        server.shutdown()
        server.server_close()


def workspace(cli: CliRunner, model_url: str, **environ: str) -> Workspace:
    (cli.home / ".config" / "llm").mkdir(parents=True)
    (cli.home / ".config" / "llm" / "config.toml").write_text(f'[providers.work]\nbase_url = "{model_url}/v1"\n')
    environ = cli.environ | {"WORK_API_KEY": "sk-x", "LLM_MODEL": "work/m", "LLM_MAX_RETRIES": "0"} | environ
    environment = Environment(environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    paths = Paths.find(environ)
    return Workspace(environment, Settings.load(environ, cli.cwd, paths), paths, Signals())


def ask(workspace: Workspace, text: str = "the secret question") -> str:
    with turn.ask(workspace, text, keep=False) as asked:
        for _ in asked:
            pass
    assert asked.turn_result
    return asked.turn_result.text


def test_a_request_is_a_span_and_two_metrics_without_words(cli: CliRunner) -> None:
    with receiving() as receiver, serving(REPLY) as server:
        place = workspace(cli, server.url, OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/")
        before = time.time_ns()
        assert ask(place) == "violet"
        receiver.wait(lambda r: r.spans and r.metrics)
        place.close()
    (span,) = receiver.spans
    names = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "work", "gen_ai.request.model": "m"}
    usage = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 3}
    assert plain(span.attributes) == {**names, **usage, "gen_ai.response.finish_reasons": ["stop"]}
    assert (span.name, span.kind, span.status.code) == ("chat m", 3, 0)
    assert before - 10**9 < span.start_time_unix_nano < span.end_time_unix_nano < time.time_ns() + 10**9
    assert receiver.resource["service.name"] == "llmrepl"
    tokens = receiver.points("gen_ai.client.token.usage")
    assert sorted((str(a.pop("gen_ai.token.type")), a, count, total) for a, count, total in tokens) == [
        ("input", names, 1, 11),
        ("output", names, 1, 3),
    ]
    ((attributes, count, seconds),) = receiver.points("gen_ai.client.operation.duration")
    assert (attributes, count) == (names, 1) and 0 < seconds < 60
    units = {name: metric.unit for name, metric in receiver.metrics.items()}
    assert units == {"gen_ai.client.token.usage": "{token}", "gen_ai.client.operation.duration": "s"}
    assert not any(word in body for body in receiver.bodies for word in (b"secret", b"violet", b"sk-x"))


def test_words_are_sent_if_asked_for(cli: CliRunner) -> None:
    with receiving() as receiver, serving(REPLY) as server:
        variables = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"}
        place = workspace(cli, server.url, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces", **variables)
        ask(place)
        receiver.wait(lambda r: r.spans)
        place.close()
    found = plain(receiver.spans[0].attributes)
    asked, said = (json.loads(str(found[f"gen_ai.{way}.messages"])) for way in ("input", "output"))
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": "the secret question"}]}]
    parts = [{"type": "text", "content": "violet"}]
    assert said == [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]
    assert not receiver.metrics, "only the variable for traces is set"


def test_a_failure_and_its_fallback_are_two_spans(cli: CliRunner) -> None:
    with receiving() as receiver, serving(status(503, {"error": "out of violets"})) as server:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "LLM_FALLBACK": "offline/echo"}
        place = workspace(cli, server.url, **variables)
        assert ask(place, "hello") == "hello"
        receiver.wait(lambda r: len(r.spans) == 2 and r.metrics)
        place.close()
    failed, answered = receiver.spans
    assert plain(failed.attributes)["error.type"] == "503" and failed.status.code == 2
    assert "error.type" not in plain(answered.attributes)
    assert plain(answered.attributes)["gen_ai.provider.name"] == "offline"
    assert not any(b"violets" in body for body in receiver.bodies)


def test_an_interrupted_reply_is_a_span_with_that_word(cli: CliRunner) -> None:
    hold = threading.Event()
    slow = stream(sse({"choices": [{"delta": {"content": "vio"}}]}), sse("[DONE]"), wait=lambda: hold.wait(60))
    with receiving() as receiver, serving(slow) as server:
        place = workspace(cli, server.url, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        with pytest.raises(KeyboardInterrupt), turn.ask(place, "hello", keep=False) as asked:
            for event in asked:
                if getattr(event, "text", "") == "vio":
                    raise KeyboardInterrupt
        receiver.wait(lambda r: r.spans and r.metrics)
        hold.set()
        place.close()
    (span,) = receiver.spans
    assert plain(span.attributes)["error.type"] == "interrupted" and span.status.code == 2
    assert "gen_ai.usage.output_tokens" not in plain(span.attributes), "estimates are not sent"


def test_grpc_is_said_not_to_be_spoken(cli: CliRunner) -> None:
    for protocol, said in (("grpc", True), ("http/protobuf", False)):
        log: list[str] = []
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        assert (create_telemetry(environ, log.append) is None) == said
        assert any("http/protobuf" in line for line in log) == said


def test_nothing_is_sent_in_incognito_mode(cli: CliRunner) -> None:
    with receiving() as receiver, serving(REPLY) as server:
        place = workspace(cli, server.url, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        place.chat.enter_incognito()
        ask(place)
        place.chat.leave_incognito(discard=True)
        ask(place)
        receiver.wait(lambda r: r.metrics)
        place.close()
    assert len(receiver.spans) == 1
    assert receiver.points("gen_ai.client.operation.duration")[0][1] == 1


@pytest.mark.parametrize("receiver", ["down", "silent"])
def test_a_receiver_that_does_not_answer_costs_a_second_at_most(cli: CliRunner, receiver: str) -> None:
    hold = threading.Event()
    with receiving(hold) as silent, serving(REPLY) as server:
        url = silent.url if receiver == "silent" else "http://127.0.0.1:9"
        place = workspace(cli, server.url, OTEL_EXPORTER_OTLP_ENDPOINT=url)
        ask(place)
        started = time.monotonic()
        for _ in range(3):
            ask(place)
        place.close()
        assert time.monotonic() - started < CLOSE_SECONDS + 2
        ran = cli.process("ask", "-m", "offline/echo", "hello", OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert (ran.code, ran.out, ran.err) == (0, "hello\n", "")


def test_the_exit_waits_for_what_is_being_sent(cli: CliRunner) -> None:
    with receiving(delay=0.1) as receiver:
        program = cli.start("chat", "-m", "offline/echo", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
        assert program.stdin and program.stdout
        program.stdin.write(b"hello\n")
        program.stdin.flush()
        receiver.wait(lambda r: r.metrics)  # the libraries are loaded
        program.communicate(b"more\n" * 3, 60)
        assert program.returncode == 0
    assert len(receiver.spans) == 4


def imported(cli: CliRunner, path: str, **environ: str) -> tuple[str, str]:
    """Return the opentelemetry modules that `llm ask` imports with `path` on sys.path, and the debug log."""
    code = "import sys; from llmrepl.cli import main; from llmrepl.system.environment import Environment; "
    code += "main(['ask', '-m', 'offline/echo', 'hi'], Environment.real()); "
    code += "sys.stdout.write(' '.join(name for name in sys.modules if name.startswith('opentelemetry')))"
    variables = cli.environ | {"PYTHONPATH": path, "LLM_DEBUG": "1"} | environ
    done = run([sys.executable, "-S", "-c", code], env=variables, cwd=cli.cwd, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("hi\n"), done.stderr
    return done.stdout.removeprefix("hi\n"), done.stderr


def test_nothing_is_imported_without_the_variables_or_the_extra(cli: CliRunner, tmp_path: Path) -> None:
    packages = Path(pytest.__file__).parent.parent
    everything = f"{packages}:{cli.environ['PYTHONPATH']}"
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert imported(cli, everything)[0] == ""
    assert "opentelemetry.sdk" in imported(cli, everything, **variables)[0]
    without = tmp_path / "packages"
    without.mkdir()
    for entry in packages.iterdir():
        if not entry.name.startswith("opentelemetry_"):  # metadata; an installation without it is none
            (without / entry.name).symlink_to(entry)
    names, log = imported(cli, f"{without}:{cli.environ['PYTHONPATH']}", **variables)
    assert names == "" and "the extra llmrepl[otel] is not installed" in log


@pytest.mark.parametrize(
    ("environ", "sends"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h/m"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h/m", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], sends: bool) -> None:
    assert (create_telemetry(environ, print) is not None) == sends
