"""More sessions at a real terminal: a day's work, long pastes, vi keys, the picker, resizing and closing."""

from __future__ import annotations

import signal

import pytest

from tests.cli_runner import LLM, CliRunner
from tests.providers.loopback import KEY, serving, sse, status, stream
from tests.terminal import Terminal
from tests.test_journeys import CTRL_C, CTRL_D, ENTER, SlowServer, only_turn, shell, slow

__all__ = ["slow"]

ESCAPE, PASTE, PASTED = "\x1b", "\x1b[200~", "\x1b[201~"


def prompts(terminal: Terminal, number: int) -> str:
    """Wait for the prompt to appear for the `number`-th time; return the screen."""
    return terminal.wait_until(lambda screen: screen.count("You:") >= number, f"prompt {number}")


def test_a_day_of_work(cli: CliRunner) -> None:
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        lines = {
            "the falcon question": "\nthe falcon question\n",
            ":save birds": "💾 Session saved to ./runs/birds.json",
            "and the heron": "\nand the heron\n",
            ":sessions search falcon": "birds.json",
            ":new": "a fresh session begins; birds.json is saved",
            ":load birds": "Resuming session: birds.json",
            ":fork other_birds --at 1": "other_birds.json",
            "in the branch": "\nin the branch\n",
            ":export md": "in the branch",
        }
        for number, (line, seen) in enumerate(lines.items(), 1):
            prompts(terminal, number)
            terminal.send(line + ENTER)
            terminal.wait_for(seen)
        prompts(terminal, len(lines) + 1)
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("birds")] == ["the falcon question", "and the heron"]
    assert [question for question, _ in cli.said("other_birds")] == ["the falcon question", "in the branch"]


def test_a_reply_that_was_stopped_is_asked_for_again(cli: CliRunner, slow: SlowServer) -> None:
    with shell(cli, "chat", "-m", "openai/slow", "--name", "talk", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word3")
        terminal.send(CTRL_C)
        prompts(terminal, 2)
        terminal.send(":retry openai/20-words" + ENTER)
        terminal.wait_for("word19")
        prompts(terminal, 3)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    stopped, whole = cli.session("talk")["turns"]
    assert (stopped["finish_reason"], stopped["messages"][0]["content"]) == ("interrupted", "go on")
    assert whole["messages"][0]["content"] == "go on"
    assert whole["messages"][1]["content"].split()[-1] == "word19"


def test_a_long_paste_is_one_input_and_waits_for_enter(cli: CliRunner) -> None:
    text = "\n".join(f"line {number} of it" for number in range(200))
    with shell(cli, "chat", "-m", "offline/echo", "--name", "talk") as terminal:
        terminal.send(f"{PASTE}{text}{PASTED}")
        terminal.wait_for("line 199 of it")
        assert cli.files("runs") == [] or cli.said("talk") == []
        terminal.send("!" + ENTER)
        terminal.wait_until(lambda screen: screen.count("line 199 of it!") >= 2)
        terminal.wait_for("talk · 1 turn")  # below the next prompt
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("talk")] == [text + "!"]


def test_vi_keys(cli: CliRunner) -> None:
    with shell(cli, "chat", "-m", "offline/echo", "--name", "talk") as terminal:
        terminal.send(":set keys vi" + ENTER)
        prompts(terminal, 2)
        terminal.send("one twx three")
        terminal.wait_for("You: one twx three")
        terminal.send(ESCAPE + "0wero" + "A!" + ENTER)
        terminal.wait_until(lambda screen: screen.count("one two three!") >= 2)
        prompts(terminal, 3)
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("talk")] == ["one two three!"]


def test_the_picker(cli: CliRunner) -> None:
    for name in ("apples", "pears", "plums"):
        cli.script(f"about {name}", words=("chat", "-m", "offline/echo", "--name", name))
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        terminal.send(":load" + ENTER)
        terminal.wait_for("Search:", "apples", "pears", "plums")
        terminal.send("plu")
        terminal.wait_until(lambda screen: "Search: plu" in screen and "> plums" in screen and "pears" not in screen)
        terminal.send(ENTER)
        terminal.wait_for("Resuming session: plums.json")
        prompts(terminal, 2)
        terminal.send(":load" + ENTER)
        terminal.wait_for("Search:", "apples")
        terminal.send(ESCAPE)
        terminal.wait_until(lambda screen: "Search:" not in screen)
        terminal.send("still plums" + ENTER)
        terminal.wait_until(lambda screen: screen.count("still plums") >= 2)
        prompts(terminal, 4)
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("plums")] == ["about plums", "still plums"]


def test_a_model_is_picked_with_its_window_and_prices(cli: CliRunner) -> None:
    rows = [
        {"id": "zeta-9", "context_length": 200_000, "pricing": {"prompt": "0.000001", "completion": "0.000002"}},
        {"id": "zeta-8", "lifecycle": "retired"},
        {"id": "zeta-embed"},
    ]
    with serving(status(200, {"data": rows})) as server:
        environ = {"TOGETHER_BASE_URL": f"{server.url}/v1", "TOGETHER_API_KEY": KEY}
        cli.llm("models", **environ)
        with shell(cli, LLM_MODEL="offline/echo", **environ) as terminal:
            terminal.send(":model" + ENTER)
            terminal.wait_for("> offline/echo", "together/zeta-9  200,000 tokens  $1  $2 per million")
            assert "zeta-8" not in terminal.text and "embed" not in terminal.text
            terminal.send("zeta")
            terminal.wait_for("> together/zeta-9")
            terminal.send(ENTER)
            terminal.wait_for("Model: together/zeta-9")


@pytest.mark.parametrize("rows", [3, 8, 14])
def test_the_picker_fits_a_low_window(cli: CliRunner, rows: int) -> None:
    for name in ("apples", "pears"):
        cli.script(f"about {name}", words=("chat", "-m", "offline/echo", "--name", name))
    argv = [*LLM, "chat", "-r"]
    with Terminal(argv, cwd=cli.cwd, environ=cli.environ, rows=rows) as terminal:
        terminal.wait_for("Search:", "> pears")
        terminal.send("app")
        terminal.wait_for("> apples")
        terminal.send(ENTER)
        terminal.wait_for("Resuming session: apples.json")


def test_a_window_closed_in_mid_reply_and_the_next_start(cli: CliRunner, slow: SlowServer) -> None:
    with shell(cli, "chat", "-m", "openai/slow", "--name", "talk", **slow.environ) as terminal:
        terminal.send("go on" + ENTER)
        terminal.wait_for("word3")
        terminal.close()
        assert terminal.ends() == -signal.SIGHUP
    assert only_turn(cli)[2] == "interrupted"
    with shell(cli, "chat", "-r", "talk", "-m", "openai/20-words", **slow.environ) as terminal:
        terminal.wait_for("[Previous conversation context is loaded]")
        terminal.send("again" + ENTER)
        terminal.wait_for("word19")
        prompts(terminal, 2)
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
    assert [question for question, _ in cli.said("talk")] == ["go on", "again"]


def test_a_window_that_changes_its_size_in_mid_table(cli: CliRunner, slow: SlowServer) -> None:
    with shell(cli, "chat", "-m", "openai/20-rows", "--name", "talk", **slow.environ) as terminal:
        terminal.send("a table" + ENTER)
        terminal.wait_for("You: a table")
        terminal.read(0.15)
        terminal.resize(24, 40)
        terminal.read(0.15)
        terminal.resize(40, 120)
        prompts(terminal, 2)
        terminal.wait_for(*(f"end{number}" for number in range(20)))
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
        assert b"Traceback" not in terminal.raw
    question, answer, reason = only_turn(cli)
    assert (question, answer.count("\n"), reason) == ("a table", 22, "stop")


def test_the_figures_say_what_a_reply_cost_what_is_left_and_how_full_the_context_is(cli: CliRunner) -> None:
    counts = {"prompt_tokens": 31_990, "completion_tokens": 10, "total_tokens": 32_000}
    hello = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    with serving(stream(sse(hello, {"choices": [], "usage": counts}, "[DONE]"))) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        with shell(cli, "chat", "-m", "openai/gpt-4o-mini", "-b", "0.50", **environ) as terminal:
            terminal.send("hi" + ENTER)
            screen = terminal.wait_for("1 turn")
            terminal.send(CTRL_D)
            assert terminal.ends() == 0
    assert "31,990→10 (32,000 tokens)" in screen
    assert "$0.0048 · $0.4952 left" in screen
    assert "1 turn · 25% of context · $0.0048 of $0.50" in screen


def test_help_fits_on_one_screen_and_a_long_sentence_breaks_between_words(cli: CliRunner) -> None:
    with shell(cli, LLM_MODEL="offline/echo") as terminal:
        terminal.resize(24, 80)
        terminal.send(":help" + ENTER)
        prompts(terminal, 2)
        on_screen = "\n".join(terminal.screen)
        assert "You: :help\nType a question, or a command." in on_screen, "its first line has not scrolled away"
        assert ":help all lists the rest." in on_screen
        terminal.send(":model foo/bar" + ENTER)
        terminal.wait_for("There is no provider 'foo'.", ":keys list")
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
