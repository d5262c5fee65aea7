"""Find the session that a command names: in its directory or, with `--all`, in every directory used so far."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path, quote_for_shell
from llmrepl.sessions.names import find_session, matching_names
from llmrepl.sessions.storage.known_directories import read_known

ALL = argument("--all", help="look in every directory used so far", switch=True)


def known_directories(workspace: Workspace) -> list[Path]:
    """Return the existing directories used so far, the chat's last."""
    own = workspace.directory()
    used = [*read_known(workspace.paths.directories_file), own.resolve()]
    return [place for place in dict.fromkeys(used) if place.is_dir()] or [own]


def find_path(workspace: Workspace, name: str, directory: Path | None = None, *, everywhere: bool = False) -> Path:
    """Return the file that `name` refers to in `directory`, by default the chat's, or `everywhere`.

    Raises UsageError if none or several match. It offers the path of a session in another directory.
    """
    store = workspace.store(directory)
    try:
        return store.find(name)
    except UsageError as missing:
        if "/" in name or name.startswith("~") or matching_names(store.directory, name):
            raise
        found = [path for path in _elsewhere(workspace, name) if path.parent != store.directory.resolve()]
        if everywhere and len(found) == 1:
            return found[0]
        if not found:
            raise
        paths = [quote_for_shell(display_path(path, workspace.environment.cwd)) for path in found]
        if everywhere:
            raise UsageError(f"Several directories have a session {name}.", f"Use a path: {', '.join(paths)}") from None
        raise UsageError(missing.message, f"Use its path, or --all: {', '.join(paths)}") from None


def _elsewhere(workspace: Workspace, name: str) -> list[Path]:
    """Return the session of this name in each directory used so far that has exactly one."""
    found = []
    for place in known_directories(workspace):
        with suppress(UsageError):
            if matching_names(place, name):
                found.append(find_session(place, name, place))
    return found
