"""Commands for settings and API keys."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Column, Confirm, Document, Note, ReadSecret, Result, Table
from llmrepl.config.api_keys import Keyring
from llmrepl.config.settings import JSON_FILE
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

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

    write_setting(file, key, value)
    workspace.settings.reload(workspace.environment.environ, workspace.environment.cwd, workspace.paths, key)
    said = f"{key} = {value} in {file}"
    return Note("\n".join(filter(None, [said, _effect(workspace, key, str(file))])))


_AT_START = {
    "save_sessions": "Shells that start from now on use it; ':incognito' changes this one.",
    "default_budget": "Sessions that start from now on use it; ':budget' changes this one.",
    "daily_budget": "Shells that start from now on use it.",
    "keys": "",
}
"""What is said of settings that the running shell has read before."""


def _effect(workspace: Workspace, key: str, file: str) -> str:
    """Return what a changed setting does in this shell, if that is not obvious."""
    settings, at_prompt = workspace.settings, workspace.stdin_is_input
    source = settings.source(key) if any(key in (row.key, row.name) for row in settings.rows()) else file
    if source not in (file, "default"):
        return f"But {source} comes first: {key} is {settings.display(key)}."
    if key == "default_model" and at_prompt:
        if workspace.chat.forget_default_model():
            return f"🤖 Model: {workspace.chat.model}"
        if workspace.chat.model != settings.text(key):
            return f"This conversation stays with {workspace.chat.model}.\n':model {settings.text(key)}' switches it."
    return _AT_START.get(key, "") if at_prompt else ""


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
        raise UsageError(f"No provider '{escape_name(provider)}' needs a key.", "llm keys list shows the providers")

    def save(key: str) -> Result:
        Keyring(workspace.paths.keys_file).set(provider, key)
        return _key_saved(workspace, provider)

    piped = workspace.piped_text()
    return save(piped) if piped.strip() else ReadSecret(f"Key for {provider}: ", save)


def _key_saved(workspace: Workspace, provider: str) -> Result:
    """Tell where the key is and, at the prompt, offer to switch to a model of its provider."""
    file = str(workspace.paths.keys_file)
    if (origin := workspace.resolver().key_origin(provider)) != file:
        return Note(f"Saved the key for {provider} in {file}.\nBut {origin} comes first.")
    before = workspace.chat.model
    at_prompt = workspace.stdin_is_input and workspace.environment.interactive()
    if not at_prompt or before.partition("/")[0] == provider:
        return Note(f"Saved the key for {provider} in {file}.")
    model = workspace.default_models().confirm(provider)
    if model is None:
        return Note(f"Saved the key for {provider} in {file}.\n':models --provider {provider}' lists its models.")
    name = f"{provider}/{model}"

    def use(model: str) -> Result:
        workspace.chat.set_model(model)
        return Note(f"🤖 Model: {model}")

    question = f"Key saved. Switch to {name} now? [Y/n] "
    return Confirm(question, lambda: use(name), default=True, otherwise=lambda: use(before))


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
    return Note(f"Removed the key for {provider}.")
