"""The table of all commands, and the `help` command."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from llmrepl.chat.workspace import Workspace
from llmrepl.commands import app, configuration, context, conversation, costs, doctor, models, results
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
from llmrepl.commands.sessions import browse, edit, files, merge, repair
from llmrepl.commands.sessions import open as open_

TOPICS: tuple[ModuleType, ...] = (
    conversation,
    context,
    open_,
    browse,
    edit,
    files,
    merge,
    repair,
    models,
    costs,
    configuration,
    app,
    doctor,
)
"""The modules that define commands."""

GROUPS = ("conversation", "sessions", "models", "costs", "configuration", "program")
"""The order of the groups in `:help`."""


def all_commands() -> CommandTable:
    """Return the table of all commands."""
    rows = [c for topic in TOPICS for c in vars(topic).values() if isinstance(c, Command)]
    return CommandTable([*rows, _help(rows)])


INTRODUCTION = "Type a question or a command. Commands begin with ':' at the prompt and with 'llm ' in a terminal."


def overview(rows: list[Command]) -> Document:
    """List all commands by group, one per line; on a small screen only their names."""
    lines = [INTRODUCTION, ""]
    width = max(len(_shown(c)) for c in rows)
    for group in GROUPS:
        lines.append(group.capitalize())
        lines += [f"  {_shown(c):{width}}  {c.help}" for c in rows if c.group == group]
    lines += ["", "help COMMAND explains one, with its options and an example."]
    names = results.Table(
        (Column("Group"), Column("Commands")), [row for group in GROUPS for row in _names(rows, group)]
    )
    more = Document("help all has a line on each, help COMMAND explains one.")
    return Document("\n".join(lines), brief=Group([Document(INTRODUCTION), names, more]))


def _names(rows: list[Command], group: str) -> Iterator[tuple[str, str]]:
    """Yield the command names of a group in a few rows: single words, then subcommands by their first word."""
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
        "show help for all commands or for one",
        argument("command", help="command, or 'all' for one line each", source="commands", nargs="*"),
        group="program",
        example="help sessions list",
    )
    def help_(workspace: Workspace, command: list[str]) -> Result:
        """List all commands by group, or explain one."""
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
