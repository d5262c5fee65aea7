"""What is open: the session and its store, providers, settings. Each room is opened when first asked for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.config.api_keys import Key
from llmrepl.config.settings import Settings
from llmrepl.errors import NotSaved
from llmrepl.formatting import shown_path
from llmrepl.models.factory import choice_of, opened
from llmrepl.models.resolver import Choice, Chosen
from llmrepl.sessions.names import Journals
from llmrepl.sessions.storage.known_directories import remember
from llmrepl.system.environment import World
from llmrepl.system.paths import Places, expand, why_unwritable
from llmrepl.system.progress import Progress
from llmrepl.system.signals import Signals

if TYPE_CHECKING:
    from llmrepl.billing.cost_tracker import Till
    from llmrepl.models.list_cache import ModelCatalog
    from llmrepl.providers.base import Attachment, Provider
    from llmrepl.sessions.index.finder import Catalog
    from llmrepl.sessions.index.name_index import Recall
    from llmrepl.sessions.storage.open_session import Keeper
    from llmrepl.sessions.storage.store import Store


class Workspace:
    """Passed to everything that works.

    `keep` is False when no session may be written (`--no-save`); `stdin_is_input` says that standard input holds
    inputs for the shell, not text for one question; `notes` collects what to tell the user at the next chance.
    """

    def __init__(
        self,
        world: World,
        settings: Settings,
        places: Places,
        signals: Signals,
        *,
        keep: bool = True,
    ) -> None:
        self.world = world
        self.settings = settings
        self.places = places
        self.signals = signals
        self.keep = keep
        self.stdin_is_input = False
        self.notes: list[str] = []
        self.attachments: list[Attachment] = []
        self.incognito = False
        self.journals = Journals()
        self._name: str | None = None
        self._began = world.now()
        self._directory: Path | None = None
        self._model: str | None = None
        self._system: str | None = None
        self._store: Store | None = None
        self._opening = threading.Lock()  # the prompt opens the store behind the user's back, in a thread
        self._keeper: Keeper | None = None
        self._choice: Choice | None = None
        self._till: Till | None = None
        self._models: ModelCatalog | None = None
        self._catalog: Catalog | None = None
        self._recall: Recall | None = None
        self._providers: dict[tuple[str, str, Key | None], Provider] = {}

    @property
    def directory(self) -> Path:
        """Where sessions are kept: `--save-dir`, LLM_SESSIONS_DIR, the configuration's, else ./runs."""
        return self._directory or self.world.cwd / expand(self.settings.text("session_dir"), self.places.home)

    def use_directory(self, given: str | None) -> None:
        """Keep and look for sessions in another directory, if one is given."""
        if given is not None:
            self._directory = self.world.cwd / expand(given, self.places.home)
            self._store = None

    def check_writable(self) -> None:
        """Find out before anything is sent whether sessions can be kept.

        If not, a person is told and goes on in memory, and a script is stopped: NotSaved.
        """
        if not self.keep:
            return
        why = why_unwritable(self.directory)
        if why is None:
            return
        unsaved = NotSaved(
            f"cannot write in {shown_path(self.directory, self.world.cwd)}: {why}",
            "start with --no-save, or choose another directory with --save-dir",
        )
        if not self.world.interactive():
            raise unsaved
        self.notes.append(f"{unsaved.what}; the conversation is kept in memory, and written when that is possible")

    def name_next(self, name: str) -> None:
        """Give the next new session this name. Raises WrongUse for a name that cannot be, or is taken."""
        path = self.store().path_for(name)
        self.store().check_free(path)
        self._name = path.name

    def next_path(self) -> Path | None:
        """Where the open session is kept, or a new one will be; None if it is not kept."""
        if self._keeper:
            return self._keeper.path
        return self.directory / (self._name or f"session_{self._began:%Y%m%d_%H%M%S}.json") if self.keep else None

    def piped_text(self) -> str:
        """The text on standard input, unless that is a terminal or holds the shell's inputs."""
        stdin = self.world.stdin
        return "" if self.stdin_is_input or stdin.isatty() else stdin.read()

    @property
    def model(self) -> str:
        """The current model, `provider/model`."""
        if self._keeper:
            return self._keeper.session.model
        if self._model is None:
            self._model = self.choice().default_model()
        return self._model

    @property
    def system(self) -> str | None:
        """The current system prompt."""
        if self._keeper:
            return self._keeper.session.system
        return self._system if self._system is not None else self.settings.text("default_system_prompt") or None

    def set_model(self, model: str) -> None:
        """Switch to another model in mid-conversation. Raises WrongUse for one that cannot be, NotSaved."""
        model = self.choice().resolve(model).shown
        if self._keeper:
            self._keeper.head(model=model)
        self._model = model

    def set_system(self, text: str | None) -> None:
        """Set or (None) clear the system prompt. Raises NotSaved."""
        if self._keeper:
            self._keeper.head(system=text)
        self._system = text or ""

    @property
    def current(self) -> Keeper | None:
        """The session that is open, None before the first prompt."""
        return self._keeper

    def keeper(self) -> Keeper:
        """The session that is open, begun now if there is none."""
        if self._keeper is None:
            from llmrepl.sessions.model import Session
            from llmrepl.sessions.storage.open_session import Keeper

            session = Session.start(self.model, self.system, self.world.now())
            if self.keep:
                self._keeper = self.store().new(session, self._began, self._name)
                remember(self.places.directories_file, self.directory)
            else:
                self._keeper = Keeper(session, None, self.signals.shield)
        return self._keeper

    def store(self) -> Store:
        """The sessions on disk, with the journals of dead shells folded in and the open session up to date."""
        with self._opening:
            if self._store is None:
                from llmrepl.sessions.storage.store import Store

                self._store = Store(self.directory, self.world.cwd, self.signals.shield)
                self.notes += self._store.fold()
                self.world.log(f"store {self.directory}")
        if self._keeper:
            try:
                self._keeper.save()
            except NotSaved as unsaved:
                self.notes.append(str(unsaved))
        return self._store

    def catalog(self) -> Catalog:
        """What sessions directories hold; for the thread that runs the commands."""
        if self._catalog is None:
            from llmrepl.sessions.index.finder import Catalog
            from llmrepl.sessions.index.index import Index

            index = Index(self.places.index_file, time.time_ns)
            self._catalog = Catalog(index, Progress(self.world), self.world.monotonic)
        return self._catalog

    def recall(self) -> Recall:
        """The names of sessions, for any thread."""
        if self._recall is None:
            from llmrepl.sessions.index.name_index import Recall

            self._recall = Recall(self.places.index_file, time.time_ns)
        return self._recall

    def switch(self, keeper: Keeper | None) -> None:
        """Make `keeper`'s session the current one, or a fresh one at the next prompt; the current one is saved.

        Raises NotSaved, and nothing is switched then.
        """
        model, system = self.model, self.system
        if self._keeper:
            self._keeper.release()
            self._collect()
        self._keeper, self._name, self._began = keeper, None, self.world.now()
        if self._till:
            self._till.spent = keeper.session.cost if keeper else 0.0
        if keeper is None:
            self._model, self._system = model, system or ""
        else:
            self._collect()

    def set_incognito(self, on: bool) -> None:
        """From here on write nothing of the conversation; or, off, begin a fresh session that is kept.

        Raises NotSaved if what was said before could not be saved; nothing is changed then.
        """
        keeper = self._keeper.aside() if self._keeper and on else None
        self.switch(keeper)
        self.incognito, self.keep = on, not on
        self.till().incognito = on

    def leave_incognito(self) -> None:
        """From here on the open session is kept, as the user has just asked for."""
        if self.incognito:
            self.incognito, self.keep = False, True
            self.till().incognito = False

    def close(self) -> None:
        """Save and let go of everything. Raises NotSaved."""
        if self._catalog:
            self._catalog.close()
        if self._keeper:
            keeper, self._keeper = self._keeper, None
            keeper.release()
            self.notes += keeper.notes

    def take_notes(self) -> list[str]:
        """What is worth telling since the last call."""
        self._collect()
        notes, self.notes = self.notes, []
        return notes

    def choice(self) -> Choice:
        """How a model's name is understood."""
        if self._choice is None:
            self._choice = choice_of(self.settings, self.world, self.places)
        return self._choice

    def provider(self, model: str) -> tuple[Chosen, Provider]:
        """What a model's name means, and its provider. Raises WrongUse, also for a missing key."""
        chosen = self.choice().demand(model)
        self.world.log(f"model {chosen.shown} at {chosen.base_url or 'this program'}")
        place = (chosen.provider, chosen.base_url, chosen.key)
        if place not in self._providers:
            self._providers[place] = opened(chosen, self.settings, self.world)
        return chosen, self._providers[place]

    def models(self) -> ModelCatalog:
        """The providers' own lists of models."""
        if self._models is None:
            from llmrepl.models.list_cache import ModelCatalog

            self._models = ModelCatalog(self.places.cache_dir / "models", lambda: self.world.now().timestamp())
        return self._models

    def session_budget(self) -> float | None:
        """What the session may cost in USD, None for any amount; opens nothing."""
        if self._till:
            return self._till.session.usd if self._till.session else None
        return self.settings.number("default_budget")

    def till(self) -> Till:
        """The money: limits, prices, the ledger."""
        if self._till is None:
            from llmrepl.billing.cost_tracker import Till

            info = self.models().info
            self._till = Till(self.world, self.settings, self.places, lambda text: self.notes.append(text), info)
            self._till.spent = self._keeper.session.cost if self._keeper else 0.0
        return self._till

    def _collect(self) -> None:
        if self._keeper:
            self.notes += self._keeper.notes
            self._keeper.notes = []
