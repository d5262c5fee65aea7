"""The state of the chat: session, model, system prompt and attachments, changed only by these methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.services import Services
from llmrepl.errors import SaveError, UsageError
from llmrepl.formatting import display_path, escape_name, valid_text
from llmrepl.models.resolver import GUIDE
from llmrepl.sessions.storage.known_directories import add_known
from llmrepl.system.paths import expand, why_unwritable

if TYPE_CHECKING:
    from datetime import datetime

    from llmrepl.sessions.storage.open_session import OpenSession
    from llmrepl.types import Attachment


class ChatState:
    """The state of the chat.

    `saving` is False if the conversation must not be written (`--no-save`). `attachments` are sent with the next
    prompt. `current` is the open session, None before the first prompt.
    """

    def __init__(self, services: Services, *, saving: bool) -> None:
        self._services = services
        self.saving = saving
        self.attachments: list[Attachment] = []
        self.incognito = False
        self.current: OpenSession | None = None
        self._last_saved = ""
        self._name: str | None = None
        self._began = services.environment.now()
        self._directory: Path | None = None
        self._model: str | None = None
        self._chosen = False
        self.chosen_default = ""
        self._system: str | None = None
        self._before_incognito: tuple[Path | None, bool] = (None, saving)
        self.turns_before_incognito = 0
        """Turns of the current session when it was opened or incognito began."""

    @property
    def directory(self) -> Path:
        """The sessions directory: `--save-dir`, LLM_SESSIONS_DIR, the configured directory, or ./runs."""
        return self._directory or self.resolve_directory(self._services.settings.text("session_dir"))

    def resolve_directory(self, given: str) -> Path:
        """Resolve a directory given by the user to an absolute path."""
        return self._services.environment.cwd / expand(given, self._services.paths.home)

    def save_in(self, given: str) -> None:
        """Save sessions in another directory from now on (`--save-dir`)."""
        self._directory = self.resolve_directory(given)

    def check_writable(self) -> None:
        """Check that sessions can be saved before anything is sent.

        If not, an interactive user gets a note and the conversation stays in memory; a script gets a SaveError.
        """
        if not self.saving:
            return
        environment = self._services.environment
        if not environment.cwd.is_dir() and self.directory.is_relative_to(environment.cwd):
            why: str | None = "the working directory was removed"
        else:
            why = why_unwritable(self.directory)
        if why is None:
            return
        unsaved = SaveError(
            f"cannot write in {display_path(self.directory, environment.cwd)}: {why}",
            "start with --no-save, or choose another directory with --save-dir",
        )
        if not environment.interactive():
            raise unsaved
        self._services.notes.append(
            f"{unsaved.message}; the conversation is kept in memory, and written when that is possible"
        )

    def name_next(self, name: str) -> None:
        """Set the name of the next new session. Raises UsageError if the name is invalid or taken."""
        store = self._services.store_at(self.directory)
        path = store.path_for(name)
        store.check_free(path)
        self._name = path.name

    def begin_at(self, time: datetime) -> None:
        """Set when the next session began, which its automatic name says."""
        self._began = time

    def next_path(self) -> Path | None:
        """Return the file of the open or next session; None if it is not saved."""
        if self.current:
            return self.current.path
        if not self.saving:
            return None
        return self.directory / (self._name or f"session_{self._began:%Y%m%d_%H%M%S}.json")

    @property
    def model(self) -> str:
        """The current model as `provider/model`."""
        if self.current:
            return self.current.session.model
        if self._model is None:
            self._model = self._services.resolver().default_model()
        return self._model

    @property
    def is_unconfigured(self) -> bool:
        """Whether the guide answers only because neither the user nor a key names a model."""
        return (
            self.current is None
            and not self._chosen
            and self.model == GUIDE
            and self._services.resolver().is_unconfigured()
        )

    def forget_default_model(self) -> bool:
        """Choose the default model again, after a change of settings or keys; return whether it will be used."""
        if self.current is not None or self._chosen:
            return False
        self._model = None
        return True

    @property
    def system(self) -> str | None:
        """The current system prompt, or None."""
        if self.current:
            return self.current.session.system
        if self._system is not None:
            return self._system
        return valid_text(self._services.settings.text("default_system_prompt")) or None

    def set_model(self, model: str) -> None:
        """Switch the model. Raises UsageError for an unknown model, SaveError."""
        model = self._services.resolver().resolve(model).shown
        if self.current:
            self.current.set_header(model=model)
        self._model, self._chosen = model, True

    def confirm_default_model(self) -> str | None:
        """Before the first prompt, choose the default model from its provider's own list, if the user named none.

        Returns the model if it is another one than was shown so far. Raises UsageError for a missing key or if no model
        can be chosen, and ProviderError if none is known and the list is unavailable.
        """
        if self.current is not None or self._chosen:
            return None
        provider = self._services.resolver().default_provider()
        if provider is None:
            return None
        before, model = self.model, self._services.default_models().confirm(provider)
        if model is None and not before.startswith(f"{provider}/"):
            raise UsageError(
                f"{provider} lists no model to chat with, so there is no default.",
                f":model {provider}/NAME chooses one",
            )
        self._chosen = True
        self.chosen_default = f"{provider}/{model}" if model else before
        if model is None or f"{provider}/{model}" == before:
            return None
        self._model = f"{provider}/{model}"
        return self._model

    def set_system(self, text: str | None) -> None:
        """Set or (None) remove the system prompt. Raises SaveError."""
        text = valid_text(text or "") or None
        if self.current:
            self.current.set_header(system=text)
        self._system = text or ""

    def open_session(self) -> OpenSession:
        """Return the open session, starting one if there is none."""
        if self.current is None:
            from llmrepl.sessions.model import Session
            from llmrepl.sessions.storage.open_session import OpenSession

            session = Session.start(self.model, self.system, self._services.environment.now())
            if self.saving:
                self.current = self._services.store_at(self.directory).new(session, self._began, self._name)
                add_known(self._services.paths.directories_file, self.directory)
            else:
                self.current = OpenSession(session, None, self._services.signals.shield)
        return self.current

    def where_saved(self) -> str:
        """Tell what became of the conversation: where it is saved, or that it is not; nothing without one."""
        if self.current is None:
            return f"the conversation is saved in {self._last_saved}" if self._last_saved else ""
        if not self.current.session.turns:
            return ""
        if self.current.path is None or not self.current.is_recorded:
            return "the conversation is not saved"
        return f"the conversation is saved in {escape_name(self.current.name)}"

    def save(self) -> None:
        """Bring the open session's file up to date; a failure becomes a note."""
        if self.current:
            try:
                self.current.save()
            except SaveError as unsaved:
                self._services.notes.append(str(unsaved))

    def switch(self, open_session: OpenSession | None) -> None:
        """Save the current session and switch to `open_session`, or (None) start a new one at the next prompt.

        Raises SaveError without switching.
        """
        model, system = self.model, self.system
        if self.current:
            self.current.close()
            self.collect_notes()
        self.current, self._name = open_session, None
        self.turns_before_incognito = len(open_session.session.turns) if open_session else 0
        self._began = self._services.environment.now()
        self._services.cost_tracker().spent = open_session.session.cost if open_session else 0.0
        if open_session is None:
            self._model, self._system = model, system or ""
        else:
            self.collect_notes()

    def enter_incognito(self) -> None:
        """From here on write nothing of the conversation.

        Raises SaveError if the conversation so far cannot be saved; nothing is changed then.
        """
        before = self.current.path if self.current and self.current.session.turns else None
        self.switch(self.current.detached_copy() if self.current else None)
        self._before_incognito = (before, self.saving)
        self.incognito, self.saving = True, False
        self._services.cost_tracker().incognito = True

    def leave_incognito(self, *, discard: bool) -> None:
        """Save the conversation again, from what the user has just saved on.

        With `discard` the incognito conversation is dropped, and the previous session is current again. Raises
        SaveError, or what opening that session raises; nothing is changed then.
        """
        if not self.incognito:
            return
        path, saving = self._before_incognito
        if discard:
            self.switch(self._open(path, saving=saving) if path else None)
        self.incognito, self.saving = False, saving or not discard
        self._services.cost_tracker().incognito = False

    def reopen(self, path: Path) -> OpenSession:
        """Open a session, in memory only if nothing is to be saved.

        Raises SessionInUseError (when not interactive; else the session continues as NAME-2), DamagedError.
        """
        return self._open(path, saving=self.saving)

    def _open(self, path: Path, *, saving: bool) -> OpenSession:
        store = self._services.store_at(path.parent)
        if saving:
            return store.open(path, beside=self._services.environment.interactive())
        from llmrepl.sessions.storage.open_session import OpenSession

        return OpenSession(store.read(path), None, self._services.signals.shield)

    def close(self) -> None:
        """Save and close the open session. Raises SaveError."""
        if self.current:
            open_session, self.current = self.current, None
            open_session.close()
            if open_session.path and open_session.session.turns:
                self._last_saved = escape_name(open_session.name)
            self._services.notes += open_session.notes

    def collect_notes(self) -> None:
        """Move the notes of the open session to those of the shell."""
        if self.current:
            self._services.notes += self.current.notes
            self.current.notes = []
