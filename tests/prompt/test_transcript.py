"""The transcript at a true terminal: what stands there while one waits, and what is left of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli_runner import LLM, CliRunner
from tests.scripted_server import ScriptedServer, scripted_server
from tests.terminal import Terminal
from tests.test_journeys import CTRL_C, ENTER

WIDTHS = (40, 80, 120)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@contextmanager
def shell(cli: CliRunner, environ: dict[str, str], *words: str, columns: int = 100) -> Iterator[Terminal]:
    """`llm WORDS` in a terminal of that width, its first prompt there."""
    with Terminal([*LLM, *words], cwd=cli.cwd, environ=cli.environ | environ, columns=columns) as terminal:
        terminal.wait_for("You:")
        yield terminal


def idle(terminal: Terminal, prompts: int) -> str:
    """Wait until the prompt is there for the nth time."""
    return terminal.wait_until(lambda screen: screen.count("You:") == prompts, f"prompt {prompts}")


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_waiting_line_is_replaced_in_place_and_goes_with_the_first_word(
    cli: CliRunner, server: ScriptedServer, columns: int
) -> None:
    server.replies = [[2.6, "hello"]]
    with shell(cli, server.environ, columns=columns) as terminal:
        terminal.send("hi" + ENTER)
        begun = time.monotonic()
        terminal.wait_for("waiting for")
        assert 0.25 < time.monotonic() - begun < 2
        shown = terminal.wait_for(" · 1 s").splitlines()
        hint = " · Ctrl-C stops" if columns >= 80 else ""
        assert [line for line in shown if "waiting" in line] == [f"waiting for openai/gpt-5-mini · 1 s{hint}"]
        screen = idle(terminal, 2).splitlines()
        assert not [line for line in screen if "waiting" in line]
        at = screen.index("You: hi")
        assert screen[at + 1] == "hello", "no empty line is left of it"


def test_a_quick_reply_has_no_waiting_line(cli: CliRunner, server: ScriptedServer) -> None:
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        idle(terminal, 2)
        assert b"waiting" not in terminal.raw


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"ACCESSIBLE": "1"}])
def test_nothing_is_redrawn_for_a_screen_reader(
    cli: CliRunner, server: ScriptedServer, environ: dict[str, str]
) -> None:
    server.replies = [[1.6, "hello"]]
    with shell(cli, server.environ | environ) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("hello")
        between = terminal.raw.partition(b"waiting")[2].partition(b"hello")[0]
        assert between == b" for openai/gpt-5-mini \xc2\xb7 Ctrl-C stops\r\n"


def test_hidden_reasoning_is_counted(cli: CliRunner, server: ScriptedServer) -> None:
    server.replies = [[*[{"reasoning_content": "hmm, let me think. " * 20}] * 10, 1.2, "hello"]]
    with shell(cli, server.environ | {"LLM_REASONING": "hide"}, "chat") as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("thinking · 1,267 tokens · 1 s · Ctrl-C stops")
        screen = idle(terminal, 2)
        assert "hmm" not in screen and "thinking" not in screen


def test_reasoning_ends_with_a_line_end_and_is_not_in_a_pipe_when_hidden(
    cli: CliRunner, server: ScriptedServer
) -> None:
    server.replies = [[{"reasoning_content": "let me think"}, "hello"]]
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        screen = idle(terminal, 2).splitlines()
        assert screen[screen.index("let me think") + 1 :][:2] == ["", "hello"]
    cli.environ |= server.environ
    run = cli.process("ask", "hi")
    assert (run.out, run.err) == ("hello\n", "let me think\n")
    cli.environ["LLM_REASONING"] = "hide"
    run = cli.process("ask", "hi")
    assert (run.out, run.err) == ("hello\n", "")


def test_ctrl_c_before_and_after_the_first_word(cli: CliRunner, server: ScriptedServer) -> None:
    server.replies = [[5.0, "never"], ["first ", 5.0, "never"]]
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("waiting for")
        terminal.send(CTRL_C)
        screen = idle(terminal, 2)
        assert "stopped before a reply came; :retry asks again" in screen
        assert "waiting" not in screen
        terminal.send(":retry" + ENTER)
        terminal.wait_for("first")
        terminal.send(CTRL_C)
        screen = idle(terminal, 3)
        assert screen.count("stopped") == 2
        assert "stopped; the part that came is kept" in screen


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_retry_is_counted_down_on_the_same_line(cli: CliRunner, server: ScriptedServer, columns: int) -> None:
    server.replies = [[429], ["hello"]]
    with shell(cli, server.environ, columns=columns) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("retrying in 1 s")
        screen = idle(terminal, 2)
        assert "retrying" not in screen and "slow down" not in screen
        lines = screen.splitlines()
        assert lines[lines.index("You: hi") + 1] == "hello"
