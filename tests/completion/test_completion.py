"""Tab in bash, zsh and fish at a real terminal offers the same values as Tab at the prompt."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document

import llmrepl
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.table import all_commands
from llmrepl.config.settings import Settings
from llmrepl.prompt.completer import RegistryCompleter
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner
from tests.faults.scenarios import sessions
from tests.terminal import Terminal

SCRIPTS = Path(llmrepl.__file__).resolve().parent.parent / "completions"
PROMPT = "ready>"
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"PS1='{PROMPT} '; source {SCRIPTS}/llm.bash"),
    "zsh": (["zsh", "-f", "-i"], f"PS1='{PROMPT} '; fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D"),
    "fish": (
        ["fish", "--no-config", "-i"],
        f"function fish_prompt; echo '{PROMPT} '; end; function fish_greeting; end; source {SCRIPTS}/llm.fish",
    ),
}


@pytest.fixture
def open_session(cli: CliRunner) -> CliRunner:
    """A user with tags and with sessions, one of which has a space and a quote in its name."""
    sessions(cli)
    (cli.runs / "one.json").rename(cli.runs / "it's mine.json")
    tagged = json.loads((cli.runs / "two.json").read_text()) | {"meta": {"tags": ["seabirds"]}}
    (cli.runs / "two.json").write_text(json.dumps(tagged))
    (cli.home / "bin").mkdir()
    program = cli.home / "bin" / "llm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m llmrepl "$@"\n')
    program.chmod(0o755)
    cli.environ["PATH"] = f"{cli.home}/bin:{cli.environ['PATH']}"
    cli.environ["LLM_DEFAULT_MODEL"] = "offline/echo"
    return cli


@contextmanager
def started(shell: str, open_session: CliRunner) -> Iterator[Terminal]:
    """Start a shell with our completions, at its prompt."""
    if shutil.which(shell, path=open_session.environ["PATH"]) is None:
        pytest.skip(f"needs {shell}")
    words, setup = START[shell]
    environ = open_session.environ | {"TERM": "xterm", "fish_features": "no-query-term"}
    with Terminal(words, cwd=open_session.cwd, environ=environ, columns=160) as terminal:
        terminal.send(f"{setup}\r")
        terminal.wait_for(f"\n{PROMPT}")
        yield terminal


TABBED = (
    ("llm sess", "llm sessions"),
    ("llm sessions rec", "llm sessions recover"),
    ("llm chat --keep-g", "llm chat --keep-going"),
    ("llm show tw", "llm show two"),
    ("llm chat -r tw", "llm chat -r two"),
    ("llm show it", r"llm show it\'s\ mine"),
    ("llm ask -m offline/e", "llm ask -m offline/echo"),
    ("llm export j", "llm export json"),
    ("llm sessions list --tag sea", "llm sessions list --tag seabirds"),
    ("llm keys set anth", "llm keys set anthropic"),
    ("llm config get daily", "llm config get daily_budget"),
    ("llm config set daily", "llm config set daily_budget"),
    ("llm config set keys v", "llm config set keys vi"),
    ("llm config set default_model offline/ec", "llm config set default_model offline/echo"),
    ("llm help comp", "llm help completions"),
    ("llm help api", "llm help api-keys"),
    ("llm help sessions sta", "llm help sessions stats"),
    ("llm --keep-g", "llm --keep-going"),
    ("llm -r tw", "llm -r two"),
    ("llm sessions --he", "llm sessions --help"),
)


@pytest.mark.parametrize("shell", START)
def test_tab_completes_in_a_real_shell(open_session: CliRunner, shell: str) -> None:
    with started(shell, open_session) as terminal:
        for typed, line in TABBED:
            terminal.send(typed + "\t")
            terminal.wait_until(lambda screen, line=line: line in last(screen), f"{line} after {typed}")  # type: ignore[misc]
            terminal.send("\x15")
            terminal.wait_until(lambda screen: last(screen).strip() == PROMPT, "an empty line")


def last(screen: str) -> str:
    """Return the line of the last prompt and everything below it."""
    return screen[screen.rfind(PROMPT) :]


@pytest.mark.parametrize("shell", START)
def test_a_second_tab_lists_what_there_is(open_session: CliRunner, shell: str) -> None:
    with started(shell, open_session) as terminal:
        terminal.send("llm show \t\t")
        screen = terminal.wait_for("old", "two")
        assert "mine" in screen
        terminal.send("\x15\x03")


@pytest.mark.parametrize(
    ("line", "source", "word"),
    [
        (":show ", "sessions", ""),
        (":show tw", "sessions", "tw"),
        (":load ld", "sessions", "ld"),
        (":model offline/", "models", "offline/"),
        (":sessions list --tag ", "tags", ""),
        (":export j", "formats", "j"),
        (":keys set ", "providers", ""),
        (":config get d", "config", "d"),
    ],
)
def test_scripts_offer_the_same_candidates_as_the_prompt(
    open_session: CliRunner, line: str, source: str, word: str
) -> None:
    ran = open_session.llm("--complete", source, word)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{one.display_text}\t{one.display_meta_text}" for one in tab(opened(open_session), line)
    ]
    assert ran.out


def opened(open_session: CliRunner) -> Workspace:
    """Open a workspace as the prompt does."""
    environment = Environment(open_session.environ, open_session.cwd, sys.stdin, sys.stdout, sys.stderr)
    paths = Paths.find(open_session.environ)
    return Workspace(environment, Settings.load(environment.environ, environment.cwd, paths), paths, Signals())


def tab(workspace: Workspace, line: str) -> list[Completion]:
    """Return what Tab offers at the end of a line."""
    return list(RegistryCompleter(all_commands(), workspace).get_completions(Document(line), CompleteEvent()))


def test_an_option_is_offered_once_and_its_value_behind_an_equals_sign_too(open_session: CliRunner) -> None:
    workspace = opened(open_session)
    assert "--tag" in [one.text for one in tab(workspace, ":sessions list --")]
    assert "--tag" not in [one.text for one in tab(workspace, ":sessions list --tag sea --")]
    assert [(one.text, one.start_position) for one in tab(workspace, ":sessions list --tag=sea")] == [("seabirds", -3)]
    assert not tab(workspace, ":sessions list --nothing=")


def test_what_needs_a_conversation_is_offered_once_there_is_one(open_session: CliRunner) -> None:
    workspace = opened(open_session)
    needy = {"reset", "retry", "undo", "edit", "compact", "copy", "fork"}
    assert not needy & {one.text for one in tab(workspace, ":")}
    workspace.chat.switch(workspace.store().open(workspace.store().path_for("two"), beside=False))
    assert needy <= {one.text for one in tab(workspace, ":")}
    workspace.close()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (":help key", ["keyboard", "keys", "keys list", "keys remove", "keys set"]),
        (":help sessions sta", ["stats"]),
        (":help api", ["api-keys"]),
        (":config set keys ", ["emacs", "vi"]),
        (":config set markdown ", ["on", "off"]),
        (":sessions --he", ["--help"]),
    ],
)
def test_tab_at_the_prompt(open_session: CliRunner, line: str, offered: list[str]) -> None:
    assert sorted(one.text for one in tab(opened(open_session), line)) == sorted(offered)


@pytest.mark.parametrize(
    ("line", "added"),
    [
        (":attach al", "pha.md"),
        (":attach alpha.md b", "eta.md"),
        (":attach --allow-private al", "pha.md"),
        (":attach ", ""),
    ],
)
def test_tab_completes_files_to_attach(
    open_session: CliRunner, monkeypatch: pytest.MonkeyPatch, line: str, added: str
) -> None:
    for name in ("alpha.md", "beta.md"):
        (open_session.cwd / name).write_text("text")
    monkeypatch.chdir(open_session.cwd)
    offered = [one.text for one in tab(opened(open_session), line)]
    assert offered == [added] if added else {"alpha.md", "beta.md"} <= set(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_after_a_dash_lists_the_options_of_the_chat(open_session: CliRunner, shell: str) -> None:
    with started(shell, open_session) as terminal:
        terminal.send("llm --\t\t")
        terminal.wait_for("--continue", "--resume", "--version", "--help")
        terminal.send("\x15\x03")


@pytest.mark.parametrize("words", [(), ("nothing",), ("sessions",), ("sessions", "\x1b[2J"), ("models", "x" * 5000)])
def test_completion_is_silent_for_any_input(open_session: CliRunner, words: tuple[str, ...]) -> None:
    before = open_session.files()
    ran = open_session.llm("--complete", *words, LLM_SESSIONS_DIR="runs")
    assert (ran.code, ran.err) == (0, "")
    assert open_session.files() == before


def test_a_name_that_a_terminal_obeys_is_not_offered(open_session: CliRunner) -> None:
    (open_session.runs / "two\x1b[2J.json").write_bytes((open_session.runs / "two.json").read_bytes())
    assert open_session.llm("--complete", "sessions", "two").out.splitlines()[0].startswith("two\t")
    assert "\x1b" not in open_session.llm("--complete", "sessions", "").out
