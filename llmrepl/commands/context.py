"""Commands that change what the model sees or what is saved: !, edit, compact, copy, incognito."""

from __future__ import annotations

import re

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.prompts.attach import SHELL, add, run_and_read
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Confirm, CopyText, Document, EditText, Group, Note, Result, RunProgram, SendPrompt
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path, escape_name, pluralize
from llmrepl.system.paths import expand

GROUP = "conversation"

SUMMARY = (
    "Summarize our conversation so far for your own later use: facts, decisions, names, numbers, open questions and "
    "any code that still matters, as short as you can without losing one of them. Answer with the summary only."
)
"""The prompt that `:compact` sends."""

_FENCE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)


_COMMAND = argument("command", help="command for your shell", rest=True)


@command("!", "run a command in your shell", _COMMAND, group="program", example="! git status", where=PROMPT)
def run_command(workspace: Workspace, command: str) -> Result:
    """Run a command with the terminal; in a script, print its output."""
    _check_command(workspace, command)
    environment = workspace.environment
    if not environment.interactive():
        return Document(run_and_read(workspace, command).data.decode("utf-8", "replace"))

    def run() -> int:
        from llmrepl.chat.attachments import command_output

        with workspace.signals.shield():  # Ctrl-C is for the command
            return command_output.run_command(command, environment.cwd, environment.environ)

    return RunProgram(run, lambda code: Note(f"The command ended with exit code {code}.") if code else Group([]))


@command(
    "!!",
    "run a command in your shell and attach its output",
    _COMMAND,
    group="program",
    example="!! git diff",
    where=PROMPT,
)
def run_and_attach(workspace: Workspace, command: str) -> Result:
    """Run a command, print its output and attach it to the next prompt."""
    _check_command(workspace, command)
    from llmrepl.chat.attachments.found import Found

    attachment = run_and_read(workspace, command)
    return Group([Document(attachment.data.decode("utf-8", "replace")), add(workspace, Found([attachment]))])


def _check_command(workspace: Workspace, command: str) -> None:
    workspace.check_trusted(SHELL)
    if not command.strip():
        raise UsageError("There is no command to run.", "'!COMMAND' runs one, '::!TEXT' is a prompt")


@command(
    "edit",
    "edit an earlier prompt and continue from there",
    argument(
        "turn",
        help="number of the turn in ':history' (default: last)",
        kind=int,
        nargs="?",
        metavar="TURN",
        takes="the number of a turn",
    ),
    group=GROUP,
    example="edit 3",
    where=PROMPT,
    after_turns=True,
)
def edit(workspace: Workspace, turn: int | None) -> Result:
    """Edit a prompt and send it again. That turn and later ones leave the context but stay on disk."""
    open_session = workspace.chat.current
    turns = open_session.session.turns if open_session else []
    number = len(turns) if turn is None else turn
    if open_session is None or not 1 <= number <= len(turns):
        raise UsageError("There is no such turn.", ":history shows the turns with their numbers")
    old = turns[number - 1].text_of("user")

    def ask(text: str) -> Result:
        if not text.strip():
            return Note("the prompt is empty; nothing was changed")
        from llmrepl.sessions.branches import main_line_after

        edited = turns[number - 1]
        if edited.is_aside:
            return SendPrompt(text, attachments=edited.attachments, edited=True, marks={"aside": True})
        session = open_session.session
        after = session.parent_id(number) if edited.comparison else session.turn_id(number - 1)
        later = main_line_after(session, after)
        undoes = [one for one in later if not turns[one - 1].undone]
        return SendPrompt(text, undoes=undoes, attachments=edited.attachments, edited=True)

    return EditText(old, ask)


@command(
    "compact",
    "replace the turns so far by a summary",
    group=GROUP,
    example="compact",
    at_end="The originals stay on disk.",
    where=PROMPT,
    after_turns=True,
)
def compact(workspace: Workspace) -> Result:
    """Ask the model for a summary and use it as the context instead of the turns."""
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.context():
        return Note("there is nothing to sum up yet")
    from llmrepl.chat import turn

    context = list(open_session.session.context())
    chat_turn = turn.ask(workspace, SUMMARY, keep=False, context=context, attachments=())
    with chat_turn:
        for _ in chat_turn:
            pass
    turn_result = chat_turn.turn_result
    if turn_result and turn_result.usage:
        open_session.session.add_request(turn_result.usage, turn_result.cost)
        open_session.set_header(meta=open_session.session.meta)
    if (
        turn_result is None
        or turn_result.failure
        or turn_result.finish_reason != "stop"
        or not turn_result.text.strip()
    ):
        raise (
            turn_result.failure
            if turn_result and turn_result.failure
            else UsageError(
                "The model gave no complete summary, and nothing was changed.",
                ":compact tries again, :model chooses another model",
            )
        )
    open_session.session.summarize(turn_result.text)
    open_session.set_header(meta=open_session.session.meta)
    return Note(
        f"Summarized {pluralize(len(context), 'message')}; the originals stay in {escape_name(open_session.name)}"
    )


@command(
    "copy",
    "copy the last reply or its code to the clipboard or a file",
    argument("what", help="'code' copies a code block", choices=("code",), nargs="?"),
    argument(
        "n",
        help="number of the code block (default: last)",
        kind=int,
        nargs="?",
        metavar="N",
        takes="the number of a code block",
    ),
    argument("--to", help="write to FILE instead", source="files", metavar="FILE"),
    argument("--force", help="replace an existing file, which is kept as FILE.backup", switch=True),
    group=GROUP,
    example="copy code 1",
    where=PROMPT,
    after_turns=True,
)
def copy(workspace: Workspace, what: str | None, n: int | None, to: str | None, force: bool) -> Result:
    """Copy a reply or code block to the clipboard or a file, byte for byte."""
    from llmrepl.sessions.branches import awaits_pick

    if force and to is None:
        raise UsageError("There is no file to replace.", ":copy --to FILE --force names it")
    open_session = workspace.chat.current
    turns = open_session.session.turns if open_session else []
    waits = open_session is not None and awaits_pick(open_session.session)
    shown = (t for t in reversed(turns) if not t.undone and (waits or t.branch is not True))
    reply = next((text for t in shown if (text := t.text_of("assistant"))), None)
    if reply is None:
        raise UsageError("There is no reply to copy.", "Ask something first")
    if what is None:
        return _copied(workspace, reply, "the reply", to, force=force)
    blocks = code_blocks(reply)
    number = len(blocks) if n is None else n
    if not 1 <= number <= len(blocks):
        raise UsageError(
            f"The last reply has {pluralize(len(blocks), 'code block')}.",
            ":copy code N copies the one with that number",
        )
    return _copied(workspace, blocks[number - 1], f"code block {number}", to, force=force)


def _copied(workspace: Workspace, text: str, what: str, to: str | None, *, force: bool) -> Result:
    """Copy to the clipboard, or write to the file `to`."""
    if to is None:
        return CopyText(text, what)
    if force:
        workspace.check_trusted("replace files")
    from llmrepl.system import files

    cwd = workspace.environment.cwd
    target = cwd / expand(to, workspace.paths.home)
    workspace.check_new_file(target)
    backup = files.write_new(target, text.encode("utf-8", "replace"), force=force)
    more = f"\nthe old file is kept as {escape_name(backup.name)}" if backup else ""
    return Note(f"Copied {what} to {display_path(target, cwd)} ({pluralize(len(text), 'character')}){more}")


@command(
    "incognito",
    "stop saving the conversation",
    argument("state", help="turn incognito on or off", choices=("on", "off"), nargs="?"),
    group=GROUP,
    example="incognito on",
    where=PROMPT,
)
def incognito(workspace: Workspace, state: str | None) -> Result:
    """Turn incognito on or off, or show its state."""
    chat = workspace.chat
    if state is None:
        return Document("on" if chat.incognito else "off")
    if (state == "on") == chat.incognito:
        return Note(f"Incognito is already {state}.")
    if state == "on":
        chat.enter_incognito()
        return Note(
            "Incognito: from here on only amounts are written, in the usage ledger.\n':save NAME' keeps the rest."
        )

    def leave() -> Result:
        chat.leave_incognito(discard=True)
        back = f"Back in {escape_name(chat.current.name)}." if chat.current else "A new session begins."
        return Note(f"What was said incognito is gone. {back}")

    before = chat.turns_before_incognito
    said = len(chat.current.session.turns) - before if chat.current else 0
    return Confirm(f"Drop {pluralize(said, 'incognito turn')}? [y/N] ", leave) if said > 0 else leave()


def code_blocks(text: str) -> list[str]:
    """Return the code in fenced blocks of Markdown, verbatim (CommonMark 0.31, section 4.5)."""
    return [found["code"] for found in _FENCE.finditer(text)]
