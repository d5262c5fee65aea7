"""The workspace: the services of a shell and the state of its chat, passed to every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.services import Services
from llmrepl.chat.state import ChatState
from llmrepl.config.settings import Settings
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals

if TYPE_CHECKING:
    from llmrepl.billing.cost_tracker import CostTracker
    from llmrepl.sessions.storage.open_session import OpenSession
    from llmrepl.sessions.storage.store import Store


class Workspace(Services):
    """`chat` is the state of the conversation; `stdin_is_input` says that standard input holds inputs for the shell
    rather than text for one question.
    """

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        paths: Paths,
        signals: Signals,
        *,
        saving: bool = True,
    ) -> None:
        super().__init__(environment, settings, paths, signals)
        self.stdin_is_input = False
        self.chat = ChatState(self, saving=saving)

    def piped_text(self) -> str:
        """The text on standard input, unless that is a terminal or holds the shell's inputs."""
        stdin = self.environment.stdin
        return "" if self.stdin_is_input or stdin.isatty() else stdin.read()

    def directory(self, given: str | None = None) -> Path:
        """The sessions directory that a command works on: the one `given` with --dir, else where the chat saves."""
        return self.chat.directory if given is None else self.chat.resolve_directory(given)

    def store(self, directory: Path | None = None) -> Store:
        """The sessions in a directory, the chat's by default, with the open session's file up to date."""
        store = self.store_at(directory or self.chat.directory)
        self.chat.save()
        return store

    def update_files(self, directory: Path) -> None:
        """Write to the session files of a directory what is still in journals: the open session's, and those of shells
        that died.
        """
        dead = self.journals.there(directory)
        if dead and directory != self.chat.directory:
            self._stores.pop(directory, None)
            self.store_at(directory)
        if self.chat.current or (dead and directory == self.chat.directory):
            self.store()

    @contextmanager
    def session_at(self, path: Path) -> Iterator[OpenSession]:
        """An open session for the length of a block: the current one, or another.

        Raises SessionInUseError, DamagedError.
        """
        current = self.chat.current
        if current and current.path == path:
            yield current
            return
        open_session = self.store().open(path, beside=False)
        try:
            yield open_session
        finally:
            open_session.close()

    def cost_tracker(self) -> CostTracker:
        """Limits, prices and the ledger."""
        if "_cost_tracker" not in self.__dict__ and self.chat.current:
            self._cost_tracker.spent = self.chat.current.session.cost
        return self._cost_tracker

    def close(self) -> None:
        """Save and close everything. Raises SaveError."""
        self.close_services()
        self.chat.close()

    def take_notes(self) -> list[str]:
        """The notes since the last call."""
        self.chat.collect_notes()
        notes, self.notes = self.notes, []
        return notes
