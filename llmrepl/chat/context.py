"""How much of the model's context window is in use."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.providers.base import Request
from llmrepl.providers.tokens import prompt_tokens
from llmrepl.providers.vendors import LOCAL


def context_used(workspace: Workspace) -> tuple[int, int, int | None]:
    """Return the messages in the context, their estimated tokens, and the window in tokens if known.

    A server on this machine is asked with which window it runs the model, others only if nothing else tells.
    """
    from llmrepl.chat.available import refresh_list

    open_session = workspace.chat.current
    context = open_session.session.context() if open_session else []
    request = Request(workspace.chat.model, context, workspace.chat.system)
    resolved = workspace.resolver().resolve(workspace.chat.model)
    local = resolved.vendor is not None and resolved.vendor is not LOCAL and not resolved.vendor.key_env
    if local or _window(workspace) is None:
        refresh_list(workspace, resolved.provider, refresh=local)
    return len(context), prompt_tokens(request), _window(workspace)


def context_fraction(workspace: Workspace) -> float | None:
    """Return the used fraction of the context window (1.0 is full), None if unknown.

    The provider's count of the last turn in the context is used, and an estimate after `:reset` and `:compact`.
    """
    session = workspace.chat.current.session if workspace.chat.current else None
    if session is None or not session.turns:
        return None
    last = next((turn for turn in reversed(session.turns[session.context_start :]) if turn.in_context), None)
    counted = last.usage.total_tokens if last and last.usage else None
    window = _window(workspace)
    if not window:
        return None
    request = Request(workspace.chat.model, session.context(), workspace.chat.system)
    return (counted or (prompt_tokens(request) if request.messages else 0)) / window


def _window(workspace: Workspace) -> int | None:
    resolved = workspace.resolver().resolve(workspace.chat.model)
    if (info := workspace.model_info(resolved)) and info.context_window:
        return info.context_window
    price = workspace.cost_tracker().price(resolved)
    return price.context_window if price else None
