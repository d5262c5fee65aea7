"""Keys typed while a reply streams become text, without their other meanings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.prompt.typeahead import decode_keys, take_first
from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal
from tests.test_journeys import shell


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"next question", "next question"),
        (b"one\rtwo", "one\ntwo"),
        (b"never sent\r", "never sent"),
        (b"mistkae\x7f\x7f\x7fake", "mistake"),
        (b"gone\x15kept", "kept"),
        (b"first\rgone\x15kept", "first\nkept"),
        (b"a\x1b[Ab\x1bOPc\x1b[1;5Cd", "abcd"),
        ("日本語 🙂".encode(), "日本語 🙂"),
        (b"caf\xc3", "caf"),
        (b"\x7f\x7fa", "a"),
        (b"\x00\x01\x07a", "a"),
    ],
)
def test_typed(data: bytes, text: str) -> None:
    assert decode_keys(data) == text


@given(st.binary())
def test_any_bytes_become_harmless_text(data: bytes) -> None:
    text = decode_keys(data)
    assert not any(char < " " and char != "\n" for char in text)
    assert not text.endswith("\n")


@pytest.mark.parametrize(
    ("data", "draft", "entered", "rest"),
    [
        (b":model\r", ":model", True, b""),
        (b":model\n", ":model", True, b""),
        (b":model", ":model", False, b""),
        (b"one\r", "one", True, b""),
        (b"\r", "", False, b""),
        (b"one\rtwo\r", "one\ntwo", False, b""),
        (b"one\rtwo", "one\ntwo", False, b""),
        (b"one\r:exit\r", "one\n:exit", False, b""),
        (b'"""\r', '"""', False, b""),
        (b"\x1b[A\r", "", False, b""),
        (b":save a\r:sho", ":save a", True, b":sho"),
        (b":save a\r\n:exit\r", ":save a", True, b":exit\r"),
        (b"\r\r:save a\rone\r", ":save a", True, b"one\r"),
        (b"\x04", ":exit", True, b""),
        (b":save a\r\x04", ":save a", True, b"\x04"),
        (b"a\x04", "a", False, b""),
        (b"\x1b[200~:exit\r\x1b[201~", ":exit", False, b""),
        (b"\x1b[200~:exit\x1b[201~\r", ":exit", False, b""),
        (b"", "", False, b""),
    ],
)
def test_commands_are_entered_one_by_one_and_what_may_be_pasted_is_a_draft(
    data: bytes, draft: str, entered: bool, rest: bytes
) -> None:
    assert take_first(data) == (draft, entered, rest)


@given(st.text(":ab \r\n", max_size=20))
def test_nothing_that_was_typed_is_lost(keys: str) -> None:
    rest, shown = keys.encode(), ""
    while rest:
        draft, _, rest = take_first(rest)
        shown += draft
    assert "".join(shown.split()) == "".join(keys.split())


def test_enter_is_enter_whenever_it_is_pressed(cli: CliRunner) -> None:
    """Each input is typed as soon as the result of the last one shows, so some arrive before the prompt."""
    with shell(cli) as terminal:
        for number in range(30):
            terminal.send(f":save s{number}\r")
            terminal.wait_for(f"saved to ./runs/s{number}.json")
        assert "\n:save" not in terminal.text


def test_what_is_entered_before_the_program_is_there_is_run(cli: CliRunner) -> None:
    with Terminal(LLM, cwd=cli.cwd, environ=cli.environ) as terminal:
        terminal.send(":save early\r")
        terminal.wait_for("saved to ./runs/early.json")


def test_commands_entered_before_there_is_a_prompt_are_run_in_their_order(cli: CliRunner) -> None:
    with Terminal(LLM, cwd=cli.cwd, environ=cli.environ) as terminal:
        terminal.send(":save early\r:model offline/echo\r:system Be brief.\r:exit\r")
        assert terminal.ends() == 0
        assert terminal.text.index("./runs/early.json") < terminal.text.index("You: :system Be brief.")


def test_the_terminal_is_left_as_it_was(cli: CliRunner) -> None:
    with Terminal(["sh", "-c", f"{' '.join(LLM)}; stty -a"], cwd=cli.cwd, environ=cli.environ) as terminal:
        terminal.wait_for("You:")
        terminal.send(":exit\r")
        terminal.ends()
        for mode in ("icrnl", "icanon", "echo", "-noflsh"):
            assert mode in terminal.text.split(), mode


def test_a_command_of_the_system_has_the_terminal(cli: CliRunner) -> None:
    with shell(cli) as terminal:
        terminal.send("!echo ready-$((1 + 1)) && read word && test -t 0 && test -t 1 && echo got-$word\r")
        terminal.wait_for("ready-2")
        terminal.send("some-thing\r")
        terminal.wait_for("got-some-thing")
        terminal.send("!exit 3\r")
        terminal.wait_for("exit code 3")
