"""Commands for the conversation that is open: the model, the system prompt, going back and starting over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmrepl.chat import services_tmp as rooms
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Ask, Document, Edit, Note, Reply
from llmrepl.errors import WrongUse
from llmrepl.formatting import count, safe_name

if TYPE_CHECKING:
    from llmrepl.sessions.model import Turn
    from llmrepl.sessions.storage.open_session import Keeper

GROUP = "conversation"


@command(
    "model",
    "show the model, or switch to another",
    argument("id", help="the model, as PROVIDER/MODEL", source="models", nargs="?"),
    group=GROUP,
    example="model openai/gpt-4o-mini",
    where=PROMPT,
    aliases=("switch",),
)
def model(workspace: Workspace, id: str | None) -> Reply:
    """Show or switch the model; history is kept."""
    if id is None:
        return Document(workspace.model)
    workspace.set_model(id)
    doubt = rooms.offers().doubt(workspace)
    return Note(f"🤖 Model: {workspace.model}" + (f" (but {doubt})" if doubt else ""))


@command(
    "system",
    "show or set the system prompt",
    argument("--clear", help="remove it", switch=True),
    argument("--edit", help="edit it in your editor", switch=True),
    argument("text", help="the new system prompt", rest=True),
    group=GROUP,
    example="system You answer in one sentence.",
    where=PROMPT,
)
def system(workspace: Workspace, text: str, clear: bool, edit: bool) -> Reply:
    """Show, set, clear or edit the system prompt."""
    if edit:
        return Edit(workspace.system or "", lambda new: system.handler(workspace, text=new, clear=not new, edit=False))
    if not text and not clear:
        none = Note("there is no system prompt; ':system TEXT' sets one")
        return Document(workspace.system) if workspace.system else none
    workspace.set_system(None if clear else text)
    return Note("system prompt removed" if clear else "system prompt set")


@command(
    "new",
    "start a fresh session; the current one is saved",
    group=GROUP,
    example="new",
    where=PROMPT,
)
def new(workspace: Workspace) -> Reply:
    """Save the current session and begin another at the next prompt."""
    before = workspace.current
    workspace.switch(None)
    saved = f"; {before.name} is saved" if before and before.path and before.session.turns else ""
    return Note(f"a fresh session begins{saved}")


@command(
    "reset",
    "clear the context; the record stays on disk",
    group=GROUP,
    example="reset",
    where=PROMPT,
    after_turns=True,
)
def reset(workspace: Workspace) -> Reply:
    """Begin the context anew in the same session."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        return Note("there is nothing to clear yet")
    keeper.session.reset_context()
    keeper.head(meta=keeper.session.meta)
    return Note(f"context cleared; {keeper.name} keeps its {count(len(keeper.session.turns), 'turn')}")


@command(
    "history",
    "the conversation so far, numbered",
    argument("--tree", help="the sessions that were branched from one another instead", switch=True),
    argument("n", help="only the last N turns", kind=int, nargs="?", metavar="N"),
    group=GROUP,
    example="history 5",
    where=PROMPT,
)
def history(workspace: Workspace, n: int | None, tree: bool) -> Reply:
    """The turns of the open session, or the branches around it."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        return Note("nothing was said yet")
    if tree:
        return Document("\n".join(_tree(workspace, keeper)))
    if n is not None and n < 1:
        raise WrongUse(f":history: {n} turns cannot be shown", "give a number from 1")
    turns = list(enumerate(keeper.session.turns, 1))
    start = keeper.session.context_start
    lines = []
    for number, turn in turns[-n:] if n else turns:
        mark = "" if turn.in_context and number > start else " (not in the context)"
        mark += f" ({turn.finish_reason})" if turn.finish_reason in ("interrupted", "error", "length") else ""
        lines += [f"[{number}]{mark}", f"You: {turn.said('user')}"]
        lines += [turn.said("assistant")] if turn.said("assistant") else []
        lines.append("")
    return Document("\n".join(lines).rstrip())


def _tree(workspace: Workspace, keeper: Keeper) -> Iterator[str]:
    """A line for each session in the tree of branches, deeper ones further in, the open one marked."""
    for depth, branch in rooms.family(workspace, keeper.name):
        here = branch.name == keeper.name
        after = f"after turn {branch.after}: " if depth and branch.after else ""
        turns = len(keeper.session.turns) if here else branch.turns
        title = (keeper.session.title if here else branch.title) or ""
        about = "not here any more" if branch.gone and not here else count(turns, "turn")
        said = f": {safe_name(title)}" if title else ""
        yield f"{'*' if here else ' '} {'  ' * depth}{after}{safe_name(branch.name)}, {about}{said}"


@command(
    "retry",
    "ask the last question again, maybe another model",
    argument("id", help="the model to ask this time", source="models", nargs="?"),
    group=GROUP,
    example="retry anthropic/claude-sonnet-4-5",
    where=PROMPT,
    after_turns=True,
)
def retry(workspace: Workspace, id: str | None) -> Reply:
    """Ask again: a failed turn is replaced, an answered one leaves the context and stays on disk."""
    keeper = workspace.current
    turns = keeper.session.turns if keeper else []
    number = next((n for n, turn in _backwards(turns) if not turn.undone), None)
    if keeper is None or number is None:
        raise WrongUse("there is no question to ask again", "type one")
    last = keeper.session.turns[number - 1]
    model = workspace.choice().resolve(id).shown if id else None
    if last.finish_reason == "error" and number == len(keeper.session.turns):
        return Ask(last.said("user"), model, replaces=number)
    keeper.change(number, undone=True)
    return Ask(last.said("user"), model)


@command(
    "undo",
    "take turns out of the context; they stay on disk",
    argument("n", help="how many (1)", kind=int, default=1, nargs="?", metavar="N"),
    group=GROUP,
    example="undo 2",
    where=PROMPT,
    after_turns=True,
)
def undo(workspace: Workspace, n: int) -> Reply:
    """Mark the last turns of the context as undone."""
    keeper = workspace.current
    turns = keeper.session.turns if keeper else []
    start = keeper.session.context_start if keeper else 0
    there = [number for number, turn in _backwards(turns) if turn.in_context and number > start]
    if keeper is None or not there or n < 1:
        raise WrongUse("there is nothing to take back", "see ':history'")
    for number in there[:n]:
        keeper.change(number, undone=True)
    return Note(f"{count(len(there[:n]), 'turn')} taken back; still in {keeper.name}")


def _backwards(turns: list[Turn]) -> list[tuple[int, Turn]]:
    return list(enumerate(turns, 1))[::-1]
