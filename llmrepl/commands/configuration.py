"""Commands for settings: of this shell, and of the configuration file."""

from __future__ import annotations

from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.replies import Column, Document, Note, Reply, Table
from llmrepl.workspace import Workspace

GROUP = "configuration"


@command(
    "set",
    "show or change a setting of this shell",
    argument("name", help="the setting", source="settings", nargs="?"),
    argument("value", help="its new value", source="values", nargs="?"),
    group=GROUP,
    example="set temperature 0.2",
    where=PROMPT,
)
def set_(workspace: Workspace, name: str | None, value: str | None) -> Reply:
    """Show all settings of the shell, show one, or change one until the shell ends."""
    settings = workspace.settings
    if name is None:
        rows = [(row.key, settings.shown(row.key), row.help) for row in settings.of_shell()]
        return Table((Column("Setting"), Column("Value"), Column("What it does")), rows)
    if value is not None:
        settings.set(name, value)
        return Note(f"{name} = {settings.shown(name)}")
    return Document(settings.shown(name))


@command(
    "config path",
    "where the configuration file is",
    group=GROUP,
    example="config path",
)
def config_path(workspace: Workspace) -> Reply:
    """The path of config.toml, whether it exists or not."""
    return Document(str(workspace.places.config_file))


@command(
    "config list",
    "every setting, its value and where that comes from",
    group=GROUP,
    example="config list",
    aliases=("config",),
)
def config_list(workspace: Workspace) -> Reply:
    """The settings table."""
    settings = workspace.settings
    rows = [(row.key, settings.shown(row.key), settings.source(row.key)) for row in settings.rows()]
    return Table((Column("Setting"), Column("Value"), Column("From")), rows)
