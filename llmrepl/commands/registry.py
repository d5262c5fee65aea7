"""Commands and their arguments, and the grammar that parses input into calls."""

from __future__ import annotations

import argparse
import keyword
import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from llmrepl.commands.results import Document, Result
from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name

BOTH, PROMPT, TERMINAL = "both", "prompt", "terminal"


@dataclass
class Argument:
    """One argument. `flags` is a name (positional) or options such as `("-m", "--model")`.

    `source` names the source of its values for completion (see value_sources.py). `nargs` is as in argparse; `switch`
    is an option without a value; `rest` takes the rest of the line verbatim at the prompt; `signed` also accepts words
    that begin with one dash unless they are options of the command.
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


_OTHER_NAMES = {"list": "sessions list", "ls": "sessions list", "version": "--version"}
"""Commands that other programs have in a terminal, and what to use here."""


def _quoted(text: str) -> str:
    """Quote a text for a POSIX shell, in double quotes where they keep it as it is."""
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'


class CommandTable:
    """All commands, found by their words."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = list(commands)
        self._by_words = {c.words: c for c in self.commands}
        self._by_words |= {tuple(alias.split()): c for c in self.commands for alias in c.aliases}
        self._heads = {words[: n + 1] for words in self._by_words for n in range(len(words))}

    def at(self, interface: str) -> list[Command]:
        """Return the commands available at `prompt` or `terminal`."""
        return [c for c in self.commands if c.where in (BOTH, interface)]

    def spellings(self, interface: str) -> dict[str, Command]:
        """Return every name and alias available at an interface, with its command."""
        return {" ".join(words): c for words, c in self._by_words.items() if c.where in (BOTH, interface)}

    def find(self, words: Sequence[str], interface: str) -> tuple[Command, list[str]]:
        """Find the command that `words` begin with; also return the remaining words.

        Raises UsageError with the closest match.
        """
        mark = ":" if interface == PROMPT else "llm "
        depth = 0
        while depth < len(words) and tuple(words[: depth + 1]) in self._heads:
            depth += 1
        for n in range(depth, 0, -1):
            found = self._by_words.get(tuple(words[:n]))
            if found is None or self._misspelled(found, words, n):
                continue
            if found.where not in (BOTH, interface):
                other = f":{found.name}" if interface == TERMINAL else f"llm {found.name}"
                raise UsageError(f"'{mark}{found.name}' does not work here", f"use '{other}'")
            return found, list(words[n:])
        typed = " ".join(words[: max(depth + 1, 1)]) if words else ""
        if interface == TERMINAL and len(typed.split()) > 1 and depth == 0:
            hint = f"To ask one question: llm ask {_quoted(escape_name(typed))}"
            raise UsageError(f"Unknown command '{escape_name(typed)}'.", hint)
        if interface == TERMINAL and (ours := _OTHER_NAMES.get(typed)):
            raise UsageError(f"Unknown command 'llm {typed}'.", f"Did you mean 'llm {ours}'?")
        names = [name for name in self.spellings(interface) if depth == 0 or name.startswith(" ".join(words[:depth]))]
        near = closest_match(typed, names, 0.5)
        hint = f"Did you mean '{mark}{near}'?" if near else f"See '{mark}help'."
        raise UsageError(f"Unknown command '{mark}{escape_name(typed)}'.", hint)

    def _misspelled(self, found: Command, words: Sequence[str], n: int) -> bool:
        """Whether the word after the first `n` can only be a misspelled subcommand."""
        if len(words) == n or words[n].startswith("-") or any(a.positional for a in found.arguments):
            return False
        return any(len(longer) > n and longer[:n] == tuple(words[:n]) for longer in self._by_words)

    def parse(self, words: Sequence[str], interface: str) -> Call:
        """Parse `words` into a call. Raises UsageError."""
        found, rest = self.find(words, interface)
        return parse_arguments(found, rest, interface)

    def parse_line(self, line: str) -> Call:
        """Parse a line at the prompt, without its colon, into a call. Raises UsageError."""
        head = line.split()
        found, rest = self.find(head, PROMPT)
        if not found.rest:
            if "\n" in line.strip():
                raise UsageError(
                    f"':{found.name}' takes one line.", "begin a prompt with '::' to send a text with a colon"
                )
            try:
                words = shlex.split(line)
            except ValueError as error:
                raise UsageError(f"the quotes of ':{escape_name(line)}' do not match", "close the quote") from error
            return parse_arguments(found, words[len(head) - len(rest) :], PROMPT)
        text = line.strip()
        for _ in range(len(head) - len(rest)):
            text = text.partition(text.split(None, 1)[0])[2].lstrip()
        options, text = _leading_options(found, text)
        return parse_arguments(found, [*options, *(["--", text] if text else [])], PROMPT)


def parser_for(found: Command, interface: str) -> argparse.ArgumentParser:
    """Create the argparse parser of a command."""
    parser = _Parser(
        prog=f":{found.name}" if interface == PROMPT else f"llm {found.name}",
        description=found.help[0].upper() + found.help[1:] + ".",
        epilog="\n".join(filter(None, [found.at_end, f"Example: {example_of(found, interface)}"])),
        formatter_class=_formatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.example = example_of(found, interface)
    add_arguments(parser, found)
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    return parser


def add_arguments(parser: argparse.ArgumentParser, found: Command) -> dict[str, argparse.Action]:
    """Add the command's arguments to a parser; return the actions by handler parameter."""
    actions = {}
    for a in found.arguments:
        if a.switch:
            actions[a.dest] = parser.add_argument(*a.flags, action="store_true", dest=a.dest, help=a.help)
            continue
        more: dict[str, Any] = {"help": a.help, "type": a.kind, "default": a.default}
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
        text = parser_for(found, interface).format_help()
        return Call(Command(found.words, found.help, found.group, found.example, lambda _: Document(text)), {})
    debug = interface == TERMINAL and "--debug" in options
    if debug:
        words = [word for at, word in enumerate(words) if at >= len(options) or word != "--debug"]
    if any(a.signed for a in found.arguments):
        words = _options_first(found, words)
    parser = parser_for(found, interface)
    values = vars(parser.parse_args(list(words)))
    values.pop("help")
    for a in found.arguments:
        if a.nargs or a.rest or not isinstance(values[a.dest], list):
            continue
        if a.positional:  # argparse removed a `--`
            parser.error(f"{a.dest} cannot be '--'")
        values[a.dest] = "--"
    if found.rest:
        given = values[found.rest.dest]
        values[found.rest.dest] = " ".join(given) if isinstance(given, list) else given or ""
    return Call(found, values, debug)


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
    example = ""

    def error(self, message: str) -> NoReturn:
        if found := re.fullmatch(r"argument (\S+): invalid (?:int|float) value: (.*)", message, re.DOTALL):
            what = found[1] if found[1].startswith("-") else f"'{self.prog}'"
            wrong = f"{what} takes a number, not {escape_name(found[2])}."
            raise UsageError(wrong, f"For example '{self.example}'.")
        names = message.removeprefix("the following arguments are required: ")
        if names != message:
            raise UsageError(f"'{self.prog}' needs {names.lower()}.", f"For example '{self.example}'.")
        raise UsageError(f"{self.prog}: {escape_name(message)}", f"see '{self.prog} --help'")


def _options_first(found: Command, words: Sequence[str]) -> list[str]:
    """Reorder words: the command's options, `--`, then all others."""
    flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
    options: list[str] = []
    others: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            others += rest
        elif word in flags or word.startswith("--"):
            options.append(word)
            if word in flags and not flags[word].switch:
                options += [value for value in (next(rest, None),) if value is not None]
        else:
            others.append(word)
    return [*options, "--", *others] if others else options


_WORD = re.compile(r"""(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+|\S+""")
"""A shell word with its quotes; an unclosed quote is an ordinary character."""


def _leading_options(found: Command, text: str) -> tuple[list[str], str]:
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


def _unquote(word: str) -> str:
    try:
        return "".join(shlex.split(word)[:1])
    except ValueError:
        return word
