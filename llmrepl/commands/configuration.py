"""Commands for settings: of this shell, and of the configuration file."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Column, Document, Note, ReadSecret, Result, Table
from llmrepl.config.api_keys import Keyring
from llmrepl.errors import UsageError

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
def set_(workspace: Workspace, name: str | None, value: str | None) -> Result:
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
def config_path(workspace: Workspace) -> Result:
    """The path of config.toml, whether it exists or not."""
    return Document(str(workspace.paths.config_file))


@command(
    "config list",
    "every setting, its value and where that comes from",
    group=GROUP,
    example="config list",
    aliases=("config",),
)
def config_list(workspace: Workspace) -> Result:
    """The settings table."""
    settings = workspace.settings
    rows = [(row.key, settings.shown(row.key), settings.source(row.key)) for row in settings.rows()]
    return Table((Column("Setting"), Column("Value"), Column("From")), rows)


@command(
    "config get",
    "one setting's value",
    argument("key", help="the setting", source="config"),
    group=GROUP,
    example="config get default_model",
)
def config_get(workspace: Workspace, key: str) -> Result:
    """The value that is in force."""
    return Document(workspace.settings.shown(key))


@command(
    "config set",
    "write a setting into the configuration file",
    argument("key", help="the setting", source="config"),
    argument("value", help="its new value"),
    group=GROUP,
    example="config set default_model openai/gpt-4o-mini",
)
def config_set(workspace: Workspace, key: str, value: str) -> Result:
    """From the next start on; a setting of the shell also changes now."""
    from llmrepl.config.config_file import write_setting

    write_setting(workspace.paths.config_file, key, value)
    if any(key in (row.key, row.name) for row in workspace.settings.of_shell()):
        workspace.settings.set(key, value)
    return Note(f"{key} = {value} in {workspace.paths.config_file}")


@command(
    "keys set",
    "keep a provider's key, typed unseen or piped in",
    argument("provider", help="whose key it is", source="providers"),
    group=GROUP,
    example="keys set openai",
)
def keys_set(workspace: Workspace, provider: str) -> Result:
    """The key never stands on a command line, in the history or in a session."""
    if provider not in workspace.resolver().providers() or provider == "offline":
        raise UsageError(f"there is no provider '{provider}' that needs a key", "see 'keys list'")

    def keep(key: str) -> Result:
        Keyring(workspace.paths.keys_file).set(provider, key)
        return Note(f"the key for {provider} is kept in {workspace.paths.keys_file}")

    piped = workspace.piped_text()
    return keep(piped) if piped.strip() else ReadSecret(f"Key for {provider}: ", keep)


@command(
    "keys list",
    "the providers, and where the key of each comes from",
    group=GROUP,
    example="keys list",
    aliases=("keys",),
)
def keys_list(workspace: Workspace) -> Result:
    """Never the keys themselves."""
    resolver = workspace.resolver()
    rows = [(name, resolver.key_origin(name) or None) for name in resolver.providers() if name != "offline"]
    return Table((Column("Provider", "name"), Column("Key from")), rows)


@command(
    "keys remove",
    "forget a provider's key",
    argument("provider", help="whose key it is", source="providers"),
    group=GROUP,
    example="keys remove openai",
)
def keys_remove(workspace: Workspace, provider: str) -> Result:
    """Only a key that 'keys set' keeps."""
    Keyring(workspace.paths.keys_file).remove(provider)
    return Note(f"the key for {provider} is forgotten")
