"""What was typed, kept for the next shell: one file for all shells, private, appended to."""

from __future__ import annotations

import os

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from llmrepl.paths import private_dir
from llmrepl.workspace import Workspace


class PrivateHistory(FileHistory):
    """prompt_toolkit's file of inputs, 0600; an input that cannot be written is still in this shell's memory."""

    def store_string(self, string: str) -> None:
        """Append one input; a disk that is full does not stop the shell."""
        try:
            super().store_string(string)
        except OSError:
            return


def open_history(workspace: Workspace) -> History:
    """The history of this user; in memory only where it cannot be written."""
    path = workspace.places.state_dir / "history"
    try:
        private_dir(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        workspace.notes.append(f"what you type is not kept for the next shell: {why} ({path})")
        return InMemoryHistory()
    return PrivateHistory(str(path))

