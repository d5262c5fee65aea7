"""The banner of a new or resumed conversation: at most three lines, with notes above and the last exchange below."""

from __future__ import annotations

from urllib.parse import urlsplit

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import display_path, escape_controls, escape_name, format_usd
from llmrepl.models.factory import loading_servers
from llmrepl.models.resolver import GUIDE
from llmrepl.prompt.display.cells import wrap
from llmrepl.prompt.display.recap import recap
from llmrepl.providers.vendors import SERVERS


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
    """Without a key or a configured model, return notes on what answers: a local server, or the guide."""
    resolver = workspace.resolver()
    if workspace.chat.current or not resolver.is_unconfigured():
        return []
    if workspace.chat.model == GUIDE:
        loading = [
            f"{_server(workspace, name)} is still loading its model. ':model' picks it once it is there."
            for name in loading_servers(resolver, workspace.environment)
        ]
        return [*loading, "There is no key yet, so the guide answers. ':keys set openrouter' saves one."]
    provider = workspace.chat.model.partition("/")[0]
    return [f"found {_server(workspace, provider)}, no key needed"] if provider in SERVERS else []


def _server(workspace: Workspace, provider: str) -> str:
    """Return the name and the address of a local server: `Ollama at 127.0.0.1:11434`."""
    address = urlsplit(workspace.resolver().locate(provider).address).netloc
    return f"{SERVERS[provider]} at {escape_name(address)}"


def _limit(workspace: Workspace) -> str:
    usd = workspace.session_budget()
    return "Unlimited" if usd is None else format_usd(usd)


def create_greeting(workspace: Workspace) -> str:
    """Return what is shown above the first prompt: notes, the banner, the last exchange if any, and a blank line."""
    width = max(20, workspace.environment.terminal_size().columns)
    notes = [_note(" ".join(escape_controls(text).split()), workspace, width) for text in workspace.take_notes()]
    shown = banner(workspace).split("\n")
    lines = [*notes, *(shown if _is_plain(workspace) else (row for line in shown for row in wrap(line, width)))]
    open_session = workspace.chat.current
    if open_session and open_session.session.turns:
        lines += ["", _dim("\n".join(recap(open_session.session, width)), workspace)]
    return "\n".join([*lines, "", ""])


def _note(text: str, workspace: Workspace, width: int) -> str:
    """Style a note as the terminal output does: dim, or marked by a word where there is no styling."""
    if _is_plain(workspace):
        return f"note: {text}"
    return _dim("\n".join(wrap(text, width)), workspace)


def _dim(text: str, workspace: Workspace) -> str:
    if _is_plain(workspace) or "NO_COLOR" in workspace.environment.environ:
        return text
    return f"\x1b[2m{text}\x1b[0m"


def _is_plain(workspace: Workspace) -> bool:
    environment = workspace.environment
    plain = environment.environ.get("TERM") == "dumb" or environment.environ.get("ACCESSIBLE")
    return bool(plain) or not environment.stderr.isatty()
