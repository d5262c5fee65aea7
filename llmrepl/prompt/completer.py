"""Tab completion of commands, options and argument values from the command table."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.registry import PROMPT, Argument, Command
from llmrepl.commands.value_sources import SOURCES, Candidate, filter_matching, help_topics
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name


class RegistryCompleter(Completer):
    """Completes lines that begin with a colon; prompts for the model have no completions."""

    def __init__(self, table: CommandTable, workspace: Workspace) -> None:
        self._table = table
        self._workspace = workspace
        self._files = PathCompleter(expanduser=True)
        self._directories = PathCompleter(expanduser=True, only_directories=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Return the completions of the word before the cursor."""
        line = document.text_before_cursor
        if not line.startswith(":") or line.startswith("::") or "\n" in line:
            return ()
        before, word = _split(line[1:])
        words = before.split()
        try:
            found, rest = self._table.find(words, PROMPT) if words else (None, [])
        except UsageError:
            found, rest = None, []
        names = self._commands(before, word)
        if found is None:
            return names
        return [*names, *self._arguments(found, rest, before, word, complete_event)]

    def _commands(self, before: str, word: str) -> list[Completion]:
        """Complete the next word of a command name."""
        typed = " ".join(before.split())
        lead = f"{typed} " if typed else ""
        found: dict[str, str] = {}
        open_session = self._workspace.chat.current
        has_turns = open_session is not None and bool(open_session.session.turns)
        for name, c in sorted(self._table.spellings(PROMPT).items()):
            if name.startswith(lead + word) and (has_turns or not c.after_turns):
                next_word, _, more = name[len(lead) :].partition(" ")
                if next_word and (next_word not in found or not more):
                    found[next_word] = c.help if not more else f"{next_word} …"
        return [_completion(word, Candidate(value, hint)) for value, hint in found.items()]

    def _arguments(
        self, found: Command, rest: list[str], before: str, word: str, event: CompleteEvent
    ) -> Iterator[Completion]:
        flags = {flag: a for a in found.arguments if not a.positional for flag in a.flags}
        flag, equals, value = word.partition("=")
        if equals and flag in flags:
            word, rest = value, [*rest, flag]
        elif word.startswith("-"):
            given = [flags[one] for one in rest if one in flags]
            for flag, a in flags.items():
                if flag.startswith(word) and flag.startswith("--") and a not in given:
                    yield _completion(word, Candidate(flag, a.help))
            if "--help".startswith(word):
                yield _completion(word, Candidate("--help", "show help"))
            return
        last = rest[-1] if rest else ""
        wanted = flags[last] if last in flags and not flags[last].switch else _positional(found, rest, flags)
        if wanted is None or (wanted.rest and wanted.source != "files" and (not wanted.nargs or "--" in rest)):
            return
        if wanted.choices:
            candidates: Iterable[Candidate] = (Candidate(c) for c in wanted.choices)
        elif wanted.source == "commands":
            candidates = help_topics(self._table, PROMPT, rest)
        elif wanted.source in ("files", "directories"):
            paths = self._files if wanted.source == "files" else self._directories
            yield from paths.get_completions(Document(word), event)
            return
        else:
            source = SOURCES.get(wanted.source)
            candidates = source(self._workspace, before, word) if source else ()
        if wanted.source == "scripts":
            yield from self._files.get_completions(Document(word), event)
        for candidate in filter_matching(candidates, word.strip("'\"")):
            yield _completion(word, candidate, quote=wanted.source != "commands")


def _split(line: str) -> tuple[str, str]:
    """Split a line into what precedes the current word, and that word with its open quote."""
    quote, start = "", 0
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            start = at + 1
    return line[:start], line[start:]


def _positional(found: Command, rest: list[str], flags: dict[str, Argument]) -> Argument | None:
    values = 0
    skip = False
    for word in rest:
        if skip or word.startswith("-"):
            skip = not skip and word in flags and not flags[word].switch
        else:
            values += 1
    places = [a for a in found.arguments if a.positional]
    if values < len(places):
        return places[values]
    return places[-1] if places and (places[-1].nargs in ("*", "+") or places[-1].rest) else None


def _completion(word: str, candidate: Candidate, *, quote: bool = False) -> Completion:
    value = shlex.quote(candidate.value) if quote else candidate.value
    return Completion(
        value, start_position=-len(word), display=escape_name(candidate.value), display_meta=escape_name(candidate.hint)
    )
