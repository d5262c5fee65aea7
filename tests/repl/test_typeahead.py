"""What is typed while a reply streams: as text, without what keys mean elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.repl.typeahead import kept, typed
from tests.newcomer import LLM, Newcomer
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
    assert typed(data) == text


@given(st.binary())
def test_any_bytes_become_harmless_text(data: bytes) -> None:
    text = typed(data)
    assert not any(char < " " and char != "\n" for char in text)
    assert not text.endswith("\n")


@pytest.mark.parametrize(
    ("data", "entered"),
    [(b":model\r", True), (b":model\n", True), (b":model", False), (b"\r", False), (b"one\rtwo\r", False),
     (b"one\rtwo", False), (b'"""\r', False), (b"\x1b[A\r", False)],
)
def test_only_one_whole_line_counts_as_entered(data: bytes, entered: bool) -> None:
    assert kept(data)[1] is entered


def test_enter_is_enter_whenever_it_is_pressed(newcomer: Newcomer) -> None:
    """Each input is typed as soon as what the one before says is seen, so some come before the prompt is there."""
    with shell(newcomer) as terminal:
        for number in range(30):
            terminal.send(f":save s{number}\r")
            terminal.wait_for(f"saved to ./runs/s{number}.json")
        assert "\n:save" not in terminal.text


def test_what_is_entered_before_the_program_is_there_is_run(newcomer: Newcomer) -> None:
    with Terminal(LLM, cwd=newcomer.cwd, environ=newcomer.environ) as terminal:
        terminal.send(":save early\r")
        terminal.wait_for("saved to ./runs/early.json")


def test_the_terminal_is_left_as_it_was(newcomer: Newcomer) -> None:
    with Terminal(["sh", "-c", f"{' '.join(LLM)}; stty -a"], cwd=newcomer.cwd, environ=newcomer.environ) as terminal:
        terminal.wait_for("You:")
        terminal.send(":exit\r")
        terminal.ends()
        for mode in ("icrnl", "icanon", "echo", "-noflsh"):
            assert mode in terminal.text.split(), mode
