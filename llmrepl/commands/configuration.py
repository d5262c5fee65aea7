"""Commands for settings and API keys."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Column, Document, Note, ReadSecret, Result, Table
from llmrepl.config.api_keys import Keyring
from llmrepl.config.settings import JSON_FILE
from llmrepl.errors import UsageError

GROUP = "configuration"


@command(
    "set",
    "show or change settings until the shell ends",
    argument("name", help="setting to show or change", source="settings", nargs="?"),
    argument("value", help="new value", source="values", nargs="?"),
    group=GROUP,
    example="set temperature 0.2",
    where=PROMPT,
)
def set_(workspace: Workspace, name: str | None, value: str | None) -> Result:
    """List all shell settings, show one, or change one until the shell ends."""
    settings = workspace.settings
    if name is None:
        rows = [(row.key, settings.display(row.key), row.help) for row in settings.shell_settings()]
        return Table((Column("Setting"), Column("Value"), Column("What it does")), rows)
    if value is not None:
        settings.set(name, value)
        return Note(f"{name} = {settings.display(name)}")
    return Document(settings.display(name))


@command(
    "config path",
    "print the path of the configuration file",
    group=GROUP,
    example="config path",
)
def config_path(workspace: Workspace) -> Result:
    """Return the path of config.toml, which need not exist."""
    return Document(str(workspace.paths.config_file))


@command(
    "config list",
    "list all settings with value and origin",
    group=GROUP,
    example="config list",
    aliases=("config",),
)
def config_list(workspace: Workspace) -> Result:
    """List all settings."""
    settings = workspace.settings
    rows = [(row.key, settings.display(row.key), settings.source(row.key)) for row in settings.rows()]
    return Table((Column("Setting"), Column("Value"), Column("From")), rows)


@command(
    "config get",
    "print the value of a setting",
    argument("key", help="setting to print", source="config"),
    group=GROUP,
    example="config get default_model",
)
def config_get(workspace: Workspace, key: str) -> Result:
    """Return the effective value of a setting."""
    return Document(workspace.settings.display(key))


@command(
    "config set",
    "change a setting in the configuration file",
    argument("key", help="setting to change", source="config"),
    argument("value", help="new value", source="values"),
    group=GROUP,
    example="config set default_model openai/gpt-4o-mini",
)
def config_set(workspace: Workspace, key: str, value: str) -> Result:
    """Write a setting to the file; a shell setting also changes immediately."""
    from llmrepl.config.config_file import write_setting

    workspace.check_trusted("change the configuration")
    file = workspace.paths.config_file
    if not file.exists() and file.with_name(JSON_FILE).exists():
        raise UsageError(
            f"Settings are read from {file.with_name(JSON_FILE)}, which this does not change.",
            f"edit it, or move its settings to {file}",
        )

    write_setting(workspace.paths.config_file, key, value)
    if any(key in (row.key, row.name) for row in workspace.settings.shell_settings()):
        workspace.settings.set(key, value)
    return Note(f"{key} = {value} in {workspace.paths.config_file}")


@command(
    "keys set",
    "save an API key, typed at a hidden prompt or piped in",
    argument("provider", help="provider of the key", source="providers"),
    group=GROUP,
    example="keys set openai",
)
def keys_set(workspace: Workspace, provider: str) -> Result:
    """Save an API key without it appearing on the command line, in the history or in a session."""
    workspace.check_trusted("change API keys")
    if provider not in workspace.resolver().providers() or provider == "offline":
        raise UsageError(f"there is no provider '{provider}' that needs a key", "see 'keys list'")

    def save(key: str) -> Result:
        Keyring(workspace.paths.keys_file).set(provider, key)
        return Note(f"the key for {provider} is kept in {workspace.paths.keys_file}")

    piped = workspace.piped_text()
    return save(piped) if piped.strip() else ReadSecret(f"Key for {provider}: ", save)


@command(
    "keys list",
    "list providers and where their keys come from",
    group=GROUP,
    example="keys list",
    aliases=("keys",),
)
def keys_list(workspace: Workspace) -> Result:
    """List the origin of each provider's key, never the key."""
    resolver = workspace.resolver()
    rows = [(name, resolver.key_origin(name) or None) for name in resolver.providers() if name != "offline"]
    return Table((Column("Provider", "name"), Column("Key from")), rows)


@command(
    "keys remove",
    "delete a saved API key",
    argument("provider", help="provider of the key", source="providers"),
    group=GROUP,
    example="keys remove openai",
)
def keys_remove(workspace: Workspace, provider: str) -> Result:
    """Delete a key that `keys set` saved."""
    workspace.check_trusted("change API keys")
    Keyring(workspace.paths.keys_file).remove(provider)
    return Note(f"the key for {provider} is forgotten")
