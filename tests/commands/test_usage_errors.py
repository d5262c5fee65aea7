"""Every command with no argument, too many, an unknown option and wrong values: what is said, and the exit code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from llmrepl.commands.registry import BOTH, PROMPT, TERMINAL, Argument, Command
from llmrepl.commands.table import all_commands
from llmrepl.errors import LLMError, UsageError
from tests.cli_runner import CliRunner

TABLE = all_commands()
NAMES = [f"{where}: {c.name}" for where in (PROMPT, TERMINAL) for c in TABLE.at(where)]

ARGPARSE = re.compile(
    r"unrecognized|expected (one|at least|\d)|invalid (choice|int|float|\w+ value)|too few|argument \S+:|"
    r"required:|ignored explicit|not allowed with|ambiguous option|following arguments|NoneType|Traceback"
)


def row(name: str) -> tuple[str, Command]:
    where, _, name = name.partition(": ")
    return where, next(c for c in TABLE.commands if c.name == name)


def spelled(where: str, words: list[str]) -> str:
    return f":{shlex.join(words)}" if where == PROMPT else f"llm {shlex.join(words)}"


def failure(where: str, words: list[str]) -> UsageError | None:
    """Parse the words at an interface; what is said about them."""
    try:
        if where == PROMPT:
            TABLE.parse_line(" ".join(word if set(word) == {"!"} else shlex.quote(word) for word in words))
        else:
            TABLE.parse(words, TERMINAL)
    except UsageError as error:
        return error
    return None


def check_voice(error: LLMError, where: str) -> None:
    """One sentence that says what happened, and a line that begins with the command to use."""
    message, hint = error.message, error.hint
    assert not ARGPARSE.search(f"{message} {hint}"), error
    assert message[0].isupper() or message[0] == "'", error
    assert ";" not in message
    assert message.endswith((".", "?")) or re.search(r": (:|llm )\S.*$", message), error
    other = "llm " if where == PROMPT else " :"
    if "does not work" not in message:
        assert other not in f" {message} {hint}", f"{error} names a command as it is not typed here"
    if hint:
        mark = ":" if where == PROMPT else "llm "
        assert re.match(rf"(For example |Did you mean '(--)?)?({mark}|--|[a-z-]+'\?)|Close the quote", hint), error


def wrong_values(c: Command) -> Iterator[tuple[Argument, list[str]]]:
    """Words with a value that an argument does not take."""
    positional = [a for a in c.arguments if a.positional]
    for a in c.arguments:
        typed = a.kind is not str or a.choices
        if a.switch or not typed:
            continue
        before = (
            [other.choices[0] if other.choices else "1" for other in positional[: positional.index(a)]]
            if (a.positional)
            else []
        )
        yield a, [*c.words, *before, *([] if a.positional else [a.flags[-1]]), "nonsense"]


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_named(name: str) -> None:
    where, c = row(name)
    for option in ("--nonsense", "--nonsense=5", "-Z"):
        error = failure(where, [*c.words, option])
        if c.rest and where == PROMPT:
            assert error is None, "the text of a command may begin with anything"
            continue
        if error is None:
            assert any(a.signed for a in c.arguments), "a word with one dash, such as -TAG"
            continue
        check_voice(error, where)
        assert "has no option '" in error.message
        assert error.code == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_close_option_is_suggested(name: str) -> None:
    where, c = row(name)
    for a in c.arguments:
        long = next((flag for flag in a.flags if flag.startswith("--") and len(flag) > 5), None)
        if long and not (c.rest and where == PROMPT):
            error = failure(where, [*c.words, f"{long[:-1]}"])
            assert error and error.hint == f"Did you mean '{long}'?", error


@pytest.mark.parametrize("name", NAMES)
def test_missing_arguments_are_asked_for(name: str) -> None:
    where, c = row(name)
    needed = [a for a in c.arguments if a.positional and a.nargs in (None, "+") and not a.rest]
    error = failure(where, list(c.words))
    assert bool(error) == bool(needed)
    if error:
        check_voice(error, where)
        assert error.message == f"Which {needed[0].noun}?"
        assert error.hint == f"For example {spelled(where, [])}{c.example}"


@pytest.mark.parametrize("name", NAMES)
def test_too_many_arguments(name: str) -> None:
    where, c = row(name)
    positional = [a for a in c.arguments if a.positional]
    if any(a.nargs in ("*", "+") or a.rest for a in positional):
        return
    values = [a.choices[0] if a.choices else "1" for a in positional]
    error = failure(where, [*c.words, *values, "one", "two"])
    assert error, "too many are refused"
    check_voice(error, where)
    if positional and positional[-1].is_name:
        assert error.message.startswith("A name with spaces needs quotes: ")
        advised = error.message.partition("quotes: ")[2].removeprefix("llm ").removeprefix(":")
        assert failure(where, shlex.split(advised)) is None, "what is advised works"
    else:
        assert "but got 'one'" in error.message


@pytest.mark.parametrize("name", NAMES)
def test_wrong_values(name: str) -> None:
    where, c = row(name)
    if c.rest and where == PROMPT and not any(a.kind is not str or a.choices for a in c.arguments):
        return
    for a, words in wrong_values(c):
        error = failure(where, words)
        assert error, words
        check_voice(error, where)
        assert " takes " in error.message
        assert a.positional or f"'{a.flags[-1]}'" in error.message


@pytest.mark.parametrize("name", NAMES)
def test_an_option_without_its_value_and_a_switch_with_one(name: str) -> None:
    where, c = row(name)
    for a in c.arguments:
        if a.positional or a.nargs == "?":
            continue
        error = failure(where, [*c.words, f"{a.flags[-1]}=5" if a.switch else a.flags[-1]])
        if c.rest and where == PROMPT and a.switch:
            continue
        assert error, a
        check_voice(error, where)
        assert error.message == f"'{a.flags[-1]}' {'takes no' if a.switch else 'needs a'} value."


@pytest.mark.parametrize("name", [c.name for c in TABLE.at(BOTH) if c.where == BOTH])
def test_the_program_ends_with_2(cli: CliRunner, name: str) -> None:
    ran = cli.llm(*name.split(), "--nonsense")
    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(rf"error: 'llm {name}' has no option '--nonsense'\. .*\n", ran.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (":undo x", "':undo' takes a number of turns, such as ':undo 2'."),
        (":keys set", "Which provider? For example :keys set openai"),
        (":load my notes on rust", "A name with spaces needs quotes: :load 'my notes on rust'"),
        (":rename a b", "A name with spaces needs quotes: :rename 'a b'"),
        (":export md my notes.md", "A name with spaces needs quotes: :sessions export md 'my notes.md'"),
        (":usage weak", "':usage' takes today, week, month or all, not 'weak'. Did you mean ':usage week'?"),
        (":sessions list --limit x", "'--limit' takes a number of sessions, such as '--limit 5'."),
        (":sessions list --limit", "'--limit' needs a value. :sessions list --limit N"),
        (":cost detailed now", "':cost' takes one argument, but got 'now'. :cost --help shows what it takes"),
        (":keys list x", "':keys list' takes no arguments, but got 'x'. :keys list --help shows what it takes"),
        (":budget 1 x", "':budget' takes an amount in USD, such as ':budget increase 0.50'."),
    ],
)
def test_what_is_said(cli: CliRunner, words: str, said: str) -> None:
    ran = cli.script(words)
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {said}\n")


def test_options_may_stand_anywhere(cli: CliRunner) -> None:
    cli.script("hello world", ":save talk")
    assert cli.llm("export", "md", "--session", "talk", "notes.md").code == 0
    assert "notes.md" in cli.files()
    assert "talk.json" in cli.llm("sessions", "show", "--full", "talk").err + cli.script(":search hello --limit 1").out
    assert cli.script(":search hello world --limit 1 --since 1d").code == 0
    assert cli.script(":search hello --limit").err == "error: '--limit' needs a value. :sessions search --limit N\n"


REFUSED = (
    *(
        ":search",
        ":attach nowhere",
        ":load",
        ":load nowhere",
        ":show",
        ":show nowhere",
        ":export md",
        ":delete nowhere",
    ),
    *(":tag +x", ":title", ":pin", ":unpin nowhere", ":fork", ":fork x --at 9", ":edit", ":retry", ":undo", ":redo"),
    *(
        ":copy",
        ":copy --force",
        ":budget x",
        ":budget increase",
        ":set nowhere 1",
        ":set temperature 9",
        ":set steam on",
    ),
    *(":config get nowhere", ":config set nowhere 1", ":config set idle_timeout soon", ":keys set nobody"),
    *(
        ":keys remove nobody",
        ":models --provider nobody",
        ":model nope/x",
        ":model opnai",
        ":model offline/x",
        ":model",
    ),
    *(
        ":models info nowhere",
        ":run nowhere",
        ":sessions merge",
        ":sessions restore nowhere",
        ":sessions import nowhere",
    ),
    *(
        ":sessions archive --older-than soon",
        ":sessions list --since soon",
        ":sessions list --limit -1",
        ":ask",
        ":aside",
    ),
    *(":sessions recover nowhere", ":sessions scan nowhere", ":sessions validate nowhere", ":sessions resume nowhere"),
    *(":help nonsense", ":save ../x", ":save con", ":sessions list --max-cost many", ":usage never", ":history -x"),
    *(":xyzzy", ":chat", ":save 'a", "/mcp", "q", ":rename a b c", ":completions tcsh", ":incognito maybe", ":!"),
)


@pytest.mark.parametrize("line", REFUSED)
def test_what_a_command_refuses_is_one_sentence_and_what_to_do(cli: CliRunner, line: str) -> None:
    ran = cli.script(line, words=("chat", "-m", "offline/echo", "--allow-shell"))
    if line == ":model":
        assert (ran.code, ran.out) == (0, "offline/echo\n")
        return
    assert (ran.code, ran.out) == (2, ""), ran.err
    [said] = ran.err.splitlines()
    sentence = said.removeprefix("error: ").replace(str(cli.cwd), ".")
    assert sentence != said
    assert not ARGPARSE.search(sentence)
    assert (
        sentence[0].isupper()
        or sentence[0] in "'-"
        or sentence.split()[0] in ("offline", "temperature", "idle_timeout")
    )
    assert ";" not in sentence
    assert "llm " not in sentence or ":chat" in line, "at the prompt, commands begin with a colon"
    assert len(sentence) < 200


TERMINAL_REFUSED = (
    *(
        "show",
        "show nowhere",
        "export md",
        "delete nowhere",
        "keys set nobody",
        "keys remove nobody",
        "models info nope/x",
    ),
    *(
        "models --provider nobody",
        "config get nowhere",
        "config set nowhere 1",
        "sessions merge",
        "sessions fork nowhere",
    ),
    *("sessions restore nowhere", "sessions import nowhere", "sessions list --since soon", "sessions resume nowhere"),
    *(
        "sessions list --limit -1",
        "ask",
        "-r nowhere",
        "-c",
        "-c -r x",
        "--name= -m offline/echo",
        "chat --no-save --name x",
    ),
    *("list", "version", "what is a monad", "undo", "help nonsense", "usage never", "completions tcsh", "-m nope/x"),
)


@pytest.mark.parametrize("words", TERMINAL_REFUSED)
def test_what_a_command_refuses_in_a_terminal(cli: CliRunner, words: str) -> None:
    ran = cli.llm(*shlex.split(words))
    assert (ran.code, ran.out) == (2, ""), ran.err
    [said] = ran.err.splitlines()
    sentence = said.removeprefix("error: ").replace(str(cli.cwd), ".")
    assert sentence != said
    assert not ARGPARSE.search(sentence)
    assert sentence[0].isupper() or sentence[0] in "'-"
    assert ";" not in sentence
    assert not re.search(r"(?<![\w:]):[a-z]", sentence) or words == "undo", "in a terminal, commands begin with llm"
    assert len(sentence) < 200
