"""The workspace: the services of a shell and the state of its chat, passed to every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.services import Services
from llmrepl.chat.state import ChatState
from llmrepl.config.settings import Settings
from llmrepl.errors import UsageError
from llmrepl.system.environment import Environment
from llmrepl.system.limits import MAX_INPUT_CHARACTERS
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals

if TYPE_CHECKING:
    from llmrepl.billing.cost_tracker import CostTracker
    from llmrepl.sessions.storage.open_session import OpenSession
    from llmrepl.sessions.storage.store import Store


_STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/null")


class Workspace(Services):
    """The services of a shell, and `chat`, the state of the conversation.

    `stdin_is_input` tells that standard input contains inputs for the shell, not text for a single prompt;
    `allow_shell` that inputs may run commands of the system and change settings.
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
        self.allow_shell = True
        self.chat = ChatState(self, saving=saving)

    def piped_text(self) -> str:
        """Return the text on standard input, unless that is a terminal or contains the shell's inputs.

        Raises UsageError for more text than any model takes.
        """
        stdin = self.environment.stdin
        if self.stdin_is_input or stdin.isatty():
            return ""
        text = stdin.read(MAX_INPUT_CHARACTERS + 1)
        if len(text) > MAX_INPUT_CHARACTERS:
            raise UsageError(
                f"The text on standard input is longer than {MAX_INPUT_CHARACTERS >> 20} million characters.",
                "send a part of it: head -c 1000000 FILE | llm ask …",
            )
        if "\0" in text or text.startswith("\ufffd\ufffd"):  # a binary file, or UTF-16
            raise UsageError(
                "What is piped in is not UTF-8 text.", "convert it: iconv -f UTF-16 -t UTF-8 FILE | llm ask …"
            )
        return text

    def check_trusted(self, action: str) -> None:
        """Raise UsageError if `action` requires trust and inputs come from a pipe, which anyone may have written."""
        if not self.allow_shell:
            raise UsageError(
                f"A script may not {action}, and nothing was done.",
                "llm chat --allow-shell allows it, for a script that you wrote",
            )

    def check_new_file(self, target: Path) -> None:
        """Raise UsageError if inputs from a pipe may not create `target`, since programs read such files unasked.

        They may below the working, the home and the temporary directory, unless a name on the way is hidden.
        """
        environ, real = self.environment.environ, target.parent.resolve() / target.name
        bases = (self.environment.cwd, self.paths.home, Path(environ.get("TMPDIR") or "/tmp"), Path("/var/tmp"))
        below = [real.relative_to(base) for base in map(Path.resolve, bases) if real.is_relative_to(base)]
        if str(target) in _STREAMS:
            return
        if not below or any(part.startswith(".") for part in below[0].parts):
            self.check_trusted("create hidden files or files of the system")

    def directory(self, given: str | None = None) -> Path:
        """Return the sessions directory of a command: `given` with --dir, or the one the chat saves in."""
        return self.chat.directory if given is None else self.chat.resolve_directory(given)

    def store(self, directory: Path | None = None) -> Store:
        """Return the store of a directory, by default the chat's, with the open session's file up to date."""
        store = self.store_at(directory or self.chat.directory)
        self.chat.save()
        return store

    def update_files(self, directory: Path) -> None:
        """Apply journals in a directory, of the open session and of shells that died, to the session files."""
        dead = self.journals.there(directory)
        if dead and directory != self.chat.directory:
            self._stores.pop(directory, None)
            self.store_at(directory)
        if self.chat.current or (dead and directory == self.chat.directory):
            self.store()

    @contextmanager
    def session_at(self, path: Path) -> Iterator[OpenSession]:
        """Open a session for the length of a block, or use the current one. Raises SessionInUseError, DamagedError."""
        current = self.chat.current
        if current and current.path == path:
            yield current
            return
        open_session = self.store().open(path, beside=False, brief=True)
        try:
            yield open_session
        finally:
            open_session.close()

    def cost_tracker(self) -> CostTracker:
        """Return limits, prices and the ledger, with the cost of the open session."""
        if "_cost_tracker" not in self.__dict__ and self.chat.current:
            self._cost_tracker.spent = self.chat.current.session.cost
        return self._cost_tracker

    def close(self) -> None:
        """Save and close everything. Raises SaveError."""
        try:
            self.close_services()
            self.chat.close()
        finally:
            if telemetry := self.telemetry():  # last: it may wait
                telemetry.close()

    def take_notes(self) -> list[str]:
        """Return and clear the notes."""
        self.chat.collect_notes()
        notes, self.notes = self.notes, []
        return notes
