"""What the shell says when a conversation begins or goes on: at most three lines, as the guide has them."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import money, safe, safe_name, shown_path
from llmrepl.models.resolver import GUIDE


def banner(workspace: Workspace) -> str:
    """The banner for what is open now."""
    keeper = workspace.current
    model = safe_name(workspace.model)
    limit = _limit(workspace)
    hint = "Type ':help' for commands"
    if keeper and keeper.session.turns:
        return (
            f"🤖 Continuing chat with {model}\n"
            f"💰 Budget: {limit} | Previous cost: {money(keeper.session.cost)} | {hint}\n"
            "\n[Previous conversation context is loaded]"
        )
    path = workspace.next_path()
    where = f"Session will be saved to {shown_path(path, workspace.world.cwd)}" if path else "Nothing will be saved"
    return f"🤖 Starting chat with {model}\n💾 {where}\n💰 Budget: {limit} | {hint}"


def first_steps(workspace: Workspace) -> list[str]:
    """What to tell at the start where nothing but the built-in guide can answer."""
    if workspace.model != GUIDE or not workspace.choice().nothing_set():
        return []
    return ["there is no key yet, so the guide answers; ':keys set openrouter' keeps one"]


def _limit(workspace: Workspace) -> str:
    usd = workspace.session_budget()
    return "Unlimited" if usd is None else money(usd)


def opening(workspace: Workspace) -> str:
    """What stands above the first prompt of a conversation: what is worth telling, the banner and a blank line."""
    notes = [f"note: {' '.join(safe(text).split())}" for text in workspace.take_notes()]
    return "\n".join([*notes, banner(workspace), "", ""])
