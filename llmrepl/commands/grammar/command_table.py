"""Finds a command by its words, and parses input into calls."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from itertools import takewhile

from llmrepl.commands.grammar import usage_errors
from llmrepl.commands.registry import (
    BOTH,
    PROMPT,
    TERMINAL,
    Call,
    Command,
    help_call,
    leading_options,
    parse_arguments,
    trailing_options,
)
from llmrepl.errors import UsageError
from llmrepl.formatting import closest_match, escape_name

_OTHER_NAMES = {
    "list": "sessions list",
    "ls": "sessions list",
    "logs": "sessions list",
    "history": "sessions list",
    "chats": "sessions list",
    "version": "--version",
    "login": "keys set",
    "init": "keys set",
    "setup": "keys set",
    "settings": "config",
    "resume": "sessions resume",
    "open": "sessions resume",
    "continue": "-c",
    "prompt": "ask",
    "stats": "sessions stats",
}
"""Commands that other programs have in a terminal, and what to use here."""


_ON_SAVED = {"load": "sessions resume"}
"""Commands at the prompt whose counterpart in a terminal is not `sessions` and their name."""


def _quoted(text: str) -> str:
    """Quote a text for a POSIX shell, in double quotes where they keep it as it is."""
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'


_QUESTION_WORDS = frozenset(
    "what who whom whose which when where why how is are am was were do does did can could should would will shall may "
    "explain write tell give make please translate summarize fix describe compare create generate draft find list show "
    "hello hi hey i my the a an in is's what's who's where's how's why's".split()
)


def _question(words: Sequence[str], near: str | None) -> str:
    """Return the question in words that begin with no command; empty if they are more likely a misspelled one."""
    said = list(takewhile(lambda word: not word.startswith("-"), words))
    text = " ".join(said)
    if len(text.split()) < 2:
        return ""
    if text.split()[0].lower() in _QUESTION_WORDS or " " in said[0]:
        return text
    return "" if near or len(said) < 3 else text


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
                instead = _ON_SAVED.get(found.name, f"sessions {found.name}")
                instead = instead if instead in self.spellings(TERMINAL) else ""
                raise usage_errors.elsewhere(found.name, PROMPT if interface == TERMINAL else TERMINAL, instead)
            return found, list(words[n:])
        typed = " ".join(words[: max(depth + 1, 1)]) if words else ""
        names = [name for name in self.spellings(interface) if depth == 0 or name.startswith(" ".join(words[:depth]))]
        near = closest_match(typed, names, 0.65)
        if interface == TERMINAL and depth == 0 and (question := _question(words, near)):
            hint = f"To ask one question: llm ask {_quoted(escape_name(question))}"
            raise UsageError(f"Unknown command '{escape_name(question)}'.", hint)
        if interface == TERMINAL and (ours := _OTHER_NAMES.get(typed)):
            raise UsageError(f"Unknown command 'llm {typed}'.", f"Did you mean 'llm {ours}'?")
        hint = f"Did you mean '{mark}{near}'?" if near else f"{mark}help lists the commands"
        raise UsageError(f"Unknown command '{mark}{escape_name(typed)}'.", hint)

    def spell(self, text: str, interface: str) -> str:
        """Return a message with commands as they are typed at an interface: `:keys set` or `llm keys set`."""
        names = self.spellings(interface)
        mark, written = (":", r"(?<![\w:/.-])llm ") if interface == PROMPT else ("llm ", r"(?<![\w:]):")

        def spelled(found: re.Match[str]) -> str:
            first, second = found[1], found[2] or ""
            return mark + first + second if first in names or first + second in names else found[0]

        return re.sub(written + r"([a-z]+)((?: [a-z]+)?)", spelled, text)

    def is_group(self, words: Sequence[str]) -> bool:
        """Whether `words` are one word with several subcommands, such as `sessions`."""
        return len(words) == 1 and sum(c.words[:1] == (words[0],) and len(c.words) > 1 for c in self.commands) > 1

    def group_page(self, head: str, interface: str) -> str:
        """Return a page with the subcommands of a group, a line each."""
        program = f":{head}" if interface == PROMPT else f"llm {head}"
        rows = [c for c in self.at(interface) if c.words[0] == head and len(c.words) > 1]
        width = max(len(c.words[1]) for c in rows)
        alone = self._by_words.get((head,))
        lines = [f"usage: {program} COMMAND", "", *(f"  {c.words[1]:{width}}  {c.help}" for c in rows), ""]
        if alone:
            lines.append(f"'{program}' alone is '{program} {alone.words[1]}'.")
        return "\n".join([*lines, f"{program} COMMAND --help explains one."])

    def _misspelled(self, found: Command, words: Sequence[str], n: int) -> bool:
        """Whether the word after the first `n` can only be a misspelled subcommand."""
        if len(words) == n or words[n].startswith("-") or any(a.positional for a in found.arguments):
            return False
        return any(len(longer) > n and longer[:n] == tuple(words[:n]) for longer in self._by_words)

    def parse(self, words: Sequence[str], interface: str) -> Call:
        """Parse `words` into a call. Raises UsageError."""
        if self.is_group(words[:1]) and words[1:2] and words[1] in ("-h", "--help"):
            return help_call(self.group_page(words[0], interface))
        found, rest = self.find(words, interface)
        return parse_arguments(found, rest, interface)

    def parse_line(self, line: str) -> Call:
        """Parse a line at the prompt, without its colon, into a call. Raises UsageError."""
        head = line.split()
        if self.is_group(head[:1]) and head[1:] in (["-h"], ["--help"]):
            return self.parse(head, PROMPT)
        found, rest = self.find(head, PROMPT)
        if not found.rest:
            if "\n" in line.strip():
                raise UsageError(f"':{found.name}' takes one line.", "::TEXT sends a text that begins with a colon")
            try:
                words = shlex.split(line)
            except ValueError as error:
                raise usage_errors.open_quote(line) from error
            return parse_arguments(found, words[len(head) - len(rest) :], PROMPT)
        text = line.strip()
        for _ in range(len(head) - len(rest)):
            text = text.partition(text.split(None, 1)[0])[2].lstrip()
        options, text = leading_options(found, text)
        if found.rest.trailing_options:
            trailing, text = trailing_options(found, text)
            options += trailing
        return parse_arguments(found, [*options, *(["--", text] if text else [])], PROMPT)
