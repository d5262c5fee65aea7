"""The banner of a new or resumed conversation, at most three lines."""

from __future__ import annotations

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import display_path, escape_controls, escape_name, format_usd
from llmrepl.models.resolver import GUIDE


def banner(workspace: Workspace) -> str:
    """Return the banner for the current state."""
    open_session = workspace.chat.current
    model = escape_name(workspace.chat.model)
    limit = _limit(workspace)
    hint = "Type ':help' for commands"
    if open_session and open_session.session.turns:
        return (
            f"🤖 Continuing chat with {model}\n"
            f"💰 Budget: {limit} | Previous cost: {format_usd(open_session.session.cost)} | {hint}\n"
            "\n[Previous conversation context is loaded]"
        )
    path = workspace.chat.next_path()
    where = (
        f"Session will be saved to {display_path(path, workspace.environment.cwd)}" if path else "Nothing will be saved"
    )
    return f"🤖 Starting chat with {model}\n💾 {where}\n💰 Budget: {limit} | {hint}"


def first_run_notes(workspace: Workspace) -> list[str]:
    """Return a note if only the built-in guide can answer because no key is set."""
    if workspace.chat.model != GUIDE or not workspace.resolver().is_unconfigured():
        return []
    return ["there is no key yet, so the guide answers; ':keys set openrouter' keeps one"]


def _limit(workspace: Workspace) -> str:
    usd = workspace.session_budget()
    return "Unlimited" if usd is None else format_usd(usd)


def create_greeting(workspace: Workspace) -> str:
    """Return what is shown above the first prompt: notes, the banner and a blank line."""
    notes = [_note(" ".join(escape_controls(text).split()), workspace) for text in workspace.take_notes()]
    return "\n".join([*notes, banner(workspace), "", ""])


def _note(text: str, workspace: Workspace) -> str:
    """Style a note as the terminal output does: dim, or marked by a word where there is no styling."""
    environment = workspace.environment
    plain = environment.environ.get("TERM") == "dumb" or environment.environ.get("ACCESSIBLE")
    if plain or not environment.stderr.isatty():
        return f"note: {text}"
    return text if "NO_COLOR" in environment.environ else f"\x1b[2m{text}\x1b[0m"
