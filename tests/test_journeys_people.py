"""Three people at a real terminal: a new user, one used to vim and Claude Code, one who listens to a screen reader.

A server counts what they pay for: nothing but the prompts that they meant to send.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, serving, sse, stream
from tests.test_journeys import CTRL_D, ENTER, shell
from tests.test_journeys_more import prompts

ESCAPE = "\x1b"
REPLY = stream(
    sse(
        {"choices": [{"delta": {"content": "The answer is **42**."}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18}},
        "[DONE]",
    )
)


def answer(request: BaseHTTPRequestHandler) -> None:
    """List one model, and reply to each prompt."""
    if request.command == "GET":
        body = b'{"object": "list", "data": [{"id": "gpt-4o-mini", "object": "model", "created": 1721172741}]}'
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        return
    REPLY(request)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(answer) as running:
        yield running


def paid(server: Server) -> list[str]:
    """The last prompt of each request that costs money."""
    return [seen.body["input"][-1]["content"][0]["text"] for seen in server.seen if seen.method == "POST"]


def test_a_new_user(cli: CliRunner, server: Server) -> None:
    with shell(cli, OPENAI_BASE_URL=server.url) as terminal:
        steps = {
            "what is this": "is a shell for language models",
            "help": "error: 'help' alone is not sent.",
            ":help": ":help COMMAND explains one",
            "how do I set an API key?": "asks for the key unseen",
            ":undo x": "error: ':undo' takes a number of turns, such as ':undo 2'.",
            ":keys set": "error: Which provider?",
        }
        for number, (typed, seen) in enumerate(steps.items(), 2):
            terminal.send(typed + ENTER)
            terminal.wait_for(seen)
            prompts(terminal, number)
        assert paid(server) == []
        terminal.send(":keys set openai" + ENTER)
        terminal.wait_for("Key for openai:")
        terminal.send(KEY + ENTER)
        terminal.wait_for("Key saved. Switch to openai/gpt-4o-mini now? [Y/n]")
        terminal.send(ENTER)
        terminal.wait_for("🤖 Model: openai/gpt-4o-mini")
        prompts(terminal, 8)
        terminal.send("what is six times seven?" + ENTER)
        terminal.wait_for("The answer is 42.", "12→6 (18 tokens)")
        prompts(terminal, 9)
        terminal.send(":save my first chat" + ENTER)
        terminal.wait_for("error: A name with spaces needs quotes: :save 'my first chat'")
        prompts(terminal, 10)
        terminal.send(":save 'my first chat'" + ENTER)
        terminal.wait_for("💾 Session saved to ./runs/my first chat.json")
        prompts(terminal, 11)
        terminal.send("exit" + ENTER)
        assert terminal.ends() == 0
    assert paid(server) == ["what is six times seven?"]
    ran = cli.llm("what is six times seven")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2,
        "error: Unknown command 'what is six times seven'. To ask one question: llm ask \"what is six times seven\"",
    )


def test_one_who_lives_in_vim_and_claude_code(cli: CliRunner, server: Server) -> None:
    editor = cli.home / "editor"
    editor.write_text("#!/bin/sh\nprintf ' and explain why' >> \"$1\"\n")
    editor.chmod(0o755)
    environ = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY, "LLM_MODEL": "openai/gpt-4o-mini"}
    with shell(cli, VISUAL=str(editor), **environ) as terminal:
        steps = {
            "/help": "error: '/help' is not a command here.",
            "/model opus": "Use ':model'.",
            "/clear": "Use ':reset'.",
            "/memory": "Use ':system'.",
            "/mcp": "and there is nothing like it.",
            "/resume": "Use ':load'.",
            "q": "error: 'q' alone is not sent.",
            ":set keys vi": "keys = vi",
            "!echo from the system": "from the system",
        }
        for number, (typed, seen) in enumerate(steps.items(), 2):
            terminal.send(typed + ENTER)
            terminal.wait_for(seen)
            prompts(terminal, number)
        assert paid(server) == []
        terminal.send("fix the loop")
        terminal.wait_for("You: fix the loop")
        terminal.send(ESCAPE)
        terminal.read(0.3)
        terminal.send("v")
        terminal.wait_for("You: fix the loop and explain why")
        assert paid(server) == [], "the editor only fills the line"
        terminal.send("0x" + ENTER)
        terminal.wait_for("The answer is 42.")
        prompts(terminal, 11)
        terminal.send(":w loops" + ENTER)
        terminal.wait_for("💾 Session saved to ./runs/loops.json")
        prompts(terminal, 12)
        terminal.send(":ls" + ENTER)
        terminal.wait_for("Sessions (1 found)")
        prompts(terminal, 13)
        terminal.send(":wq" + ENTER)
        assert terminal.ends() == 0
    assert paid(server) == ["ix the loop and explain why"]


def test_one_who_listens_to_a_screen_reader(cli: CliRunner, server: Server) -> None:
    environ = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY, "LLM_MODEL": "openai/gpt-4o-mini"}
    with shell(cli, ACCESSIBLE="1", **environ) as terminal:
        terminal.send("what is six times seven?" + ENTER)
        terminal.wait_for("The answer is", "42", "12→6 (18 tokens)")
        prompts(terminal, 2)
        terminal.send(":save first" + ENTER)
        prompts(terminal, 3)
        terminal.send(":new" + ENTER)
        prompts(terminal, 4)
        before = len(terminal.raw)
        terminal.send(":sessions list" + ENTER)
        terminal.wait_for("first.json ")
        prompts(terminal, 5)
        assert not set(terminal.raw[before:].decode()) & set("┏━┃╇│└┘"), "no lines are drawn"
        terminal.send(":load" + ENTER)
        terminal.wait_for("1. first", "Number, or Enter to cancel:")
        terminal.send("1" + ENTER)
        terminal.wait_for("🔄 Resuming session: first.json")
        prompts(terminal, 6)
        terminal.send(":help keys" + ENTER)
        terminal.wait_for("Keys at the prompt")
        prompts(terminal, 7)
        terminal.send(":model" + ENTER)
        terminal.wait_for("1. openai/gpt-4o-mini", "Number, or Enter to cancel:")
        terminal.send(ENTER)
        prompts(terminal, 8)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    assert paid(server) == ["what is six times seven?"]


def test_alt_p_picks_a_model_and_the_draft_stays(cli: CliRunner, server: Server) -> None:
    environ = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY, "LLM_MODEL": "offline/echo"}
    assert cli.llm("models", "list", **environ).code == 0, "the list is cached"
    with shell(cli, **environ) as terminal:
        terminal.send("half a thought")
        terminal.wait_for("You: half a thought")
        terminal.send(f"{ESCAPE}p")
        terminal.wait_for("Search:", "gpt-4o-mini")
        terminal.send("4o-mini")
        terminal.wait_for("> openai/gpt-4o-mini")
        terminal.read(0.2)
        terminal.send(ENTER)
        terminal.wait_for("🤖 Model: openai/gpt-4o-mini")
        terminal.wait_until(lambda screen: screen.count("half a thought") == 1, "the draft once")
        terminal.send(" and the rest" + ENTER)
        terminal.wait_for("The answer is 42.")
        prompts(terminal, 2)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    assert paid(server) == ["half a thought and the rest"]
