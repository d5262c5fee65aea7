"""Fork a session: start a new one from the turns of another."""

from __future__ import annotations

import shlex
from pathlib import Path

from llmrepl.chat.workspace import Workspace
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name, pluralize
from llmrepl.sessions.names import without_ending
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.sessions.storage.store import Store


def fork(workspace: Workspace, store: Store, parent: Path | None, at: int | None, name: str | None) -> tuple[str, int]:
    """Continue in a new session of `store` with the turns up to `at` of the session at `parent`, or of the open one.

    Returns the parent's name and the number of the last copied turn. Raises UsageError, DamagedError, SaveError.
    """
    current = workspace.chat.current
    if parent:
        session, parent_name = store.read(parent), parent.name
    elif current and current.session.turns:
        session, parent_name = current.session, current.name
    else:
        raise UsageError("There is nothing to branch from yet.", ":fork NAME branches from a saved session")
    main = (n for n, turn in reversed(list(enumerate(session.turns, 1))) if not turn.is_off_line)
    number = next(main, len(session.turns)) if at is None else at
    if not 1 <= number <= len(session.turns):
        turns = pluralize(len(session.turns), "turn")
        name = shlex.quote(escape_name(without_ending(parent_name)))
        hint = f"llm sessions show {name} --full shows them" if parent else ":history shows them with their numbers"
        raise UsageError(f"{escape_name(parent_name)} has {turns}, and no turn {number} to branch from.", hint)
    now = workspace.environment.now()
    branch = session.fork(number, parent_name, now)
    if workspace.chat.saving:
        open_session = store.new(branch, now, name)
    else:
        open_session = OpenSession(branch, None, workspace.signals.shield)
    workspace.chat.switch(open_session)
    open_session.rewrite()
    if name is None:
        open_session.notes.clear()  # nobody needs to know that an automatic name was taken
    return parent_name, number
