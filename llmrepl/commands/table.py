"""The one table of commands, and the command that explains it."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from llmrepl.chat.workspace import Workspace
from llmrepl.commands import app as program
from llmrepl.commands import configuration, conversation, models
from llmrepl.commands import context as craft
from llmrepl.commands import costs as money
from llmrepl.commands.registry import (
    BOTH,
    PROMPT,
    TERMINAL,
    Command,
    CommandTable,
    argument,
    command,
    parser_for,
)
from llmrepl.commands.results import Column, Document, Group, Result
from llmrepl.commands.results import Table as Names
from llmrepl.commands.sessions import browse, edit, files, repair
from llmrepl.commands.sessions import open as open_

TOPICS: tuple[ModuleType, ...] = (
    conversation,
    craft,
    open_,
    browse,
    edit,
    files,
    repair,
    models,
    money,
    configuration,
    program,
)
"""The modules whose commands are the table."""

GROUPS = ("conversation", "sessions", "models", "money", "configuration", "program")
"""The order of the groups in `:help`."""


def all_commands() -> CommandTable:
    """Every command there is."""
    rows = [c for topic in TOPICS for c in vars(topic).values() if isinstance(c, Command)]
    return CommandTable([*rows, _help(rows)])


FACES = "Type a question, or a command. At the prompt commands begin with ':', in a terminal with 'llm '."


def overview(rows: list[Command]) -> Document:
    """All commands, grouped, a line each; on a small screen their names."""
    lines = [FACES, ""]
    width = max(len(_shown(c)) for c in rows)
    for group in GROUPS:
        lines.append(group.capitalize())
        lines += [f"  {_shown(c):{width}}  {c.help}" for c in rows if c.group == group]
    lines += ["", "help COMMAND explains one, with its options and an example."]
    names = Names((Column("Group"), Column("Commands")), [row for group in GROUPS for row in _names(rows, group)])
    more = Document("help all has a line on each, help COMMAND explains one.")
    return Document("\n".join(lines), brief=Group([Document(FACES), names, more]))


def _names(rows: list[Command], group: str) -> Iterator[tuple[str, str]]:
    """The names of a group in a few rows: the single words, then the words after each that several begin with."""
    found = [c for c in rows if c.group == group]
    title = group.capitalize()
    if singles := [c for c in found if len(c.words) == 1]:
        yield title, "  ".join(_shown(c) for c in singles)
        title = ""
    for head in dict.fromkeys(c.words[0] for c in found if len(c.words) > 1):
        yield title, f"{head} " + ", ".join(c.words[1] for c in found if c.words[0] == head and len(c.words) > 1)
        title = ""


def _shown(row: Command) -> str:
    mark = {PROMPT: ":", TERMINAL: "llm ", BOTH: ""}[row.where]
    return f"{mark}{row.name}" + (f", {', '.join(mark + a for a in row.aliases)}" if row.aliases else "")


def _help(rows: list[Command]) -> Command:
    @command(
        "help",
        "the commands, or one with options and an example",
        argument("command", help="the command, or all for a line on each", source="commands", nargs="*"),
        group="program",
        example="help sessions list",
    )
    def help_(workspace: Workspace, command: list[str]) -> Result:
        """The commands, grouped; or one of them."""
        everything = [*rows, help_]
        if not command:
            return overview(everything)
        if command == ["all"]:
            return Document(overview(everything).text)
        words = [command[0].lstrip(":"), *command[1:]]
        table = CommandTable(everything)
        prompt_only = table.spellings(PROMPT).get(" ".join(words))
        interface = PROMPT if prompt_only and prompt_only.where == PROMPT else TERMINAL
        found, _ = table.find(words, interface)
        return Document(parser_for(found, interface).format_help().rstrip())

    return help_
