"""What is said above the first prompt about servers of models on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.cli_runner import CliRunner
from tests.providers.loopback import Server, serving
from tests.terminal import Terminal
from tests.test_journeys import shell

MODELS = b'{"models": [{"name": "llama3.2", "model": "llama3.2"}]}'
LOADING = b'{"error": {"message": "Loading model", "code": 503}}'


@contextmanager
def beside_ollama(cli: CliRunner, status: int, body: bytes, **environ: str) -> Iterator[tuple[Terminal, Server]]:
    """A shell at its first prompt beside a server that gives this answer."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with (
        serving(answer) as server,
        shell(cli, OLLAMA_HOST=server.url, LLM_LOCAL_SERVERS="on", **environ) as terminal,
    ):
        yield terminal, server


def first_words(cli: CliRunner, status: int, body: bytes) -> str:
    """What stands above the first prompt, `ADDRESS` for that of the server.

    A busy machine may take more than the 50 ms that servers have, so this is tried up to five times.
    """
    said = ""
    for _ in range(5):
        with beside_ollama(cli, status, body) as (terminal, server):
            said = " ".join(terminal.text.replace(server.url.removeprefix("http://"), "ADDRESS").split())
        if "ADDRESS" in said:
            break
    return said


def test_a_server_that_was_found_is_named(cli: CliRunner) -> None:
    said = first_words(cli, 200, MODELS)
    assert "found Ollama at ADDRESS, no key needed" in said
    assert "Starting chat with ollama/llama3.2" in said
    assert "guide answers" not in said


def test_a_server_that_still_loads_is_named(cli: CliRunner) -> None:
    said = first_words(cli, 503, LOADING)
    assert "Ollama at ADDRESS is still loading its model." in said
    assert "There is no key yet, so the guide answers. ':keys set openrouter' saves one." in said


def test_nothing_is_said_where_a_model_is_configured(cli: CliRunner) -> None:
    with beside_ollama(cli, 200, MODELS, LLM_MODEL="offline/echo") as (terminal, _):
        assert "no key" not in terminal.text
