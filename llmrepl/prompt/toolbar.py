"""The bottom line: model, session, context used, cost and budget. It only reads and opens nothing."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import escape_name, format_usd


def toolbar(workspace: Workspace, context_fraction: float | None = None) -> str:
    """Return the bottom line.

    `context_fraction` is the used part of the context window (1.0 is full), None if unknown.
    """
    open_session = workspace.chat.current
    parts = [escape_name(workspace.chat.model)]
    if open_session and open_session.session.turns:
        session = open_session.session
        parts.append(escape_name(open_session.name.removesuffix(".json")))
        parts.append(f"{len(session.turns)} turn{'' if len(session.turns) == 1 else 's'}")
        if context_fraction is not None:
            parts.append(f"{context_fraction:.0%} of context")
        budget = workspace.session_budget()
        of = "" if budget is None else f" of {format_usd(budget)}"
        parts.append(format_usd(session.cost) + (" + unpriced" if session.unpriced else "") + of)
        if open_session.unsaved:
            parts.append("NOT SAVED")
    else:
        parts.append("new session" if workspace.chat.saving else "nothing is saved")
    return " " + " · ".join(parts)
