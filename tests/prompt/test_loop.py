"""The prompt, driven by the bytes that a terminal sends for keys."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.table import all_commands
from llmrepl.config.settings import Settings
from llmrepl.prompt.loop import Loop
from llmrepl.rendering.base import PlainOutput
from llmrepl.shell.runner import Shell
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CHAT, CliRunner

CTRL_G, CTRL_O, ALT_P = "\x07", "\x0f", "\x1bp"
ENTER, ALT_ENTER, CTRL_C, CTRL_D, CTRL_J, CTRL_R, ESCAPE = "\r", "\x1b\r", "\x03", "\x04", "\n", "\x12", "\x1b"
UP, DOWN, TAB, PASTE, PASTED = "\x1b[A", "\x1b[B", "\t", "\x1b[200~", "\x1b[201~"


class Watched(DummyOutput):
    """An output that records when it was last written to."""

    def __init__(self) -> None:
        self._drawn = threading.Event()

    def flush(self) -> None:
        """Record the time of an update."""
        self._drawn.set()

    def wait_until_still(self, moment: float) -> None:
        """Wait until the output changed and then was quiet for `pause` seconds, so earlier inputs are processed."""
        self._drawn.wait(5)
        while self._drawn.is_set():
            self._drawn.clear()
            time.sleep(moment)


@dataclass
class Typist:
    """Types keys into the prompt of a new user with the echo model."""

    cli: CliRunner
    out: str = ""
    err: str = ""
    save_dir: str = ""

    def types(self, *keys: str, at_leisure: bool = False) -> int:
        """Type the keys, each after the result of the last, then Ctrl-D; return the exit code."""
        out, err, screen = io.StringIO(), io.StringIO(), Watched()
        with open(os.devnull) as nothing, create_pipe_input() as pipe:
            environ = self.cli.environ | {"LLM_MODEL": "offline/echo"}
            environment = Environment(environ, self.cli.cwd, nothing, out, err)
            paths = Paths.find(environ)
            workspace = Workspace(environment, Settings.load(environ, environment.cwd, paths), paths, Signals())
            if self.save_dir:
                workspace.chat.save_in(self.save_dir)
            shell = Shell(workspace, all_commands(), PlainOutput(environment))

            def type_all() -> None:
                last = ""
                for text in (*keys, CTRL_D):
                    if at_leisure:
                        screen.wait_until_still(0.6 if last == TAB else 0.1)  # what Tab offers is found in a thread
                    pipe.send_text(text)
                    last = text
                if not left.wait(5):  # something is in the way of Ctrl-D: a test that fails must end as well
                    pipe.send_text(f"\x07{CTRL_C}{CTRL_C}{CTRL_D}")

            left = threading.Event()
            typing = threading.Thread(target=type_all)
            typing.start()
            code = Loop(workspace, lambda: shell, input=pipe, screen=screen).run()
            left.set()
            typing.join()
        self.out, self.err = out.getvalue(), err.getvalue()
        return code

    @property
    def asked(self) -> list[str]:
        """Return the prompts in the only session."""
        names = [name.removesuffix(".json") for name in self.cli.files("runs") if name.endswith(".json")]
        return [question for name in names for question, _ in self.cli.said(name)]


@pytest.fixture
def typist(cli: CliRunner) -> Iterator[Typist]:
    cli.runs.mkdir()
    yield Typist(cli)


INPUTS = {
    "Enter sends": (["hello", ENTER], ["hello"]),
    "Alt-Enter makes a line": (["one", ALT_ENTER, "two", ENTER], ["one\ntwo"]),
    "Ctrl-J makes a line": (["one", CTRL_J, "two", ENTER], ["one\ntwo"]),
    "a block is one input": (['"""', ENTER, "one", ENTER, "two", ENTER, '"""', ENTER], ["one\ntwo"]),
    "commands in a block are text": (['"""', ENTER, ":exit", ENTER, '"""', ENTER], [":exit"]),
    "a paste is one input": ([PASTE, "one\n\n  two\nthree", PASTED, ENTER], ["one\n\n  two\nthree"]),
    "a command followed by other lines is not sent": ([PASTE, ":exit\nnot", PASTED, ENTER, "one", ENTER], ["one"]),
    "a pasted text with two colons is text": ([PASTE, "::exit\nnot", PASTED, ENTER], [":exit\nnot"]),
    "a paste with line ends of Windows": ([PASTE, "one\r\ntwo", PASTED, ENTER], ["one\ntwo"]),
    "a paste is not sent by itself": ([PASTE, "one\n", PASTED, CTRL_C], []),
    "an empty line is nothing": ([ENTER, " ", ENTER, "one", ENTER], ["one"]),
    "a colon twice": (["::one", ENTER], [":one"]),
    "a comment": ([":# one", ENTER], []),
    "a path is a prompt": (["/etc/hosts", ENTER], ["/etc/hosts"]),
    "Ctrl-C clears the line": (["not this", CTRL_C, "this", ENTER], ["this"]),
    "Ctrl-C brings it back with Up": (["this", CTRL_C, UP, ENTER], ["this"]),
    "Up is the last input": (["one", ENTER, UP, ENTER], ["one", "one"]),
    "Up finds what begins like it": (["apple", ENTER, "pear", ENTER, "ap", UP, ENTER], ["apple", "pear", "apple"]),
    "Ctrl-R searches": (
        ["apple pie", ENTER, "pear", ENTER, CTRL_R, "ple", ENTER, ENTER],
        ["apple pie", "pear", "apple pie"],
    ),
    "Ctrl-C leaves the search": (["pear", ENTER, CTRL_R, "pe", CTRL_C, "plum", ENTER], ["pear", "plum"]),
    "emacs keys": (["two", "\x01", "one ", "\x05", " three", "\x17", "four", ENTER], ["one two four"]),
    "words that are mistaken": (["help", ENTER, "/exit", ENTER, "q", ENTER, "/help", ENTER], []),
    ":q leaves": (["one", ENTER, ":q", ENTER, "never", ENTER], ["one"]),
    "Ctrl-O makes a line": (["one", CTRL_O, "two", ENTER], ["one\ntwo"]),
    "Ctrl-G leaves the search": (["pear", ENTER, CTRL_R, "pe", CTRL_G, "plum", ENTER], ["pear", "plum"]),
    "exit leaves": (["one", ENTER, "exit", ENTER, "never", ENTER], ["one"]),
    "quit leaves": (["one", ENTER, "quit", ENTER, "never", ENTER], ["one"]),
    ":exit leaves": (["one", ENTER, ":exit", ENTER, "never", ENTER], ["one"]),
    "wide and joined characters": (["日本語 👩‍👩‍👧 é", ENTER], ["日本語 👩‍👩‍👧 é"]),
    "vi keys": ([":set keys vi", ENTER, "hello", ESCAPE, "0", "x", "A", "!", ENTER], ["ello!"]),
}


@pytest.mark.parametrize("case", INPUTS)
def test_keys(typist: Typist, case: str) -> None:
    keys, expected = INPUTS[case]
    at_leisure = UP in keys or CTRL_R in keys  # earlier inputs are read in while the prompt waits
    assert (typist.types(*keys, at_leisure=True) if at_leisure else typist.types("".join(keys))) == 0
    assert typist.asked == expected
    assert "went wrong" not in typist.err


def test_ctrl_d_leaves_and_saves(typist: Typist) -> None:
    assert typist.types("one", ENTER) == 0
    assert typist.asked == ["one"]
    assert [name for name in typist.cli.files("runs") if name.startswith(".")] == []


def test_ctrl_c_twice_says_how_to_leave(typist: Typist) -> None:
    typist.types(CTRL_C)
    assert "leaves" not in typist.err
    typist.types(CTRL_C + CTRL_C)
    assert typist.err.endswith("note: ':exit' or Ctrl-D leaves\n\n")


def test_ctrl_c_ends_a_paste_whose_end_mark_is_lost(typist: Typist) -> None:
    assert typist.types(PASTE + "abc\ndef", CTRL_C, "one", ENTER, at_leisure=True) == 0
    assert typist.out == "one\n"
    typist.out = ""
    typist.types(PASTE + "a\x03b", PASTED, ENTER, at_leisure=True)
    assert "a" in typist.out, "Ctrl-C among other text of a paste ends nothing"


def test_the_banner_stands_once_above_the_conversation(typist: Typist) -> None:
    typist.types("one", ENTER, "two", ENTER)
    assert typist.err.count("🤖 Starting chat with offline/echo") == 1
    assert "no key yet" not in typist.err, "this model was chosen"
    assert "💾 Session will be saved to ./runs/session_" in typist.err
    assert "💰 Budget: Unlimited | Type ':help' for commands" in typist.err


def test_a_failed_command_does_not_end_the_prompt(typist: Typist) -> None:
    typist.types(":nonsense", ENTER, ":load nowhere", ENTER, "still here", ENTER)
    assert typist.asked == ["still here"]
    assert typist.err.count("error: ") == 2


def test_loading_shows_what_the_guide_shows(typist: Typist) -> None:
    typist.cli.script("one", words=(*CHAT, "--name", "talk"))
    typist.types(":load talk", ENTER, "two", ENTER)
    assert "🔄 Resuming session: talk.json\nModel: offline/echo\nPrevious turns: 1\n" in typist.err
    assert "🤖 Continuing chat with offline/echo\n💰 Budget: Unlimited | Previous cost: $0.0000 |" in typist.err
    assert "[Previous conversation context is loaded]" in typist.err
    assert typist.asked == ["one", "two"]


def test_history_is_kept_for_the_next_shell_and_private(typist: Typist) -> None:
    typist.types("from before", ENTER)
    typist.types("", UP, ENTER, at_leisure=True)
    assert typist.asked == ["from before", "from before"]
    history = typist.cli.home / ".local" / "state" / "llm" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert history.parent.stat().st_mode & 0o777 == 0o700


def test_an_unwritable_history_is_reported_and_the_shell_works(typist: Typist) -> None:
    (typist.cli.home / ".local").write_text("in the way")
    assert typist.types("one", ENTER, UP, ENTER, at_leisure=True) == 0
    assert typist.asked == ["one", "one"]
    assert "what you type is not kept for the next shell" in typist.err
    assert "Errno" not in typist.err


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (":hist", ":history"),
        (":sessions sh", ":sessions show"),
        (":show secon", ":show 'second one'"),
        (":load fir", ":load first"),
        (":export m", ":export md"),
        (":model offline/ec", ":model offline/echo"),
        (":set temper", ":set temperature"),
        (":set keys v", ":set keys vi"),
        (":completions z", ":completions zsh"),
        (":show --fu", ":show --full"),
    ],
)
def test_tab_completes(typist: Typist, typed: str, completed: str) -> None:
    for name in ("first", "second one"):
        typist.cli.script("hello", words=(*CHAT, "--name", name))
    # the space and Ctrl-A put "::" before what was completed, so that it becomes a prompt that can be seen
    typist.types(typed, TAB, " \x01:", ENTER, at_leisure=True)
    assert typist.asked[-1] == completed


def test_tab_has_nothing_to_say_in_a_prompt_for_the_model(typist: Typist) -> None:
    typist.types("sho", TAB, ENTER, at_leisure=True)
    assert typist.asked == ["sho"]


def test_an_editor_writes_the_system_prompt(typist: Typist, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf \'Be brief.\\nAnd "kind".\\n\' > "$1"\n')
    editor.chmod(0o755)
    typist.cli.environ["VISUAL"] = str(editor)
    typist.types(":system --edit", ENTER, "one", ENTER)
    [name] = typist.cli.files("runs")
    assert typist.cli.session(name.removesuffix(".json"))["system"] == 'Be brief.\nAnd "kind".'


@pytest.mark.parametrize("keys", [CTRL_G, "\x18\x05", ":set keys vi"])
def test_the_editor_only_fills_the_line(typist: Typist, tmp_path: Path, keys: str) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf 'from the editor' > \"$1\"\n")
    editor.chmod(0o755)
    typist.cli.environ["VISUAL"] = str(editor)
    before = [keys, ENTER] if keys.startswith(":") else []
    pressed = [ESCAPE + "v", "A"] if before else [keys]
    typist.types(*before, "draft", *pressed, " and more", ENTER, at_leisure=True)
    assert typist.asked == ["from the editor and more"]


def test_alt_p_keeps_the_draft(typist: Typist) -> None:
    typist.types("a draft", ALT_P, " goes on", ENTER, at_leisure=True)
    assert typist.asked == ["a draft goes on"]
    assert typist.out.startswith("offline/echo\n"), "off a terminal, the current model"


def test_an_editor_that_fails_changes_nothing(typist: Typist) -> None:
    for editor, said in (
        ("/no/such/editor", "cannot run the editor /no/such/editor"),
        ("false", "ended with exit code 1"),
    ):
        typist.cli.environ["VISUAL"] = editor
        assert typist.types(":system --edit", ENTER) == 0
        assert said in typist.err


def test_a_blank_line_is_before_every_prompt(typist: Typist) -> None:
    typist.types(":model", ENTER, at_leisure=True)
    assert typist.err.count("\n\n") >= 1
    assert typist.err.endswith("\n\n")


def test_leaving_says_where_the_conversation_is(typist: Typist) -> None:
    typist.types("hello", ENTER, at_leisure=True)
    assert re.search(r"saved as \./runs/session_\w+\.json · llm -c goes on with it\n$", typist.err)
    typist.types(":model", ENTER, at_leisure=True)
    assert "saved as" not in typist.err


def test_leaving_names_only_the_file_where_llm_c_does_not_look(typist: Typist) -> None:
    typist.save_dir = "elsewhere"
    typist.types("hello", ENTER, at_leisure=True)
    assert re.search(r"saved as \./elsewhere/session_\w+\.json\n$", typist.err)
