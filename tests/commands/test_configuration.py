"""What a change of the configuration or of a key does to the running shell."""

from __future__ import annotations

import pytest

from tests.cli_runner import LLM, CliRunner
from tests.providers.loopback import KEY, serving, status
from tests.terminal import Terminal

CHAT = ("chat", "--allow-shell")


def test_a_new_default_model_is_used_at_once(cli: CliRunner) -> None:
    ran = cli.script(":config set default_model offline/echo", ":config get default_model", "hello", words=CHAT)
    assert ran.code == 0, ran.err
    assert ran.out == "offline/echo\nhello\n"
    assert "🤖 Model: offline/echo" in ran.err


def test_a_conversation_stays_with_its_model_and_says_so(cli: CliRunner) -> None:
    ran = cli.script(
        "hello", ":config set default_model offline/guide", ":model", words=(*CHAT, "-m", "offline/echo", "--name", "t")
    )
    assert ran.out == "hello\noffline/echo\n"
    assert "This conversation stays with offline/echo.\n':model offline/guide' switches it.\n" in ran.err


def test_a_value_that_something_overrides_says_what(cli: CliRunner) -> None:
    ran = cli.script(
        ":config set default_model offline/guide", ":config get default_model", words=CHAT, LLM_MODEL="offline/echo"
    )
    assert ran.out == "offline/echo\n"
    assert "But LLM_MODEL comes first: default_model is offline/echo." in ran.err


def test_config_get_says_what_config_set_has_written(cli: CliRunner) -> None:
    for key, value in (("temperature", "0.5"), ("daily_budget", "2.0"), ("aliases.fast", "offline/echo")):
        ran = cli.script(f":config set {key} {value}", f":config get {key}", words=(*CHAT, "-m", "offline/echo"))
        assert (ran.code, ran.out) == (0, f"{value}\n"), ran.err
    ran = cli.script(
        ":set temperature 0.1", ":config set temperature 0.7", ":set temperature", words=(*CHAT, "-m", "offline/echo")
    )
    assert ran.out == "0.7\n"


def test_a_setting_that_was_read_at_the_start_says_when_it_counts(cli: CliRunner) -> None:
    ran = cli.script(":config set default_budget 2", words=(*CHAT, "-m", "offline/echo"))
    assert "Sessions that start from now on use it; ':budget' changes this one." in ran.err


@pytest.mark.parametrize(("answer", "model"), [("", "openai/"), ("n", "offline/guide")])
def test_a_saved_key_offers_its_model(cli: CliRunner, answer: str, model: str) -> None:
    with serving(status(401, {})) as server:
        environ = cli.environ | {"OPENAI_BASE_URL": server.url}
        with Terminal([*LLM], cwd=cli.cwd, environ=environ) as terminal:
            terminal.wait_for("You:")
            terminal.send(":keys set openai\r")
            terminal.wait_for("Key for openai:")
            terminal.send(f"{KEY}\r")
            terminal.wait_for("Key saved. Switch to openai/", "now? [Y/n]", seconds=10)
            terminal.send(f"{answer}\r")
            terminal.wait_for(f"🤖 Model: {model}")
            terminal.wait_until(lambda screen: screen.splitlines()[-1].strip().startswith(model), "the bottom line")


def test_a_key_that_a_variable_overrides_says_so(cli: CliRunner) -> None:
    ran = cli.llm("keys", "set", "openai", typed="sk-other", OPENAI_API_KEY=KEY)
    assert ran.code == 0
    assert ran.err.endswith("But OPENAI_API_KEY comes first.\n")
    assert cli.llm("keys", "set", "openai", typed=KEY).err.startswith("Saved the key for openai in ")


def test_a_rejected_key_is_replaced_where_it_came_from(cli: CliRunner) -> None:
    with serving(status(401, {}), status(401, {})) as server:
        environ = {"OPENAI_BASE_URL": server.url}
        ran = cli.llm("ask", "-m", "openai/x", "hello", **environ, OPENAI_API_KEY=KEY)
        assert "Change OPENAI_API_KEY, which counts before a saved key" in ran.err
        assert "keys set" not in ran.err
        cli.llm("keys", "set", "openai", typed=KEY)
        assert "llm keys set openai replaces it" in cli.llm("ask", "-m", "openai/x", "hello", **environ).err


@pytest.mark.parametrize("words", [("ask", "hello"), ("chat",)])
def test_the_guide_answers_nobody_but_a_user_at_the_prompt(cli: CliRunner, words: tuple[str, ...]) -> None:
    ran = cli.llm(*words, typed="how do I quit?\n")
    assert (ran.code, ran.out) == (2, "")
    where = "llm" if words[0] == "ask" else ":"
    said = f"error: No model is set. {where}{' ' if where == 'llm' else ''}keys set openrouter saves an API key, "
    assert ran.err == f"{said}-m or LLM_MODEL names a model\n"
    assert cli.files() == []


def test_the_guide_answers_a_script_that_names_it(cli: CliRunner) -> None:
    assert cli.llm("ask", "-m", "offline/guide", "how do I quit?").code == 0
    assert cli.llm("ask", "how do I quit?", LLM_MODEL="offline/guide").code == 0


def test_commands_are_named_as_they_are_typed(cli: CliRunner) -> None:
    assert ":keys list shows" in cli.script(":model nope/x").err
    assert "llm keys list shows" in cli.llm("models", "info", "nope/x").err
