"""The table of all commands, and the `help` command."""

from __future__ import annotations

from types import ModuleType

from llmrepl.chat.workspace import Workspace
from llmrepl.commands import app, configuration, context, conversation, costs, doctor, models
from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.grammar.help_pages import help_page
from llmrepl.commands.other_tools import SHORT
from llmrepl.commands.prompts import attach, library
from llmrepl.commands.registry import PROMPT, TERMINAL, Command, argument, command
from llmrepl.commands.results import Document, Result
from llmrepl.commands.sessions import browse, edit, files, merge, repair
from llmrepl.commands.sessions import open as open_

TOPICS: tuple[ModuleType, ...] = (
    conversation,
    attach,
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
    library,
    app,
    doctor,
)
"""The modules that define commands."""


def all_commands() -> CommandTable:
    """Return the table of all commands."""
    rows = [c for topic in TOPICS for c in vars(topic).values() if isinstance(c, Command)]
    return CommandTable([*rows, _help(rows)])


def _help(rows: list[Command]) -> Command:
    @command(
        "help",
        "show help on commands, the keyboard or API keys",
        argument("command", help="command, 'keys', 'api-keys' or 'all'", source="commands", nargs="*"),
        group="program",
        example="help sessions list",
    )
    def help_(workspace: Workspace, command: list[str]) -> Result:
        """List the most important commands, or show the page on one or on a topic."""
        words = [" ".join(command).lstrip(":/")] if len(command) == 1 else command
        words = [SHORT.get(words[0], words[0]), *words[1:]] if words else []
        interface = PROMPT if workspace.stdin_is_input else TERMINAL
        return Document(help_page(CommandTable([*rows, help_]), " ".join(words).split(), interface))

    return help_
