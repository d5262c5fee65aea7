"""Commands and their arguments, and how words become the values of arguments."""

from __future__ import annotations

import argparse
import keyword
import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from llmrepl.commands import argument_types
from llmrepl.commands.grammar import usage_errors
from llmrepl.commands.results import Document, Result
from llmrepl.errors import UsageError

BOTH, PROMPT, TERMINAL = "both", "prompt", "terminal"


@dataclass
class Argument:
    """One argument. `flags` is a name (positional) or options such as `("-m", "--model")`.

    `source` names the source of its values for completion (see value_sources.py). `nargs` is as in argparse; `switch`
    is an option without a value; `rest` takes the rest of the line verbatim at the prompt; `signed` also accepts words
    that begin with one dash unless they are options of the command. `trailing_options`: at the prompt, options may also
    follow a `rest`. Messages say what it `takes`, such as `a number of turns`, with `sample` as an example of it. An
    option of which `many` may be given is a list.
    """

    flags: tuple[str, ...]
    help: str
    source: str = ""
    kind: Callable[[str], Any] = str
    default: Any = None
    choices: tuple[str, ...] = ()
    nargs: str | None = None
    const: Any = None
    metavar: str = ""
    switch: bool = False
    rest: bool = False
    signed: bool = False
    trailing_options: bool = False
    takes: str = ""
    sample: str = ""
    many: bool = False

    @property
    def dest(self) -> str:
        """The handler's parameter for this argument."""
        longest = next((f for f in self.flags if f.startswith("--")), self.flags[0])
        name = longest.lstrip("-").replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def positional(self) -> bool:
        """Whether the argument is positional."""
        return not self.flags[0].startswith("-")

    @property
    def noun(self) -> str:
        """What a question for the argument asks for: `Which session?`."""
        return _NOUNS.get(self.source) or {"new": "name", "to": "directory", "key": "setting"}.get(self.dest, self.dest)

    @property
    def is_name(self) -> bool:
        """Whether its values may have spaces: names and paths."""
        return self.positional and (
            self.source in ("sessions", "removed", "files", "directories") or self.dest in ("name", "new")
        )


_NOUNS = {"sessions": "session", "providers": "provider", "models": "model", "files": "file", "formats": "format"}


@dataclass
class Command:
    """One row of the table: name, help, arguments and handler.

    `after_turns` commands are only offered for completion once the session has a turn.
    """

    words: tuple[str, ...]
    help: str
    group: str
    example: str
    handler: Callable[..., Result]
    arguments: tuple[Argument, ...] = ()
    where: str = BOTH
    aliases: tuple[str, ...] = ()
    at_end: str = ""
    after_turns: bool = False

    @property
    def name(self) -> str:
        """The words joined: `sessions list`."""
        return " ".join(self.words)

    @property
    def rest(self) -> Argument | None:
        """The argument that takes the rest of the line, if any."""
        return next((a for a in self.arguments if a.rest), None)


@dataclass
class Call:
    """A command with argument values; `debug` if `--debug` was among its options."""

    command: Command
    values: dict[str, Any]
    debug: bool = False

    def run(self, workspace: Any) -> Result:
        """Call the handler."""
        return self.command.handler(workspace, **self.values)


def argument(*flags: str, help: str, **more: Any) -> Argument:
    """Declare an argument, like argparse's `add_argument`."""
    return Argument(flags, help, **more)


def command(
    name: str, help: str, *arguments: Argument, group: str, example: str, **more: Any
) -> Callable[[Callable[..., Result]], Command]:
    """Turn the decorated handler into a row of the table."""

    def row(handler: Callable[..., Result]) -> Command:
        return Command(tuple(name.split()), help, group, example, handler, arguments, **more)

    return row


def help_call(text: str) -> Call:
    """Return a call that shows a help page."""
    return Call(Command(("help",), "show help", "program", "help", lambda _: Document(text)), {})


def parser_for(found: Command, interface: str) -> argparse.ArgumentParser:
    """Create the argparse parser of a command."""
    parser = _Parser(
        prog=program_of(found, interface),
        description=found.help[0].upper() + found.help[1:] + ".",
        epilog="\n".join(filter(None, [found.at_end, f"Example: {example_of(found, interface)}"])),
        formatter_class=_formatter,
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,
    )
    actions = add_arguments(parser, found)
    for a in found.arguments:
        if not a.switch:
            actions[a.dest].type = _converter(found, a, interface)
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    return parser


def program_of(found: Command, interface: str) -> str:
    """Return the command's name as typed at an interface."""
    return f":{found.name}" if interface == PROMPT else f"llm {found.name}"


def _converter(found: Command, a: Argument, interface: str) -> Callable[[str], Any]:
    """Return the function that converts the text of an argument, and raises UsageError for a wrong one."""

    def convert(text: str) -> Any:
        command = program_of(found, interface)
        subject = command if a.positional else a.flags[-1]
        try:
            value = a.kind(text)
        except (ValueError, argparse.ArgumentTypeError):
            takes, sample = argument_types.describe(a.kind)
            example = f"{subject} {a.sample or sample}"
            if a.positional and not a.sample:
                example = example_of(found, interface)
            raise usage_errors.wrong_type(subject, a.takes or takes, example) from None
        if a.choices and value not in a.choices:
            before = command if a.positional else f"{command} {subject}"
            raise usage_errors.wrong_choice(subject, text, a.choices, before)
        return value

    return convert


def add_arguments(parser: argparse.ArgumentParser, found: Command) -> dict[str, argparse.Action]:
    """Add the command's arguments to a parser; return the actions by handler parameter."""
    actions = {}
    for a in found.arguments:
        if a.switch:
            actions[a.dest] = parser.add_argument(*a.flags, action="store_true", dest=a.dest, help=a.help)
            continue
        more: dict[str, Any] = {"help": a.help, "type": a.kind, "default": [] if a.many else a.default}
        if a.many:
            more["action"] = "append"
        nargs = "*" if a.rest else a.nargs
        if nargs:
            more["nargs"] = nargs
        if a.const is not None:
            more["const"] = a.const
        if a.choices:
            more["choices"] = a.choices
        if a.metavar:
            more["metavar"] = a.metavar
        if not a.positional:
            more["dest"] = a.dest
        actions[a.dest] = parser.add_argument(*a.flags, **more)
    return actions


def example_of(found: Command, interface: str) -> str:
    """Return the command's example as typed at an interface."""
    return f":{found.example}" if interface == PROMPT else f"llm {found.example}"


def parse_arguments(found: Command, words: Sequence[str], interface: str) -> Call:
    """Parse the words after a command's name into a call. `--help` makes a call that returns the help."""
    if found.rest:
        words = _split_text(found, words)
    options = words[: words.index("--")] if "--" in words else words
    if "-h" in options or "--help" in options:
        return help_call(parser_for(found, interface).format_help().rstrip())
    debug = interface == TERMINAL and "--debug" in options
    if debug:
        words = [word for at, word in enumerate(words) if at >= len(options) or word != "--debug"]
    words = _options_first(found, words, interface)
    values = _parse(found, words, interface)
    values.pop("help")
    for a in found.arguments:
        if a.nargs or a.rest or a.many or not isinstance(values[a.dest], list):
            continue
        if a.positional:  # argparse removed a `--`
            raise UsageError(f"'--' is no {a.noun}.", f"For example {example_of(found, interface)}")
        values[a.dest] = "--"
    if found.rest:
        given = values[found.rest.dest]
        values[found.rest.dest] = " ".join(given) if isinstance(given, list) else given or ""
    return Call(found, values, debug)


def _parse(found: Command, words: Sequence[str], interface: str) -> dict[str, Any]:
    """Return the values that argparse finds. Raises UsageError in our own words."""
    command = program_of(found, interface)
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    options = words[: words.index("--")] if "--" in words else words
    for word in options:
        name, equals, _ = word.partition("=")
        if equals and name in flags and flags[name].switch:
            raise usage_errors.needless_value(command, name)
    try:
        values, extra = parser_for(found, interface).parse_known_args(list(words))
    except argparse.ArgumentError as error:
        option = next((flag for flag in flags if flag in (error.argument_name or "").split("/")), None)
        if option:
            metavar = flags[option].metavar or flags[option].dest.upper()
            raise usage_errors.missing_value(command, flags[option].flags[-1], metavar) from None
        given = words[words.index("--") + 1 :] if "--" in words else []
        needed = [a for a in found.arguments if a.positional][len(given)]
        if given:
            example = f"{command} {shlex.join(given)} {needed.metavar or needed.dest.upper()}"
            raise usage_errors.missing_next(needed.noun, example) from None
        raise usage_errors.missing(needed.noun, example_of(found, interface)) from None
    if extra:
        raise _extra(found, interface, vars(values), [word for word in extra if word != "--"] or ["--"])
    return vars(values)


def _extra(found: Command, interface: str, values: dict[str, Any], extra: list[str]) -> UsageError:
    """Refuse the words after the last argument."""
    command = program_of(found, interface)
    positional = [a for a in found.arguments if a.positional]
    if positional and positional[-1].is_name:
        *before, last = [str(values[a.dest]) for a in positional]
        return usage_errors.unquoted_name(command, before, [last, *extra])
    advice = usage_errors.question_for_chat(extra) if command == "llm chat" else ""
    return usage_errors.too_many(command, len(positional), extra[0], advice)


def _split_text(found: Command, words: Sequence[str]) -> list[str]:
    """Return the options of a command that takes a text, then `--`, then the words of the text.

    The command's own options may follow the text; `--help`, `--debug` and unknown options only count before it.
    """
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    options: list[str] = []
    text: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if word == "--":
            text += rest
        elif name in flags:
            options.append(word)
            if not flags[name].switch and not equals:
                options += islice(rest, 1)
        elif not text and re.match(r"--?[A-Za-z]", word):  # unknown ones are refused by the parser
            options.append(word)
        else:
            text.append(word)
    return [*options, "--", *text] if text else options


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Use the terminal's width without importing shutil, which argparse would do for each argument."""
    try:
        columns = os.get_terminal_size().columns
    except OSError:  # not a terminal
        columns = 0
    return argparse.RawDescriptionHelpFormatter(prog, width=(columns or 80) - 2)


class _Parser(argparse.ArgumentParser):
    """Raises ArgumentError for every error, in all versions of Python."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


def _options_first(found: Command, words: Sequence[str], interface: str) -> list[str]:
    """Reorder words, so that options may stand anywhere: the options with their values, `--`, then all others.

    Raises UsageError for an option that the command does not have.
    """
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    unknown = re.compile(r"--" if any(a.signed for a in found.arguments) else r"--|-[A-Za-z]")
    options: list[str] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if word in flags:
            optional = flags[word].nargs == "?"
            takes = not flags[word].switch and rest and not (optional and rest[0].startswith("-"))
            options += [word, rest.pop(0)] if takes else [word]
        elif word.partition("=")[0] in flags or word[:2] in flags:  # --limit=5, -n5
            options.append(word)
        elif unknown.match(word):
            raise usage_errors.unknown_option(program_of(found, interface), word.partition("=")[0], flags)
        else:
            others.append(word)
    return [*options, "--", *others] if others else options


_WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+|\S+""")
"""A shell word with its quotes; an unclosed quote is an ordinary character."""


def leading_options(found: Command, text: str) -> tuple[list[str], str]:
    """Split the options at the start of a line, whose values may be quoted, from the rest."""
    options: list[str] = []
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    while word := _WORD.match(text):
        name, equals, _ = word[0].partition("=")
        rest = text[word.end() :].lstrip()
        if name in ("-h", "--help"):
            return [name], ""
        if name == "--":
            return options, rest
        if name not in flags:
            return options, text
        options.append(_unquote(word[0]))
        text = rest
        if not flags[name].switch and not equals and (value := _WORD.match(text)):
            options.append(_unquote(value[0]))
            text = text[value.end() :].lstrip()
    return options, text


def trailing_options(found: Command, text: str) -> tuple[list[str], str]:
    """Split the options at the end of a text from it."""
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    words = list(_WORD.finditer(text))
    options: list[str] = []
    while words:
        last = words[-1][0].partition("=")
        if last[0] in flags:  # if its value is missing, the parser says so
            taken = 1
        elif len(words) > 1 and (flag := flags.get(words[-2][0])) and not flag.switch:
            taken = 2
        else:
            break
        options = [*(_unquote(word[0]) for word in words[-taken:]), *options]
        text = text[: words[-taken].start()].rstrip()
        words = words[:-taken]
    return options, text


def _unquote(word: str) -> str:
    try:
        return "".join(shlex.split(word)[:1])
    except ValueError:
        return word
