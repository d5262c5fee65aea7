"""Commands of other programs get an explanation at the prompt and are never sent to the model."""

from __future__ import annotations

import pytest

from llmrepl.commands.other_tools import SHORT, SLASH, refuse
from llmrepl.commands.registry import PROMPT
from llmrepl.commands.table import all_commands
from llmrepl.errors import UsageError
from tests.cli_runner import CliRunner


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/help", "'/help' is not a command here. Use ':help'."),
        ("/model gpt-5", "'/model' is not a command here. Use ':model'."),
        ("/clear", "'/clear' is not a command here. Use ':reset'."),
        ("/bye", "'/bye' is not a command here. Use ':exit'."),
        ("/commit", "'/commit' is not a command here, and there is nothing like it. :help lists the commands"),
        ("/memory", "'/memory' is not a command here. Use ':system'."),
        ("/vim", "'/vim' is not a command here. Use ':set keys'."),
        ("/rewind", "'/rewind' is not a command here. Use ':undo'."),
        ("/mcp add x", "'/mcp' is not a command here, and there is nothing like it. :help lists the commands"),
        ("q", "'q' alone is not sent. Use ':exit'."),
        ("help", "'help' alone is not sent. Use ':help'."),
    ],
)
def test_a_command_of_another_program_is_never_sent(cli: CliRunner, line: str, said: str) -> None:
    ran = cli.script(line)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said}\n")
    assert cli.files() == []


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("/etc/hosts what is it", "/etc/hosts what is it"),
        ("/usr/bin/x", "/usr/bin/x"),
        ("//help", "/help"),
        ("// a comment", "// a comment"),
        ("help me", "help me"),
    ],
)
def test_a_path_or_a_doubled_slash_is_a_prompt(cli: CliRunner, line: str, sent: str) -> None:
    cli.script(":save talk", line)
    assert [asked for asked, _ in cli.said("talk")] == [sent]


@pytest.mark.parametrize("line", ["?", ":?", ":h"])
def test_short_words_for_help(cli: CliRunner, line: str) -> None:
    assert cli.script(line).out == cli.script(":help").out


@pytest.mark.parametrize("line", [":q", ":wq", ":x"])
def test_short_words_that_leave(cli: CliRunner, line: str) -> None:
    cli.script(":save talk", "one", line, "two")
    assert [asked for asked, _ in cli.said("talk")] == ["one"]


def test_every_advice_for_a_slash_is_a_command_and_every_command_has_its_advice(cli: CliRunner) -> None:
    table = all_commands()
    names = table.spellings(PROMPT)
    for ours in filter(None, {*SLASH.values(), *SHORT.values()}):
        if ours in names or ours.split()[0] in names:
            table.find(ours.split(), PROMPT)
    for name in names:
        if name.replace(" ", "").isalpha() and " " not in name:
            with pytest.raises(UsageError, match=rf"Use ':{name}'"):
                refuse(f"/{name}", names)


def test_clear_resets_and_says_so(cli: CliRunner) -> None:
    assert "':clear' is ':reset' here\n" in cli.script("one", ":clear").err


@pytest.mark.parametrize("text", ["help", "q", "?", "/help"])
def test_a_block_is_a_prompt_whatever_it_says(cli: CliRunner, text: str) -> None:
    ran = cli.script('"""', text, '"""')
    assert (ran.code, ran.out) == (0, f"{text}\n")
