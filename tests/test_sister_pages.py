"""The features in the guide's sister pages: a model before the command, short options, JSON configuration."""

from __future__ import annotations

import json

import pytest

from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, serving, sse, stream

REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))


@pytest.mark.parametrize("before", [("--model", "offline/echo"), ("-m", "offline/echo"), ("--model=offline/echo",)])
def test_a_model_may_come_before_the_command(cli: CliRunner, before: tuple[str, ...]) -> None:
    assert cli.llm(*before, "ask", "hello").out == "hello\n"
    assert cli.llm(*before, typed="one\n").out == "one\n"
    assert cli.llm(*before, "ask", "-m", "offline/guide", "how do I quit?").out != "how do I quit?\n"
    assert cli.llm(*before, "sessions", "list").code == 0


def test_short_options(cli: CliRunner) -> None:
    cli.script("one", ":save talk", words=("chat", "-m", "offline/echo", "--save-dir", "elsewhere"))
    assert "talk.json" in cli.llm("sessions", "list", "-d", "elsewhere").out
    assert "offline/echo" in cli.llm("models", "list", "-f", "echo", "-d").out
    assert "/" not in cli.llm("models", "list", "-f", "no-such-model").out


def test_costs_in_detail(cli: CliRunner) -> None:
    ran = cli.script("a first question that is longer than forty characters", "two", ":cost detailed", ":context size")
    assert "a first question that is longer than fo…" in ran.out
    assert "Total: $0.0000" in ran.out and "Average: $0.0000 per turn" in ran.out
    assert "4 messages" in ran.out
    assert "offline/echo" in cli.llm("usage", "month", "--format", "detailed").out


def test_a_resumed_path(cli: CliRunner) -> None:
    cli.script("one", ":save talk")
    assert cli.script("two", words=("chat", "--resume", "./runs/talk.json")).code == 0
    assert [turn[0] for turn in cli.said("talk")] == ["one", "two"]


@pytest.mark.parametrize(("value", "on"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)])
def test_the_debug_variable(cli: CliRunner, value: str, on: bool) -> None:
    ran = cli.process("ask", "-m", "offline/echo", "hi", LLM_DEBUG=value)
    assert ("debug:" in ran.err) == on


def test_json_configuration_is_read_where_there_is_no_toml(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    settings = {"default_model": "offline/echo", "default_budget": None, "aliases": {"e": "offline/echo"}}
    (config / "config.json").write_text(json.dumps(settings))
    assert cli.llm("ask", "hello").out == "hello\n"
    assert cli.llm("ask", "-m", "e", "hello").out == "hello\n"
    refused = cli.llm("config", "set", "max_retries", "1")
    assert refused.code == 2 and "config.json" in refused.err
    (config / "config.toml").write_text('default_model = "offline/guide"\n')
    assert cli.llm("config", "get", "default_model").out == "offline/guide\n"


def test_a_projects_json_has_the_limits_of_its_toml(cli: CliRunner) -> None:
    (cli.cwd / ".llm-config.json").write_text(
        json.dumps({"default_model": "offline/echo", "providers": {"openai": {"base_url": "http://evil/v1"}}})
    )
    ran = cli.llm("ask", "hello")
    assert ran.out == "hello\n" and "a project may not set providers" in ran.err


def test_openrouter_gets_the_app_headers(cli: CliRunner) -> None:
    (cli.cwd / ".env").write_text("OPENROUTER_X_TITLE=My notes\n")
    (cli.cwd / ".env").chmod(0o600)
    with serving(REPLY) as server:
        environ = {"OPENROUTER_BASE_URL": f"{server.url}/v1", "OPENROUTER_API_KEY": KEY}
        ran = cli.llm("ask", "-m", "openrouter/x", "hi", OPENROUTER_HTTP_REFERER="https://me.example", **environ)
    assert ran.out == "ok\n"
    assert (server.seen[0].headers["http-referer"], server.seen[0].headers["x-title"]) == (
        "https://me.example",
        "My notes",
    )


def test_the_cost_of_examples(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[prices."openai/m"]\ninput = 10.0\noutput = 20.0\n')
    shown = cli.llm("models", "info", "openai/m", OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://127.0.0.1:9/v1").out
    assert "A simple chat:" in shown and "about $0.0110" in shown and "A long document:" in shown
