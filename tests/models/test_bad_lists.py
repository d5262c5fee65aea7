"""Servers that list nothing, too much or nonsense, and fallbacks that fail too."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmrepl.chat.available import models_to_pick
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.value_sources import models
from llmrepl.config.settings import Settings
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Answer, serving, sse, status, stream

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}], "usage": USAGE}, "[DONE]"))


@pytest.fixture
def configure(cli: CliRunner) -> Callable[[str, str], None]:
    """Set the address of a provider that the price data does not know."""

    def write(url: str, text: str = "") -> None:
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config.toml").write_text(f'{text}\n[providers.nvidia]\nbase_url = "{url}/v1"\n')
        cli.environ |= {"NVIDIA_API_KEY": KEY, "LLM_MAX_RETRIES": "0"}

    return write


@pytest.mark.parametrize("page", [{"data": []}, {"data": None}, {}, [], "text", {"data": [{"id": ""}, 3]}])
def test_a_provider_that_lists_nothing_has_no_default_but_takes_a_named_model(
    cli: CliRunner, configure: Callable[[str, str], None], page: object
) -> None:
    with serving(status(200, json.dumps(page)), REPLY) as server:
        configure(server.url, "")
        ran = cli.llm("chat", typed="hi\n")
        assert (ran.code, ran.out) == (2, "") and "nvidia lists no model to chat with" in ran.err, ran.err
        assert ":model nvidia/NAME" in ran.err and len(server.seen) == 1, "nothing was sent"
        assert cli.llm("ask", "-m", "nvidia/mine", "hi").out == "ok\n"


def test_a_list_that_cannot_be_had_is_the_error_when_no_model_is_known(
    cli: CliRunner, configure: Callable[[str, str], None]
) -> None:
    with serving(status(503)) as server:
        configure(server.url, "")
        ran = cli.llm("chat", typed="hi\n")
    assert ran.code == 1 and ran.out == "" and "nvidia is not available (503)" in ran.err


def test_thousands_of_models_are_listed_offered_and_chosen_from(
    cli: CliRunner, configure: Callable[[str, str], None]
) -> None:
    rows = [
        {"id": f"maker{number % 50}/model-{number}-mini", "created": 1700000000 + number} for number in range(10_000)
    ]
    with serving(status(200, {"data": rows}), REPLY) as server:
        configure(server.url, "")
        began = time.process_time()
        assert len(cli.llm("models", "list", "--provider", "nvidia").out.splitlines()) == len(rows)
        assert time.process_time() - began < 10, "no price is written to the cache"
        assert cli.llm("chat", typed="hi\n").out == "ok\n"
        environment = Environment(cli.environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO())
        paths = Paths.find(environment.environ)
        workspace = Workspace(environment, Settings.load(environment.environ, environment.cwd, paths), paths, Signals())
        models(workspace, "model ", "nvidia/")
        again = time.process_time()
        assert len(list(models(workspace, "model ", "nvidia/maker1/"))) >= len(rows)
        assert time.process_time() - again < 1.0, "the list is read once"
        assert len(models_to_pick(workspace)) >= len(rows)
    assert len(server.seen) == 2


@pytest.mark.parametrize("window", [0, -5, 1, "128k", 1e30, True, [], 10**18, None])
def test_a_window_that_makes_no_sense_stops_nobody(
    cli: CliRunner, configure: Callable[[str, str], None], window: object
) -> None:
    row = {"id": "m", "context_length": window, "top_provider": {"max_completion_tokens": window}}
    row["pricing"] = {"prompt": "0.000001", "completion": "0.000002"}
    with serving(status(200, {"data": [row]}), REPLY) as server:
        configure(server.url, "")
        listed = json.loads(cli.llm("models", "list", "--provider", "nvidia", "--json").out)
        assert listed[0]["context_window"] in (None, 1)
        ran = cli.llm("chat", "-m", "nvidia/m", "-b", "1", typed="hi\n:context\n")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "ok"), ran.err
    assert "Traceback" not in ran.err
    assert server.seen[-1].body.get("max_tokens", 9999) > 16


def failing(code: int) -> Answer:
    return status(code, {"error": {"message": "down"}})


@pytest.mark.parametrize(
    ("second", "said"),
    [(failing(503), "down"), (failing(401), "rejected the API key"), (failing(404), "has no model")],
)
def test_a_fallback_that_fails_too_ends_in_its_own_error(
    cli: CliRunner, configure: Callable[[str, str], None], second: Answer, said: str
) -> None:
    with serving(failing(500), second) as server:
        configure(server.url, 'fallback = ["nvidia/second"]')
        ran = cli.llm("ask", "-m", "nvidia/first", "--json", "hi")
    events: list[dict[str, Any]] = ran.events
    assert ran.code == 1 and said in events[-1]["error"]["message"]
    assert [seen.body["model"] for seen in server.seen] == ["first", "second"]


def test_a_fallback_that_breaks_off_keeps_what_came(cli: CliRunner, configure: Callable[[str, str], None]) -> None:
    part = stream(sse({"choices": [{"delta": {"content": "half"}}]}), sse({"error": {"message": "boom"}}))
    with serving(failing(500), part) as server:
        configure(server.url, 'fallback = ["nvidia/second", "offline/echo"]')
        ran = cli.llm("chat", "-m", "nvidia/first", "--name", "talk", typed="hi\n")
    assert ran.code == 1 and ran.out == "half\n" and "boom" in ran.err
    assert [turn["answered_by"] for turn in cli.session("talk")["turns"]] == ["nvidia/second"]
    assert len(server.seen) == 2
