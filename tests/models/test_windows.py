"""`:context` and `models info` tell the window with which a server runs the model, from the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, serving, status

OLLAMA = {
    "/api/tags": {"models": [{"name": "loaded:1b"}, {"name": "asked:1b"}, {"name": "idle:1b"}, {"name": "embed:1b"}]},
    "/api/ps": {"models": [{"name": "loaded:1b", "context_length": 4096}]},
    "loaded:1b": {"capabilities": ["completion"], "model_info": {"llama.context_length": 131072}},
    "asked:1b": {
        "capabilities": ["completion", "vision"],
        "model_info": {"llama.context_length": 131072},
        "parameters": "stop x\nnum_ctx 16384",
    },
    "idle:1b": {
        "capabilities": ["completion", "thinking"],
        "model_info": {"qwen3.context_length": 40960},
        "thinking": {"values": [False, True]},
    },
    "embed:1b": {"capabilities": ["embedding"], "model_info": {}},
}
LLAMACPP = {
    "/v1/models": {"data": [{"id": "m", "meta": {"n_ctx_train": 131072}}]},
    "/props": {"default_generation_settings": {"n_ctx": 8192}},
}
LMSTUDIO = {
    "/v1/models": {"data": [{"id": "m"}, {"id": "embed"}]},
    "/api/v0/models": {
        "data": [
            {"id": "m", "type": "vlm", "max_context_length": 131072, "loaded_context_length": 2048},
            {"id": "embed", "type": "embeddings", "max_context_length": 512},
        ]
    },
}


@contextmanager
def pages(of: Mapping[str, object]) -> Iterator[Server]:
    """A server with a page at each path, and what /api/show says of each model."""
    found: list[Server] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen = found[0].seen[-1]
        place = seen.body["model"] if seen.path == "/api/show" else seen.path
        (status(200, of[place]) if place in of else status(404))(handler)

    with serving(answer) as server:
        found.append(server)
        yield server


@pytest.mark.parametrize(
    ("model", "window"), [("loaded:1b", "4,096"), ("asked:1b", "16,384"), ("idle:1b", "40,960"), ("none:1b", "unknown")]
)
def test_ollama_tells_with_which_window_it_runs_a_model(cli: CliRunner, model: str, window: str) -> None:
    with pages(OLLAMA) as server:
        ran = cli.llm("chat", "-m", f"ollama/{model}", typed=":context\n", OLLAMA_HOST=server.url)
    assert ran.code == 0 and ran.out.startswith("0 messages, about ") and window in ran.out, ran


def test_what_ollama_s_models_can_do_is_asked_for(cli: CliRunner) -> None:
    with pages(OLLAMA) as server:
        ran = cli.llm("models", "list", "--provider", "ollama", OLLAMA_HOST=server.url)
        info = cli.llm("models", "info", "ollama/idle:1b", OLLAMA_HOST=server.url).out
    assert [line.split()[0] for line in ran.out.splitlines()] == [
        "ollama/loaded:1b",
        "ollama/asked:1b",
        "ollama/idle:1b",
    ]
    assert "off, minimal, low, medium, high, max" in info


@pytest.mark.parametrize(("name", "of", "window"), [("llamacpp", LLAMACPP, "8,192"), ("lmstudio", LMSTUDIO, "2,048")])
def test_the_window_is_the_served_one_and_not_the_trained_one(
    cli: CliRunner, name: str, of: Mapping[str, object], window: str
) -> None:
    with pages(of) as server:
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True)
        (config / "config.toml").write_text(f'[providers.{name}]\nbase_url = "{server.url}/v1"\n')
        ran = cli.llm("chat", "-m", f"{name}/m", typed=":context\n")
        listed = cli.llm("models", "list", "--provider", name).out
    assert f"of {window}" in ran.out, ran
    assert [line.split()[0] for line in listed.splitlines()] == [f"{name}/m"]


def test_a_server_in_the_network_is_asked_for_its_list_if_nothing_else_tells(cli: CliRunner) -> None:
    with pages({"/v1/models": {"data": [{"id": "new-model", "context_length": 777_000}]}}) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        ran = cli.llm("chat", "-m", "together/new-model", typed=":context\n:context\n", **environ)
    assert ran.out.count("of 777,000") == 2 and len(server.seen) == 1
