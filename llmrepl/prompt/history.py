"""Input history: one private, append-only file for all shells."""

from __future__ import annotations

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from llmrepl.chat.workspace import Workspace
from llmrepl.system.files import create_private


class PrivateHistory(FileHistory):
    """prompt_toolkit's history file with mode 0600. Inputs that are not written stay in memory."""

    def __init__(self, filename: str, workspace: Workspace) -> None:
        super().__init__(filename)
        self._workspace = workspace

    def store_string(self, string: str) -> None:
        """Append an input, except in incognito mode or if it contains a secret. Write errors are ignored."""
        from llmrepl.sessions import secrets

        if not self._workspace.chat.saving or secrets.find(string):
            return
        try:
            super().store_string(string)
        except OSError:
            return


def open_history(workspace: Workspace) -> History:
    """Open the user's history; in memory if the file cannot be written."""
    path = workspace.paths.state_dir / "history"
    try:
        create_private(path)
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        workspace.notes.append(f"what you type is not kept for the next shell: {why} ({path})")
        return InMemoryHistory()
    return PrivateHistory(str(path), workspace)
