"""Commands that shape the conversation: attach, edit, compact, copy, and what is not to be kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmrepl.chat import services_tmp as rooms
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Ask, Copy, Document, Edit, Note, Reply
from llmrepl.errors import WrongUse
from llmrepl.formatting import count, safe_name, shown_path
from llmrepl.system.paths import expand

if TYPE_CHECKING:
    from llmrepl.chat.turn import Exchange
    from llmrepl.providers.base import Attachment

GROUP = "conversation"

SUMMARY = (
    "Summarize our conversation so far for your own later use: facts, decisions, names, numbers, open questions and "
    "any code that still matters, as short as you can without losing one of them. Answer with the summary only."
)
"""What the model is asked by `:compact`."""

_FENCE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)


@command(
    "attach",
    "add a file, image or command's output to what you ask",
    argument("--clear", help="attach nothing after all", switch=True),
    argument("what", help="a path, or ! and a command", source="files", rest=True),
    group=GROUP,
    example="attach !git diff",
    where=PROMPT,
)
def attach(workspace: Workspace, what: str, clear: bool) -> Reply:
    """Collect what goes along with the next prompt; bare, say what that is."""
    if clear:
        workspace.attachments.clear()
        return Note("nothing is attached")
    if not what:
        names = "\n".join(safe_name(a.name) for a in workspace.attachments)
        return Document(names) if names else Note("nothing is attached")
    world = workspace.world
    if what.startswith("!"):
        attachment: Attachment = rooms.attaching().from_command(what[1:].strip(), world.cwd, world.environ)
    else:
        attachment = _file(workspace, what.strip("\"'"))
    workspace.attachments.append(attachment)
    return Note(f"{safe_name(attachment.name)} goes with the next prompt, {count(len(attachment.data), 'byte')}")


def attach_to_first(workspace: Workspace, given: str) -> None:
    """Attach a file to the first prompt; `-` is the text that is piped in. Raises WrongUse."""
    if given != "-":
        workspace.attachments.append(_file(workspace, given))
        return
    text = workspace.piped_text()
    if not text:
        raise WrongUse("there is no text on standard input", "pipe it in: COMMAND | llm chat -f -")
    workspace.attachments.append(rooms.attaching().from_pipe(text))
    workspace.world.talk_on_terminal()


def _file(workspace: Workspace, given: str) -> Attachment:
    cwd = workspace.world.cwd
    path = cwd / expand(given, workspace.places.home)
    attachment: Attachment = rooms.attaching().from_file(path, shown_path(path, cwd).removeprefix("./"))
    return attachment


@command(
    "edit",
    "edit an earlier prompt, and go on from there",
    argument("turn", help="its number in ':history' (the last one)", kind=int, nargs="?", metavar="TURN"),
    group=GROUP,
    example="edit 3",
    where=PROMPT,
    after_turns=True,
)
def edit(workspace: Workspace, turn: int | None) -> Reply:
    """What was said from that turn on leaves the context, and stays on disk."""
    keeper = workspace.current
    turns = keeper.session.turns if keeper else []
    number = len(turns) if turn is None else turn
    if keeper is None or not 1 <= number <= len(turns):
        raise WrongUse("there is no such turn", "see ':history'")
    old = turns[number - 1].said("user")

    def ask(text: str) -> Reply:
        if not text.strip():
            return Note("the prompt is empty; nothing was changed")
        for later in range(number, len(turns) + 1):
            if not turns[later - 1].undone:
                keeper.change(later, undone=True)
        return Ask(text)

    return Edit(old, ask)


@command(
    "compact",
    "put a summary in the place of older turns",
    group=GROUP,
    example="compact",
    at_end="The originals stay on disk.",
    where=PROMPT,
    after_turns=True,
)
def compact(workspace: Workspace) -> Reply:
    """Ask the model for a summary, and show it that in the place of what it sums up."""
    keeper = workspace.current
    if keeper is None or not keeper.session.context():
        return Note("there is nothing to sum up yet")
    context = list(keeper.session.context())
    exchange: Exchange = rooms.turn().ask(workspace, SUMMARY, keep=False, context=context)
    with exchange:
        for _ in exchange:
            pass
    outcome = exchange.outcome
    if outcome is None or outcome.failure or outcome.finish_reason != "stop" or not outcome.text.strip():
        raise outcome.failure if outcome and outcome.failure else WrongUse(
            "the model gave no whole summary; nothing was changed", "try again, or another ':model'"
        )
    keeper.session.summarize(outcome.text)
    keeper.head(meta=keeper.session.meta)
    return Note(f"{count(len(context), 'message')} summed up; they stay in {safe_name(keeper.name)}")


@command(
    "copy",
    "copy the last reply, or exactly its N-th code block",
    argument("what", help="'code': a code block of it", choices=("code",), nargs="?"),
    argument("n", help="which code block (the last)", kind=int, nargs="?", metavar="N"),
    group=GROUP,
    example="copy code 1",
    where=PROMPT,
    after_turns=True,
)
def copy(workspace: Workspace, what: str | None, n: int | None) -> Reply:
    """To the clipboard, byte for byte."""
    keeper = workspace.current
    turns = keeper.session.turns if keeper else []
    reply = next((text for t in reversed(turns) if not t.undone and (text := t.said("assistant"))), None)
    if reply is None:
        raise WrongUse("there is no reply to copy", "ask something first")
    if what is None:
        return Copy(reply, "the reply")
    blocks = code_blocks(reply)
    number = len(blocks) if n is None else n
    if not 1 <= number <= len(blocks):
        raise WrongUse(f"the last reply has {count(len(blocks), 'code block')}", "give one of their numbers")
    return Copy(blocks[number - 1], f"code block {number}")


@command(
    "incognito",
    "from here on nothing reaches any file",
    argument("state", help="on or off", choices=("on", "off"), nargs="?"),
    group=GROUP,
    example="incognito on",
    where=PROMPT,
)
def incognito(workspace: Workspace, state: str | None) -> Reply:
    """On, off, or what it is."""
    if state is None:
        return Document("on" if workspace.incognito else "off")
    if (state == "on") == workspace.incognito:
        return Note(f"incognito is {state} already")
    workspace.set_incognito(state == "on")
    if state == "on":
        return Note("incognito: nothing of what follows is written, but for amounts in the ledger; ':save' leaves it")
    return Note("a fresh session begins; what was said incognito is gone")


def code_blocks(text: str) -> list[str]:
    """The code in the fenced blocks of a Markdown text, exactly as it stands there (CommonMark 0.31, 4.5)."""
    return [found["code"] for found in _FENCE.finditer(text)]
