"""`models list` and `models info`: from providers, local servers, price data and the cache."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.value_sources import models
from llmrepl.config.settings import Settings
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner
from tests.providers.loopback import Answer, Server, serving

KEY = "sk-models-0123456789"
OPENAI = {"data": [{"id": "gpt-4o-mini", "created": 1721172741}, {"id": "gpt-4o"}, {"id": "own-model"}]}
ROUTER = {
    "data": [
        {
            "id": "openai/gpt-4o-mini",
            "name": "OpenAI: GPT-4o-mini",
            "context_length": 128000,
            "pricing": {"prompt": "0.00000015", "completion": "0.0000006"},
        },
        {
            "id": "some/new-model",
            "name": "New",
            "context_length": 4096,
            "created": 1700000000,
            "pricing": {"prompt": "0.000002", "completion": "0.000004"},
        },
    ]
}
OLLAMA = {"models": [{"name": "all-embed:latest"}, {"name": "llama3.2:1b"}]}


def page(data: Any, *, seconds: float = 0.0) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        body = json.dumps(data).encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def asked(cli: CliRunner, **environ: str) -> str:
    """Return the model that a conversation starts with."""
    return cli.script(":model", words=("chat",), LLM_LOCAL_SERVERS="on", **environ).out.strip()


@pytest.fixture
def openai(cli: CliRunner) -> Iterator[Server]:
    with serving(page(OPENAI)) as server:
        cli.environ |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
        yield server


def test_without_a_key_the_built_in_models_are_listed_with_a_hint(cli: CliRunner) -> None:
    ran = cli.llm("models")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["offline/guide", "offline/echo"]
    assert "llm keys set" in ran.err and ran.code == 0


def test_the_provider_s_list_is_fetched_once_a_day(cli: CliRunner, openai: Server) -> None:
    first = cli.llm("models", "list")
    assert [line.split()[0] for line in first.out.splitlines()][2:] == [
        "openai/gpt-4o-mini",
        "openai/gpt-4o",
        "openai/own-model",
    ]
    assert cli.llm("models", "list").out == first.out
    assert len(openai.seen) == 1
    cli.llm("models", "list", "--refresh")
    assert len(openai.seen) == 2
    kept = cli.home / ".cache/llm/models/openai.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and KEY not in kept.read_text()
    old = json.loads(kept.read_text())
    kept.write_text(json.dumps(old | {"at": old["at"] - 90_000}))
    cli.llm("models", "list")
    assert len(openai.seen) == 3


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"base_url": 3}', "[" * 100_000, '{"models": [{"id": 3}]}'])
def test_a_damaged_cached_list_is_fetched_again(cli: CliRunner, openai: Server, junk: str) -> None:
    first = cli.llm("models").out
    (cli.home / ".cache/llm/models/openai.json").write_text(junk)
    assert cli.llm("models").out == first
    assert len(openai.seen) == 2


@pytest.mark.parametrize(
    "field",
    [
        {"vision": "x"},
        {"chat": 2},
        {"efforts": [1]},
        {"ends": "soon"},
        {"max_output": []},
        {"unknown": 1},
        {"id": None},
    ],
)
def test_a_damaged_row_of_a_cached_list_is_fetched_again(
    cli: CliRunner, openai: Server, field: dict[str, object]
) -> None:
    first = cli.llm("models", "--details").out
    kept = cli.home / ".cache/llm/models/openai.json"
    data = json.loads(kept.read_text())
    data["models"][0] |= field
    kept.write_text(json.dumps(data))
    assert cli.llm("models", "--details").out == first
    assert len(openai.seen) == 2


def test_a_list_from_another_address_does_not_count(cli: CliRunner, openai: Server) -> None:
    cli.llm("models")
    with serving(page({"data": [{"id": "other"}]})) as other:
        assert "openai/other" in cli.llm("models", OPENAI_BASE_URL=other.url).out


def test_an_unresponsive_provider_is_reported_and_the_price_data_listed(cli: CliRunner) -> None:
    ran = cli.llm("models", OPENAI_BASE_URL="http://127.0.0.1:9", OPENAI_API_KEY=KEY, LLM_MAX_RETRIES="0")
    assert "openai/gpt-4o-mini" in ran.out and "openai/ft:" not in ran.out
    assert "nothing answers at 127.0.0.1:9" in ran.err and "price data" in ran.err and ran.code == 0


def test_filter_details_and_json(cli: CliRunner, openai: Server) -> None:
    ran = cli.llm("models", "list", "--filter", "MINI gpt", "--details")
    assert ran.out.split()[:1] == ["openai/gpt-4o-mini"] and "2024-07-16" in ran.out and len(ran.out.splitlines()) == 1
    found = json.loads(cli.llm("models", "list", "--json", "--provider", "openai").out)
    mini = found[0]
    assert (mini["model"], mini["context_window"], mini["price_from"]) == ("openai/gpt-4o-mini", 128000, "dataset")
    assert (mini["input_usd_per_million"], mini["output_usd_per_million"]) == (0.15, 0.6)
    assert found[2]["input_usd_per_million"] is None and found[2]["price_from"] is None, "unknown stays unknown"


def test_what_a_provider_says_of_its_prices_counts_where_no_others_are_known(cli: CliRunner) -> None:
    with serving(page(ROUTER)) as server:
        env = {"OPENROUTER_BASE_URL": server.url, "OPENROUTER_API_KEY": KEY}
        ran = cli.llm("models", "info", "openrouter/some/new-model", **env)
        assert "4,096 tokens" in ran.out and "$2 per million tokens" in ran.out and "the provider's list" in ran.out
        assert "2023-11-14" in ran.out


def test_a_model_that_is_not_there_names_the_nearest(cli: CliRunner, openai: Server) -> None:
    ran = cli.llm("models", "info", "openai/gpt-4o-mni")
    assert ran.code == 2 and "Did you mean 'openai/gpt-4o-mini'?" in ran.err
    ran = cli.llm("models", "info", "own-modle")
    assert ran.code == 2 and "Did you mean 'openai/own-model'?" in ran.err


def test_switching_to_a_model_that_the_list_does_not_have_is_doubted(cli: CliRunner, openai: Server) -> None:
    assert "(but" not in cli.script(":model openai/gpt-4o-mni").err, "no list is kept yet"
    cli.llm("models")
    ran = cli.script(":model openai/gpt-4o-mni", ":model openai/gpt-4o")
    first, second = [line for line in ran.err.splitlines() if "Model:" in line]
    assert "Did you mean 'openai/gpt-4o-mini'?" in first and "(but" not in second and ran.code == 0


def test_tab_knows_the_models_of_a_list_that_was_fetched(cli: CliRunner, openai: Server) -> None:
    cli.llm("models")
    environment = Environment(cli.environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO())
    paths = Paths.find(environment.environ)
    workspace = Workspace(environment, Settings.load(environment.environ, environment.cwd, paths), paths, Signals())
    values = [candidate.value for candidate in models(workspace, "model ", "openai/")]
    assert "openai/own-model" in values and len(values) == len(set(values))
    assert len(openai.seen) == 1


def test_a_server_on_this_machine_is_used_when_there_is_no_key(cli: CliRunner) -> None:
    with serving(page(OLLAMA)) as server:
        cli.environ |= {"OLLAMA_HOST": server.url, "LLM_LOCAL_SERVERS": "on"}
        assert "ollama/llama3.2:1b" in cli.llm("models").out
        assert asked(cli) == "ollama/llama3.2:1b", "a model that cannot talk is passed over"
        assert asked(cli, LLM_MODEL="offline/echo") == "offline/echo"


@pytest.mark.parametrize("data", [{"not": "a list"}, [], None, {"models": []}])
def test_what_is_no_list_of_models_is_no_model_server(cli: CliRunner, data: Any) -> None:
    with serving(page(data)) as server:
        assert asked(cli, OLLAMA_HOST=server.url) == "offline/guide"


def test_a_slow_server_on_this_machine_is_not_waited_for(cli: CliRunner) -> None:
    with serving(page(OLLAMA, seconds=20)) as server:
        began = time.monotonic()
        model = asked(cli, OLLAMA_HOST=server.url)
        assert model == "offline/guide" and time.monotonic() - began < 10


def test_other_machines_are_not_looked_at(cli: CliRunner) -> None:
    model = asked(cli, OLLAMA_HOST="http://192.0.2.1:11434")
    assert model == "offline/guide"


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "[::1", "::1", "http://[", "foo bar", "unix:///x"])
def test_a_misspelt_address_of_a_local_server_is_named_and_costs_nothing_else(
    cli: CliRunner, openai: Server, host: str
) -> None:
    ran = cli.llm("models", OLLAMA_HOST=host, LLM_LOCAL_SERVERS="on")
    assert ran.code == 0 and "openai/own-model" in ran.out and "base_url is not a URL" in ran.err, ran.err
    ran = cli.llm("ask", "-m", "offline/echo", "hi", OLLAMA_HOST=host, LLM_LOCAL_SERVERS="on")
    assert (ran.code, ran.out) == (0, "hi\n")
    ran = cli.llm("ask", "-m", "ollama/m", "hi", OLLAMA_HOST=host, LLM_LOCAL_SERVERS="on")
    assert ran.code == 2 and "base_url is not a URL" in ran.err
    del cli.environ["OPENAI_API_KEY"]
    assert asked(cli, OLLAMA_HOST=host) == "offline/guide"


def test_one_provider_without_a_list_does_not_hide_the_others(cli: CliRunner, openai: Server) -> None:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[providers.down]\nbase_url = "http://127.0.0.1:9/v1"\n')
    ran = cli.llm("models", LLM_MAX_RETRIES="0")
    assert ran.code == 0 and "openai/own-model" in ran.out and "nothing answers at 127.0.0.1:9" in ran.err
