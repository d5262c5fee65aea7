"""The prompt that is drawn while the program is loading: what is typed into it is neither lost nor doubled."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrepl.system import early_prompt
from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal

ENTER, CTRL_C, CTRL_D = "\r", "\x03", "\x04"
READY = " · new session"  # the bottom line, which only the loaded program draws


def start(cli: CliRunner, columns: int = 80, environ: dict[str, str] | None = None) -> Terminal:
    return Terminal(LLM, cwd=cli.cwd, environ=cli.environ | (environ or {}), columns=columns)


@pytest.fixture
def known(cli: CliRunner) -> CliRunner:
    """A directory in which the prompt was once, at 40, 80 and 120 columns the last of which is kept."""
    remember(cli)
    return cli


def remember(cli: CliRunner, columns: int = 80) -> None:
    kept = cli.home / ".cache" / "llm" / early_prompt.NAME
    kept.unlink(missing_ok=True)
    with start(cli, columns) as terminal:
        terminal.wait_for("You:")
        end = time.monotonic() + 4
        while not kept.exists():
            assert time.monotonic() < end
            terminal.read(0.05)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0


def drawn_early(terminal: Terminal) -> bool:
    """Whether there was a prompt before prompt_toolkit wrote anything."""
    return b"You:" in terminal.raw.partition(b"\x1b[?12l")[0]


def early(terminal: Terminal) -> None:
    """Wait for the early prompt only: the program that draws the bottom line is not there yet."""
    end = time.monotonic() + 4
    while "You:" not in terminal.text:
        assert time.monotonic() < end
        terminal.read(0.001)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_what_is_typed_is_echoed_at_once_and_taken_over_in_place(cli: CliRunner, columns: int) -> None:
    remember(cli, columns)
    with start(cli, columns) as terminal:
        early(terminal)
        assert drawn_early(terminal)
        terminal.send("h日é🙂x\x7f!")
        terminal.wait_for("You: h日é🙂!", seconds=0.5)
        before = terminal.text
        assert READY not in before
        terminal.wait_for(READY)
        assert terminal.text.startswith(before), "nothing moved"
        terminal.send(" end" + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        assert terminal.text.count("h日é🙂! end") == 1
        assert terminal.raw.count(b"Starting chat") == 1


KEYS = {
    "arrows are held back": ("x\x1b[Dy", "You: yx"),
    "a word is deleted": ("one two\x17three", "You: one three"),
    "Ctrl-C clears the line": ("gone\x03kept", "You: kept"),
    "Tab completes": (":hist\t", "You: :history"),
    "a paste": ("\x1b[200~one\rtwo\x1b[201~", "You: one\n     two"),
    "a line that is too long for the screen": ("wide " * 20, "You: " + ("wide " * 20).strip()[:60]),
    "Enter": (":system\r", "there is no system prompt"),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_need_an_editor_wait_for_it(known: CliRunner, case: str) -> None:
    keys, shown = KEYS[case]
    with start(known) as terminal:
        early(terminal)
        terminal.send(keys)
        terminal.wait_for(READY, shown)
        assert terminal.text.count("Starting chat") == 1


def test_ctrl_d_leaves(known: CliRunner) -> None:
    with start(known) as terminal:
        early(terminal)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
        assert "exit" not in terminal.text


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.text("ab é日🙂\x7f", min_size=1, max_size=4), st.sampled_from([0, 5, 20, 60])), max_size=6)
)
def test_no_key_is_lost_or_doubled_whenever_it_comes(known: CliRunner, typed: list[tuple[str, int]]) -> None:
    expected = ""
    with start(known) as terminal:
        early(terminal)
        for text, pause in typed:
            terminal.send(text)
            terminal.read(pause / 1000)
            for character in text:
                expected = expected[:-1] if character == "\x7f" else expected + character
        terminal.wait_for(READY)
        terminal.send("." + ENTER)
        terminal.wait_until(lambda screen: screen.count("You:") == 2)
        terminal.send(CTRL_D)
        assert terminal.ends() == 0
    [name] = known.files("runs")
    assert known.said(name.removesuffix(".json"))[0][0].strip() == f"{expected}.".strip()
    (known.runs / name).unlink()


def test_another_banner_replaces_the_one_that_was_drawn(known: CliRunner) -> None:
    (known.home / ".config" / "llm").mkdir(parents=True, exist_ok=True)
    (known.home / ".config" / "llm" / "config.toml").write_text('default_model = "offline/echo"\ndefault_budget = 1\n')
    with start(known) as terminal:
        early(terminal)
        terminal.send("kept")
        terminal.wait_for("Starting chat with offline/echo", "Budget: $1.0", READY, "You: kept")
        assert "offline/guide" not in terminal.text and terminal.text.count("You:") == 1


def test_an_end_before_the_prompt_leaves_a_clean_terminal(known: CliRunner, tmp_path: Path) -> None:
    """`sitecustomize` makes loading fail after the early prompt was drawn, as a full disk could."""
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins\nreal = builtins.__import__\n"
        "def load(name, *more, **others):\n"
        "    if name == 'llmrepl.chat.workspace': raise OSError(28, 'No space left on device')\n"
        "    return real(name, *more, **others)\n"
        "builtins.__import__ = load\n"
    )
    environ = known.environ | {"PYTHONPATH": f"{tmp_path}:{known.environ['PYTHONPATH']}"}
    with Terminal(["sh", "-c", f"{' '.join(LLM)}; stty -a"], cwd=known.cwd, environ=environ, columns=80) as terminal:
        terminal.wait_for("error:", "icanon")
        assert drawn_early(terminal)
        assert "You:" not in terminal.text and "Starting" not in terminal.text
        for mode in ("icrnl", "icanon", "echo", "isig", "-noflsh"):
            assert mode in terminal.text.replace(";", " ").split(), mode
        terminal.ends()


def test_the_terminal_is_left_as_it_was(known: CliRunner) -> None:
    with Terminal(
        ["sh", "-c", f"{' '.join(LLM)}; stty -a"], cwd=known.cwd, environ=known.environ, columns=80
    ) as terminal:
        terminal.wait_for(READY)
        assert drawn_early(terminal)
        terminal.send(":exit" + ENTER)
        terminal.wait_for("icanon")
        for mode in ("icrnl", "icanon", "echo", "isig", "-noflsh"):
            assert mode in terminal.text.replace(";", " ").split(), mode
        terminal.ends()


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"ACCESSIBLE": "1"}, {"LLM_DEBUG": "1"}])
def test_nothing_is_drawn_early_where_it_could_not_be_replaced(known: CliRunner, environ: dict[str, str]) -> None:
    with start(known, environ=environ) as terminal:
        terminal.wait_for("You:")
        assert not drawn_early(terminal)


def test_nothing_is_drawn_early_in_another_place_or_width(known: CliRunner, tmp_path: Path) -> None:
    for cwd, columns, rows in ((tmp_path, 80, 24), (known.cwd, 60, 24), (known.cwd, 80, 6)):
        with Terminal(LLM, cwd=cwd, environ=known.environ, columns=columns, rows=rows) as terminal:
            terminal.wait_for("You:")
            assert not drawn_early(terminal)
