"""The one table of commands, and the command that explains it."""

from __future__ import annotations

from types import ModuleType

from llmrepl.commands import (
    configuration,
    conversation,
    craft,
    keeping,
    listing,
    manager,
    mending,
    models,
    money,
    moving,
    program,
)
from llmrepl.commands.registry import (
    BOTH,
    PROMPT,
    TERMINAL,
    Command,
    Table,
    argument,
    command,
    parser_for,
)
from llmrepl.commands.replies import Document, Reply
from llmrepl.workspace import Workspace

TOPICS: tuple[ModuleType, ...] = (
    conversation, craft, keeping, listing, manager, moving, mending, models, money, configuration, program,
)
"""The modules whose commands are the table."""

GROUPS = ("conversation", "sessions", "models", "money", "configuration", "program")
"""The order of the groups in `:help`."""


def all_commands() -> Table:
    """Every command there is."""
    rows = [c for topic in TOPICS for c in vars(topic).values() if isinstance(c, Command)]
    return Table([*rows, _help(rows)])


def overview(rows: list[Command]) -> str:
    """All commands, grouped, a line each."""
    lines = ["Type a question, or a command. At the prompt commands begin with ':', in a terminal with 'llm '.", ""]
    width = max(len(_shown(c)) for c in rows)
    for group in GROUPS:
        lines.append(group.capitalize())
        lines += [f"  {_shown(c):{width}}  {c.help}" for c in rows if c.group == group]
    lines += ["", "help COMMAND explains one, with its options and an example."]
    return "\n".join(lines)


def _shown(row: Command) -> str:
    mark = {PROMPT: ":", TERMINAL: "llm ", BOTH: ""}[row.where]
    return f"{mark}{row.name}" + (f", {', '.join(mark + a for a in row.aliases)}" if row.aliases else "")


def _help(rows: list[Command]) -> Command:
    @command(
        "help",
        "the commands, or one of them with its options and an example",
        argument("command", help="the command", source="commands", nargs="*"),
        group="program",
        example="help sessions list",
    )
    def help_(workspace: Workspace, command: list[str]) -> Reply:
        """The commands, grouped, a line each; or one of them."""
        everything = [*rows, help_]
        if not command:
            return Document(overview(everything))
        words = [command[0].lstrip(":"), *command[1:]]
        table = Table(everything)
        prompt_only = table.spellings(PROMPT).get(" ".join(words))
        face = PROMPT if prompt_only and prompt_only.where == PROMPT else TERMINAL
        found, _ = table.find(words, face)
        return Document(parser_for(found, face).format_help().rstrip())

    return help_


