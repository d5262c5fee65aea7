"""Commands have the same words and output after `llm ` in a terminal and after `:` at the prompt."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
from pathlib import Path

import pytest

import llmrepl
from llmrepl.commands.grammar.help_pages import GROUPS
from llmrepl.commands.registry import BOTH, PROMPT, TERMINAL, Command
from llmrepl.commands.table import all_commands
from llmrepl.commands.value_sources import SOURCES
from llmrepl.completion.generated_files import generate
from llmrepl.errors import UsageError
from tests.cli_runner import CHAT, CliRunner

TABLE = all_commands()
NAMES = [command.name for command in TABLE.commands]

CALLS: dict[str, tuple[str, ...]] = {
    "help": ("", "sessions show", "save"),
    "ask": ("-m offline/echo what is this", "--json -m offline/echo one", "-m offline/echo --name asked two"),
    "config path": ("",),
    "prompts list": ("",),
    "prompts show": ("gone",),
    "prompts edit": ("review",),
    "config list": ("",),
    "completions": ("bash", "nonsense"),
    "sessions show": ("first", "first --full", "nowhere", ""),
    "sessions resume": ("first", "nowhere", "bad", ""),
    "sessions export": (
        *("md --session first", "json copy.json --session first", "txt --session nowhere", "nonsense --session first"),
        *("csv --session first", "html --session first", "jsonl --session first", "md"),
    ),
    "models list": ("", "--json", "--filter guide --details", "--filter nothing", "--provider nobody"),
    "models info": ("offline/echo", "offline/echo --json", "offline/nonsense", "nonsense"),
    "usage": ("", "all", "week --breakdown-by model", "all --json", "nonsense"),
    "config get": ("default_model", "nonsense"),
    "config set": ("show_costs false", "idle_timeout soon"),
    "keys set": ("nobody",),
    "keys list": ("",),
    "keys remove": ("openai",),
    "sessions rename": ("first third", "first second", "nowhere x"),
    "sessions delete": ("first second", "bad", "first nowhere", "first --dry-run"),
    "sessions restore": ("", "nowhere"),
    "sessions archive": ("--older-than 0d --dry-run", "--older-than 0d --compress", "--older-than soon"),
    "sessions backup": ("copies", "copies --dry-run", "runs", "runs/archive"),
    "sessions fork": ("first other --at 1", "first second", "first --at 9", "nowhere", "bad", "codex:00000000"),
    "sessions import": ("nowhere.json", "runs/first.json --dry-run", "runs --from aider"),
    "sessions search": ("hello", "nowhere to be found", "--limit 1 one", "", "--elsewhere nowhere"),
    "sessions stats": ("", "--dir nowhere", "--json", "--all --since 1d"),
    "sessions tag": ("first +one +two -one", "first", "nowhere +x", "first --nonsense"),
    "doctor": ("--nonsense",),
    "sessions merge": (
        "first 'second one'",
        "first first",
        "first bad",
        "nowhere first",
        "first",
        "",
        "--install",
        "a --install",
    ),
    "sessions validate": ("", "first", "bad", "nowhere"),
    "sessions recover": ("first", "bad", "nowhere"),
    "sessions scan": ("", "first --fix", "nowhere"),
    "sessions list": ("", "--dir runs", "--dir nowhere", "--nonsense"),
}
"""Arguments to try for each command that works at both; a command that is missing here has no test."""

TIMES = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+|\"latency_ms\": [\d.]+|[\d.]+ ?s\b")


def rows(*where: str) -> list[Command]:
    return [command for command in TABLE.commands if command.where in where]


@pytest.fixture
def sessions(cli: CliRunner) -> CliRunner:
    """A user with two sessions and a damaged one."""
    cli.script("hello", "and\u00a0again", words=(*CHAT, "--name", "first"))
    cli.script("one", words=(*CHAT, "--name", "second one"))
    (cli.runs / "bad.json").write_text('{"model": ')
    return cli


def moved(cli: CliRunner, place: Path) -> CliRunner:
    """Copy the user with all files to `place`."""
    shutil.copytree(cli.cwd.parent, place, copy_function=shutil.copy2)
    copy = CliRunner(place / "home", place / "work", cli.environ | {"HOME": str(place / "home")})
    return copy


def plain(text: str, cli: CliRunner) -> str:
    """Remove from an output what differs between runs."""
    return TIMES.sub("TIME", text.replace(str(cli.cwd.parent), "PLACE"))


@pytest.mark.parametrize("name", [command.name for command in rows(BOTH)])
def test_the_same_words_do_the_same_at_the_prompt_and_in_a_terminal(
    sessions: CliRunner, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    assert name in CALLS, f"give '{name}' arguments to try"
    for number, arguments in enumerate(CALLS[name]):
        words = [*name.split(), *shlex.split(arguments)]
        at_prompt, in_terminal = (
            moved(sessions, tmp_path_factory.mktemp(interface) / str(number)) for interface in (PROMPT, TERMINAL)
        )
        typed = at_prompt.script(f":{name} {arguments}", words=(*CHAT, "--allow-shell"))
        run = in_terminal.llm(*words)
        if name != "help":  # which names commands as they are typed where it is asked
            assert plain(typed.out, at_prompt) == plain(run.out, in_terminal), words
        assert typed.code == run.code, words
        assert at_prompt.files() == in_terminal.files(), words
        assert "went wrong" not in typed.err + run.err


def test_every_call_to_try_is_of_a_command() -> None:
    assert set(CALLS) <= {command.name for command in rows(BOTH)}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_complete(name: str) -> None:
    command = next(row for row in TABLE.commands if row.name == name)
    assert command.group in GROUPS
    assert command.help and command.help[0].islower() and not command.help.endswith(".")
    parameters = list(inspect.signature(command.handler).parameters)
    assert parameters[0] == "workspace"
    assert sorted(parameters[1:]) == sorted(argument.dest for argument in command.arguments)
    assert inspect.getdoc(command.handler)
    for argument in command.arguments:
        assert argument.help
        assert argument.source in ("", "files", "directories", "commands", *SOURCES)
        assert not argument.rest or argument is command.arguments[-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_row_is_a_call_of_it_wherever_it_works(name: str) -> None:
    command = next(row for row in TABLE.commands if row.name == name)
    assert command.example.startswith((command.name, *command.aliases))
    if command.where in (BOTH, PROMPT):
        assert TABLE.parse_line(command.example).command is command
    if command.where in (BOTH, TERMINAL):
        assert TABLE.parse(shlex.split(command.example), TERMINAL).command is command


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_works_in_one_place_says_where(name: str) -> None:
    command = next(row for row in TABLE.commands if row.name == name)
    for interface in (PROMPT, TERMINAL):
        if command.where in (BOTH, interface):
            assert "Example: " in _help(command, interface)
        else:
            with pytest.raises(UsageError, match=r"does not work (at the prompt|outside the shell)\. ") as refused:
                TABLE.parse(command.words, interface)
            instead = {"load": "sessions resume"}.get(name, f"sessions {name}")
            known = interface == TERMINAL and instead in TABLE.spellings(TERMINAL)
            assert re.match(rf"(llm |:){re.escape(instead if known else name)} works", refused.value.hint)


def _help(command: Command, interface: str) -> str:
    reply = TABLE.parse([*command.words, "--help"], interface).run(None)
    return str(getattr(reply, "text", ""))


def test_a_name_means_one_command() -> None:
    spelled = [name for command in TABLE.commands for name in (command.name, *command.aliases)]
    assert len(spelled) == len(set(spelled))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (":system You're a teacher", "You're a teacher"),
        (":system   two  blanks \\ and 'quotes\" stay ", "two  blanks \\ and 'quotes\" stay"),
        (":system -- --clear is an option", "--clear is an option"),
        (":system a --clear", "a --clear"),
        (":system -5 degrees", "-5 degrees"),
        (":system -- -h", "-h"),
        (":system :help", ":help"),
    ],
)
def test_a_last_argument_that_is_text_takes_the_line_as_it_stands(cli: CliRunner, line: str, text: str) -> None:
    ran = cli.script(line, ":system")
    assert (ran.code, ran.out) == (0, f"{text}\n")


def test_names_with_blanks_are_quoted_as_in_a_shell(sessions: CliRunner) -> None:
    for line in (":show 'second one'", ':show "second one"', r":show second\ one", ":show second"):
        ran = sessions.script(line)
        assert ran.out.startswith("Session: second one.json\n"), ran.err


ROOT = Path(llmrepl.__file__).resolve().parent.parent


@pytest.mark.parametrize("name", sorted(generate()))
def test_what_is_made_from_the_table_is_current(name: str) -> None:
    assert (ROOT / name).read_text("utf-8") == generate()[name], "run: python -m llmrepl.completion"


def test_two_dashes_are_no_name(sessions: CliRunner) -> None:
    with pytest.raises(UsageError, match="'--' is no name"):
        all_commands().parse(["sessions", "rename", "--", "a", "--"], TERMINAL)


def test_two_dashes_may_be_what_an_option_looks_for(sessions: CliRunner) -> None:
    assert all_commands().parse(["sessions", "list", "--contains=--"], TERMINAL).values["contains"] == "--"
    assert sessions.llm("sessions", "list", "--contains=--").code == 0
