"""The bottom line: model, session, cost. It reads what is open and opens nothing."""

from __future__ import annotations

from llmrepl.messages import money, safe_name
from llmrepl.workspace import Workspace


def toolbar(workspace: Workspace) -> str:
    """The bottom line of the prompt."""
    keeper = workspace.current
    parts = [safe_name(workspace.model)]
    if keeper and keeper.session.turns:
        session = keeper.session
        parts.append(safe_name(keeper.name.removesuffix(".json")))
        parts.append(f"{len(session.turns)} turn{'' if len(session.turns) == 1 else 's'}")
        parts.append(money(session.cost) + (" + unpriced" if session.unpriced else ""))
        if (budget := workspace.session_budget()) is not None:
            parts.append(f"of {money(budget)}")
        if keeper.unsaved:
            parts.append("NOT SAVED")
    else:
        parts.append("new session" if workspace.keep else "nothing is saved")
    return " " + " · ".join(parts)
