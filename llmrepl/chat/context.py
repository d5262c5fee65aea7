"""How much of the model's context window is in use."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.providers.base import Request
from llmrepl.providers.tokens import prompt_tokens


def context_used(workspace: Workspace) -> tuple[int, int, int | None] | None:
    """Return the messages in the context, their estimated tokens, and the window in tokens if known.

    Returns None before the first turn.
    """
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.turns:
        return None
    context = open_session.session.context()
    request = Request(workspace.chat.model, context, workspace.chat.system)
    return len(context), prompt_tokens(request), _window(workspace)


def context_fraction(workspace: Workspace) -> float | None:
    """Return the fraction of the context window that the last turn used (1.0 is full); None if unknown."""
    session = workspace.chat.current.session if workspace.chat.current else None
    later = session.turns[session.context_start :] if session else []
    last = next((turn for turn in reversed(later) if not turn.is_aside), None)
    if not last or not last.in_context or not last.usage or not last.usage.total_tokens:
        return None
    window = _window(workspace)
    return last.usage.total_tokens / window if window else None


def _window(workspace: Workspace) -> int | None:
    price = workspace.cost_tracker().price(workspace.resolver().resolve(workspace.chat.model))
    return price.context_window if price else None
