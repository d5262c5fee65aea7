"""What was typed, kept for the next shell: one file for all shells, private, appended to."""

from __future__ import annotations

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from llmrepl.chat.workspace import Workspace
from llmrepl.system.files import create_private


class PrivateHistory(FileHistory):
    """prompt_toolkit's file of inputs, 0600; what is not written is still in this shell's memory."""

    def __init__(self, filename: str, workspace: Workspace) -> None:
        super().__init__(filename)
        self._workspace = workspace

    def store_string(self, string: str) -> None:
        """Append one input, but not incognito and none with a secret in it; a full disk does not stop the shell."""
        from llmrepl.sessions import secrets

        if not self._workspace.chat.saving or secrets.find(string):
            return
        try:
            super().store_string(string)
        except OSError:
            return


def open_history(workspace: Workspace) -> History:
    """The history of this user; in memory only where it cannot be written."""
    path = workspace.paths.state_dir / "history"
    try:
        create_private(path)
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        workspace.notes.append(f"what you type is not kept for the next shell: {why} ({path})")
        return InMemoryHistory()
    return PrivateHistory(str(path), workspace)
