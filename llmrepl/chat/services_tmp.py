"""Opens the rooms that only a few commands need, when such a command is run; the workspace opens the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.errors import WrongUse
from llmrepl.formatting import count, safe_name
from llmrepl.system.progress import Progress

if TYPE_CHECKING:
    from llmrepl.sessions.archive.archive import Archive
    from llmrepl.sessions.archive.backup import Backup
    from llmrepl.sessions.forks import Branch
    from llmrepl.sessions.importing.importer import Intake
    from llmrepl.sessions.model import Session
    from llmrepl.sessions.secrets import Secret
    from llmrepl.sessions.storage.open_session import Keeper


def archive(workspace: Workspace) -> Archive:
    """The sessions that were put away."""
    from llmrepl.sessions.archive.archive import Archive

    return Archive(workspace.store())


def settle(workspace: Workspace, directory: Path) -> None:
    """Write what is not in the session files of a directory yet: of the open session, and of shells that died."""
    dead = workspace.journals.there(directory)
    if workspace.current or (dead and directory == workspace.directory):
        workspace.store()
    if dead and directory != workspace.directory:
        from llmrepl.sessions.storage.store import Store

        workspace.notes += Store(directory, workspace.world.cwd, workspace.signals.shield).fold()


def mending() -> ModuleType:
    """Damaged files, and secrets in sound ones."""
    from llmrepl.sessions.repair import validate as mending

    return mending


def attaching() -> ModuleType:
    """What goes along with the next prompt."""
    from llmrepl.chat import attachments as attach

    return attach


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """CSV that a spreadsheet only shows."""
    from llmrepl.sessions.export.csv_safe import csv_of

    return csv_of(columns, rows)


def traced(error: BaseException) -> str:
    """Where in the program an error came from."""
    import traceback

    return "".join(traceback.format_exception(error))


def offers() -> ModuleType:
    """What models there are: the lists of the providers, joined with the prices."""
    from llmrepl.models import available as offers

    return offers


def turn() -> ModuleType:
    """Asking the model, with the money and the ledger that it takes."""
    from llmrepl.chat import turn

    return turn


def exported(session: Session, format: str, name: str, *, raw_csv: bool = False) -> str:
    """A session in another format. Raises WrongUse for a format that does not exist."""
    from llmrepl.sessions.export import export

    return export(session, format, name=name, raw_csv=raw_csv)


def imported(workspace: Workspace, path: Path, source: str | None, *, dry_run: bool) -> Intake:
    """Take the conversations in a foreign file into the store.

    Raises WrongUse for a file of no known kind, Failure for one that cannot be read, NotSaved.
    """
    from llmrepl.sessions.importing import read
    from llmrepl.sessions.importing.importer import take

    now = workspace.world.now()
    return take(workspace.store(), read(path, now, source), now, dry_run=dry_run)


def backup(workspace: Workspace, target: Path, *, dry_run: bool) -> Backup:
    """Copy the sessions into another directory. Raises WrongUse for their own, NotSaved."""
    from llmrepl.sessions.archive.backup import backup

    return backup(workspace.store(), target, Progress(workspace.world), dry_run=dry_run)


def configure(workspace: Workspace, key: str, text: str) -> None:
    """Write a setting into the user's configuration; one of the shell also changes now. Raises WrongUse, NotSaved."""
    from llmrepl.config.config_file import write_setting

    write_setting(workspace.places.config_file, key, text)
    if any(key in (row.key, row.name) for row in workspace.settings.of_shell()):
        workspace.settings.set(key, text)


@contextmanager
def opened(workspace: Workspace, path: Path) -> Iterator[Keeper]:
    """A session that is open for the length of a block: the current one, or another. Raises InUse, Damaged."""
    current = workspace.current
    if current and current.path == path:
        yield current
        return
    keeper = workspace.store().open(path, beside=False)
    try:
        yield keeper
    finally:
        keeper.release()


def fork(workspace: Workspace, parent: Path | None, at: int | None, name: str | None) -> tuple[str, int]:
    """Go on in a new session that has the turns up to `at` of the one at `parent`, or of the open one.

    Returns what it branched from: the session's name and the turn. Raises WrongUse, Damaged, NotSaved.
    """
    from llmrepl.sessions.storage.open_session import Keeper

    store, current = workspace.store(), workspace.current
    if parent:
        session, trunk = store.read(parent), parent.name
    elif current and current.session.turns:
        session, trunk = current.session, current.name
    else:
        raise WrongUse("nothing was said yet to branch from", "name a session; ':sessions' lists them")
    number = len(session.turns) if at is None else at
    if not 1 <= number <= len(session.turns):
        turns = count(len(session.turns), "turn")
        raise WrongUse(f"there is no turn {number} to branch from", f"{safe_name(trunk)} has {turns}; see ':history'")
    now = workspace.world.now()
    branch = session.branch(number, trunk, now)
    keeper = store.new(branch, now, name) if workspace.keep else Keeper(branch, None, workspace.signals.shield)
    workspace.switch(keeper)
    keeper.rewrite()
    if name is None:
        keeper.notes.clear()  # that another session has the automatic name goes without saying
    return trunk, number


def family(workspace: Workspace, name: str) -> list[tuple[int, Branch]]:
    """The tree of branches that the session `name` is in: how deep each stands, and what it is."""
    from llmrepl.sessions import forks as branches

    return list(branches.family(branches.read(workspace.directory), name))


def context_used(workspace: Workspace) -> tuple[int, int, int | None] | None:
    """Messages in the context, about how many tokens they are, and the model's window if that is known."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        return None
    from llmrepl.providers.base import Request
    from llmrepl.providers.tokens import prompt_tokens

    context = keeper.session.context()
    price = workspace.till().price(workspace.choice().resolve(workspace.model))
    window = price.context_window if price else None
    return len(context), prompt_tokens(Request(workspace.model, context, workspace.system)), window


def context_share(workspace: Workspace) -> float | None:
    """How much of the model's context window the conversation fills since its last turn, 1 is all; None if unknown."""
    session = workspace.current.session if workspace.current else None
    last = session.turns[-1] if session and session.context_start < len(session.turns) else None
    if not last or not last.in_context or not last.usage or not last.usage.total_tokens:
        return None
    price = workspace.till().price(workspace.choice().resolve(workspace.model))
    return last.usage.total_tokens / price.context_window if price and price.context_window else None


def secrets_in(text: str) -> list[Secret]:
    """The keys and passwords in a text."""
    from llmrepl.sessions import secrets

    return secrets.find(text)
