"""The bottom line: model, session, context used, cost, budget. It reads what is open and opens nothing."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import money, safe_name


def toolbar(workspace: Workspace, share: float | None = None) -> str:
    """The bottom line of the prompt; `share` is how much of the context window is used, None if unknown."""
    keeper = workspace.current
    parts = [safe_name(workspace.model)]
    if keeper and keeper.session.turns:
        session = keeper.session
        parts.append(safe_name(keeper.name.removesuffix(".json")))
        parts.append(f"{len(session.turns)} turn{'' if len(session.turns) == 1 else 's'}")
        if share is not None:
            parts.append(f"{share:.0%} of context")
        budget = workspace.session_budget()
        of = "" if budget is None else f" of {money(budget)}"
        parts.append(money(session.cost) + (" + unpriced" if session.unpriced else "") + of)
        if keeper.unsaved:
            parts.append("NOT SAVED")
    else:
        parts.append("new session" if workspace.keep else "nothing is saved")
    return " " + " · ".join(parts)
