"""Commands for the open conversation: model, system prompt, history, undo and new sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.prompts.library import system_text
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import (
    CompareModels,
    Document,
    EditText,
    Note,
    Result,
    SendPrompt,
    ShownTurn,
    Transcript,
)
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name, pluralize

if TYPE_CHECKING:
    from llmrepl.sessions.model import Session, Turn
    from llmrepl.sessions.storage.open_session import OpenSession

GROUP = "conversation"

ASIDE = {"aside": True}
"""The mark of a side question."""

_TURNS = "a number of turns"


@command(
    "model",
    "pick or switch the model; in a script, show it",
    argument("id", help="model to switch to, as PROVIDER/MODEL", source="models", nargs="?"),
    group=GROUP,
    example="model openai/gpt-4o-mini",
    where=PROMPT,
    aliases=("switch",),
)
def model(workspace: Workspace, id: str | None) -> Result:
    """Show, pick or switch the model; the conversation continues."""
    if id is None and workspace.environment.interactive():
        from llmrepl.commands.models import pick_model

        return pick_model(workspace, lambda name: _switch(workspace, name))
    return _switch(workspace, id) if id else Document(workspace.chat.model)


def _switch(workspace: Workspace, name: str) -> Result:
    workspace.chat.set_model(name)
    from llmrepl.chat import available

    warning = available.model_warning(workspace)
    return Note(f"🤖 Model: {workspace.chat.model}" + (f" (but {warning})" if warning else ""))


@command(
    "system",
    "show or set the system prompt",
    argument("--clear", help="remove the system prompt", switch=True),
    argument("--edit", help="open the system prompt in your editor", switch=True),
    argument("text", help="new system prompt, or @NAME of a saved one", rest=True),
    group=GROUP,
    example="system You answer in one sentence.",
    where=PROMPT,
)
def system(workspace: Workspace, text: str, clear: bool, edit: bool) -> Result:
    """Show, set, clear or edit the system prompt."""
    if edit:
        return EditText(
            workspace.chat.system or "", lambda new: system.handler(workspace, text=new, clear=not new, edit=False)
        )
    if text and clear:
        raise UsageError("'--clear' takes no text.", ":system --clear removes the system prompt")
    if not text and not clear:
        none = Note("there is no system prompt; ':system TEXT' sets one")
        return Document(workspace.chat.system) if workspace.chat.system else none
    workspace.chat.set_system(None if clear else system_text(workspace, text))
    return Note("system prompt removed" if clear else "system prompt set")


@command(
    "new",
    "start a new session; the current one is saved",
    group=GROUP,
    example="new",
    where=PROMPT,
)
def new(workspace: Workspace) -> Result:
    """Save the current session and start another at the next prompt."""
    before = workspace.chat.current
    workspace.chat.switch(None)
    saved = f"; {before.name} is saved" if before and before.path and before.session.turns else ""
    return Note(f"a fresh session begins{saved}")


@command(
    "reset",
    "clear the context; all turns stay on disk",
    group=GROUP,
    example="reset",
    where=PROMPT,
    after_turns=True,
)
def reset(workspace: Workspace) -> Result:
    """Start an empty context in the same session."""
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.turns:
        return Note("there is nothing to clear yet")
    open_session.session.reset_context()
    open_session.set_header(meta=open_session.session.meta)
    if workspace.chat.incognito:
        return Note("context cleared")
    return Note(f"context cleared; {open_session.name} keeps its {pluralize(len(open_session.session.turns), 'turn')}")


@command(
    "history",
    "show the conversation with turn numbers",
    argument("--tree", help="show the tree of forked sessions instead", switch=True),
    argument("n", help="show only the last N turns", kind=int, nargs="?", metavar="N", takes=_TURNS),
    group=GROUP,
    example="history 5",
    where=PROMPT,
)
def history(workspace: Workspace, n: int | None, tree: bool) -> Result:
    """Show the turns of the open session, or the tree of its forks."""
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.turns:
        return Note("nothing was said yet")
    if tree:
        return Document("\n".join(_tree(workspace, open_session)))
    if n is not None and n < 1:
        raise UsageError("':history' takes a number of turns from 1, such as ':history 5'.")
    turns = list(enumerate(open_session.session.turns, 1))
    start = open_session.session.context_start
    shown = []
    for number, turn in turns[-n:] if n else turns:
        mark = "" if turn.in_context and number > start else " (not in the context)"
        mark = " (on a branch)" if turn.branch is True else mark
        mark = _answer_mark(turn) if turn.comparison else mark
        mark = " (aside)" if turn.is_aside else mark
        mark += f" ({turn.finish_reason})" if turn.finish_reason in ("interrupted", "error", "length") else ""
        if turn.answered_by and turn.answered_by != open_session.session.model:
            mark += f" (answered by {escape_name(turn.answered_by)})"
        shown.append(ShownTurn(f"[{number}]{mark}", turn.text_of("user"), turn.text_of("assistant")))
    return Transcript(shown)


def _answer_mark(turn: Turn) -> str:
    """Describe an answer of a comparison."""
    return f" ({escape_name(turn.answered_by or 'unknown')}, {'not ' if turn.branch is True else ''}picked)"


def _tree(workspace: Workspace, open_session: OpenSession) -> Iterator[str]:
    """Yield a line per session in the tree of forks, indented by depth, the open one marked."""
    from llmrepl.sessions import forks

    for depth, branch in forks.family(forks.read(workspace.directory()), open_session.name):
        here = branch.name == open_session.name
        after = f"after turn {branch.after}: " if depth and branch.after else ""
        turns = len(open_session.session.turns) if here else branch.turns
        title = (open_session.session.title if here else branch.title) or ""
        about = "not here any more" if branch.gone and not here else pluralize(turns, "turn")
        suffix = f": {escape_name(title)}" if title else ""
        yield f"{'*' if here else ' '} {'  ' * depth}{after}{escape_name(branch.name)}, {about}{suffix}"


@command(
    "aside",
    "ask a side question that stays out of the context",
    argument("text", help="question", rest=True),
    group=GROUP,
    example="aside what does idempotent mean?",
    at_end="The model sees the conversation. Question and answer stay on disk, and later prompts do not include them.",
    where=PROMPT,
)
def aside(workspace: Workspace, text: str) -> Result:
    """Ask with the context, and keep the turn out of it."""
    if not text.strip():
        raise UsageError("Which question?", "For example :aside what does idempotent mean?")
    return SendPrompt(text, marks=ASIDE)


@command(
    "compare",
    "ask several models the same question",
    argument(
        "models",
        help="models, then the question; without a question, the last prompt is asked again",
        source="models",
        nargs="*",
        metavar="MODEL… [--] [TEXT]",
        rest=True,
    ),
    group=GROUP,
    example="compare openai/gpt-4o-mini anthropic/claude-sonnet-4-5 -- what is a monad?",
    at_end="The models are asked one after the other. ':pick N' continues with answer N, and the others stay on disk.",
    where=PROMPT,
)
def compare(workspace: Workspace, models: str) -> Result:
    """Ask each model; every answer is a branch until one is picked."""
    names, text = _models_and_text(workspace, models)
    if not names:
        raise UsageError("':compare' needs models.", f"For example ':{compare.example}'.")
    return CompareModels(text or None, names)


def _models_and_text(workspace: Workspace, given: str) -> tuple[list[str], str]:
    """Split the models at the start from the question, which begins after `--` or at the first word that is none."""
    names: list[str] = []
    rest = given.strip()
    while rest:
        word = rest.split(None, 1)[0]
        if word != "--" and not workspace.resolver().is_model_name(word):
            break
        rest = rest[len(word) :].lstrip()
        if word == "--":
            break
        names.append(workspace.resolver().resolve(word).shown)
    return names, rest


@command(
    "pick",
    "continue with one answer of a comparison",
    argument("n", help="number of the answer", kind=int, metavar="N"),
    group=GROUP,
    example="pick 2",
    at_end="The other answers leave the context but stay on disk. ':pick' can be used again for another one.",
    where=PROMPT,
    after_turns=True,
)
def pick(workspace: Workspace, n: int) -> Result:
    """Take an answer into the conversation."""
    from llmrepl.chat import comparison

    turn, left = comparison.pick(workspace, n)
    later = f"\n{pluralize(left, 'turn')} left the context (kept on disk)." if left else ""
    model = escape_name(turn.answered_by or "")
    switch = "" if turn.answered_by == workspace.chat.model else f"\n':model {model}' makes it the current model."
    return Note(f"Picked answer {n}, by {model}.{later}{switch}")


@command(
    "retry",
    "send the last prompt again, optionally to another model",
    argument("id", help="model to use this time", source="models", nargs="?"),
    group=GROUP,
    example="retry anthropic/claude-sonnet-4-5",
    where=PROMPT,
    after_turns=True,
)
def retry(workspace: Workspace, id: str | None) -> Result:
    """Send the last prompt again. A failed turn is replaced; an answered one leaves the context but stays on disk."""
    from llmrepl.sessions.branches import awaits_pick

    open_session = workspace.chat.current
    turns = open_session.session.turns if open_session else []
    number = next((n for n, turn in _numbered_backwards(turns) if not turn.undone and turn.branch is not True), None)
    if open_session and awaits_pick(open_session.session) and not _repeats_main(open_session.session, number):
        number = len(turns)
    if open_session is None or number is None:
        raise UsageError("There is no question to ask again.", "Type one")
    last = open_session.session.turns[number - 1]
    model = workspace.resolver().resolve(id).shown if id else None
    text, attachments = last.text_of("user"), last.attachments
    marks = ASIDE if last.is_aside else {}
    if last.finish_reason == "error" and number == len(open_session.session.turns):
        return SendPrompt(text, model, replaces=number, attachments=attachments, marks=marks)
    if last.is_aside or last.branch is True:
        return SendPrompt(text, model, attachments=attachments, marks=marks)
    return SendPrompt(text, model, undoes=(number,), attachments=attachments)


@command(
    "undo",
    "take turns out of the context (they stay on disk)",
    argument("n", help="how many (1)", kind=int, default=1, nargs="?", metavar="N", takes=_TURNS),
    group=GROUP,
    example="undo 2",
    where=PROMPT,
    after_turns=True,
)
def undo(workspace: Workspace, n: int) -> Result:
    """Mark the last turns in the context as undone."""
    open_session = workspace.chat.current
    turns = open_session.session.turns if open_session else []
    start = open_session.session.context_start if open_session else 0
    there = [number for number, turn in _numbered_backwards(turns) if turn.in_context and number > start]
    if open_session is None or not there:
        raise UsageError("No turns are in the context.", ":history shows the conversation")
    _check_count(":undo", n, there, "in the context")
    for number in there[:n]:
        open_session.update_turn(number, undone=True)
    removed = pluralize(n, "turn")
    return Note(
        f"Removed {removed} from the context (kept on disk).\n':redo' brings {'it' if n == 1 else 'them'} back."
    )


@command(
    "redo",
    "bring undone turns back into the context",
    argument(
        "n",
        help="how many (all that were undone last)",
        kind=int,
        nargs="?",
        metavar="N",
        takes=_TURNS,
        sample="2",
    ),
    group=GROUP,
    example="redo",
    where=PROMPT,
    after_turns=True,
)
def redo(workspace: Workspace, n: int | None) -> Result:
    """Bring back the turns that were undone after the last one in the context, oldest first."""
    open_session = workspace.chat.current
    turns = open_session.session.turns if open_session else []
    start = open_session.session.context_start if open_session else 0
    last = next((number for number, turn in _numbered_backwards(turns) if turn.in_context), 0)
    later = ((number, turns[number - 1]) for number in range(max(last, start) + 1, len(turns) + 1))
    undone = [number for number, turn in later if turn.undone and turn.branch is not True]
    if open_session is None or not undone:
        raise UsageError("There is nothing to redo.", ":history shows all turns, :fork --at N returns to one of them")
    n = len(undone) if n is None else n
    _check_count(":redo", n, undone, "undone")
    for number in undone[:n]:
        open_session.update_turn(number, undone=None)
    return Note(f"Brought {pluralize(n, 'turn')} back into the context.")


def _check_count(command: str, n: int, there: list[int], state: str) -> None:
    if not 1 <= n <= len(there):
        are = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"'{command} {n}': {pluralize(len(there), 'turn')} {are} {state}.",
            f"'{command}' takes a number from 1 to {len(there)}"
            if len(there) > 1
            else f"{command} without a number works",
        )


def _repeats_main(session: Session, number: int | None) -> bool:
    """Whether the last turn answers the same prompt as turn `number`."""
    return number is not None and session.parent_id(len(session.turns)) == session.parent_id(number)


def _numbered_backwards(turns: list[Turn]) -> list[tuple[int, Turn]]:
    return list(enumerate(turns, 1))[::-1]
