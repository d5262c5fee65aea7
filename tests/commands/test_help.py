"""The help pages at the prompt and in a terminal."""

from __future__ import annotations

import re

import pytest

from llmrepl.commands.grammar.help_pages import GROUPS, prompt_overview
from llmrepl.commands.registry import PROMPT, TERMINAL
from llmrepl.commands.table import all_commands
from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal

TABLE = all_commands()
HEADS = ["sessions", "keys", "config", "models"]


def test_the_help_at_the_prompt_fits_24_rows_of_80_columns() -> None:
    lines = prompt_overview(TABLE).splitlines()
    assert len(lines) <= 21, "the prompt, a blank line and the bottom line are below it"
    assert max(map(len, lines)) < 80
    assert [line.split()[0] for line in lines if line.startswith(tuple(GROUPS.values()))] == list(GROUPS.values())
    assert all(hint in lines[-1] for hint in (":help COMMAND", ":help keys", ":help all"))


def test_the_help_is_read_without_a_pager(cli: CliRunner) -> None:
    with Terminal([*LLM, "chat"], cwd=cli.cwd, environ=cli.environ | {"PAGER": "false"}, columns=80) as terminal:
        terminal.wait_for("You:")
        terminal.send(":help\r")
        terminal.wait_for(":help COMMAND explains one")
        assert any(line.startswith("Type a question, or a command.") for line in terminal.screen)


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_the_usage_stands_first_in_a_terminal(cli: CliRunner, words: tuple[str, ...]) -> None:
    ran = cli.llm(*words)
    assert (ran.code, ran.err) == (0, "")
    first, *lines = ran.out.splitlines()
    assert first.startswith("usage: llm ")
    assert [line.split("  ")[-0].strip() for line in (line[7:] for line in lines[:3])] == [
        "llm -c",
        "llm ask QUESTION",
        "llm COMMAND",
    ]
    assert lines[-1].endswith("type :help there.")
    named = set(re.findall(r"^  llm ([a-z ]+?)(?:,|  )", ran.out, re.MULTILINE))
    assert named == {command.name for command in TABLE.at(TERMINAL)}


def test_all_is_every_command(cli: CliRunner) -> None:
    ran = cli.script(":help all")
    for command in TABLE.commands:
        mark = ":" if command.where in ("both", PROMPT) else "llm "
        assert f"  {mark}{command.name}" in ran.out


def test_the_keys_fit_80_columns(cli: CliRunner) -> None:
    assert max(map(len, cli.script(":help keys").out.splitlines())) <= 80


@pytest.mark.parametrize("topic", ["keys", "keyboard", "shortcuts", "Keys"])
def test_the_keyboard(cli: CliRunner, topic: str) -> None:
    for said in (cli.script(f":help {topic}").out, cli.llm("help", topic).out):
        assert said.startswith("Keys at the prompt\n")
        assert ":help api-keys" in said


@pytest.mark.parametrize("head", HEADS)
def test_a_group_lists_its_commands(cli: CliRunner, head: str) -> None:
    rows = [command for command in TABLE.at(TERMINAL) if command.words[0] == head and len(command.words) > 1]
    at_prompt = [cli.script(f":{head} --help").out, cli.script(f":{head} -h").out]
    in_terminal = [cli.llm(head, "--help").out]
    if head != "keys":  # `:help keys` is the keyboard
        at_prompt.append(cli.script(f":help {head}").out)
        in_terminal.append(cli.llm("help", head).out)
    for said, mark in [*((said, ":") for said in at_prompt), *((said, "llm ") for said in in_terminal)]:
        assert said.startswith(f"usage: {mark}{head} COMMAND\n")
        for row in rows:
            assert re.search(rf"^  {row.words[1]} +{re.escape(row.help)}$", said, re.MULTILINE)
        other = "llm " if mark == ":" else " :"
        assert f"{other}{head}" not in said


def test_api_keys(cli: CliRunner) -> None:
    said = cli.script(":help api-keys").out
    assert "OPENAI_API_KEY" in said
    assert cli.script(":keys --help").out in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":help nonsense", "There is no help on 'nonsense'. :help all lists the commands"),
        (":help sesions", "There is no help on 'sesions'. Did you mean ':help sessions'?"),
    ],
)
def test_a_topic_that_does_not_exist(cli: CliRunner, line: str, said: str) -> None:
    ran = cli.script(line)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said}\n")


def test_help_takes_the_short_words_too(cli: CliRunner) -> None:
    assert cli.script(":help :q").out.startswith("usage: :exit")
    assert cli.script(":help /model").out.startswith("usage: :model")
    assert cli.script(":help chat").out.startswith("usage: llm chat")
