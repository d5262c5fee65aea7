"""Runs one input after another, whoever gives them: a person at the prompt, a script, or the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from llmrepl.chat.workspace import Workspace
from llmrepl.commands import line
from llmrepl.commands.registry import Call, CommandTable
from llmrepl.commands.results import (
    Confirm,
    CopyText,
    EditText,
    Exit,
    Failed,
    Group,
    PickOne,
    ReadSecret,
    Result,
    RunScript,
    SendPrompt,
    StartChat,
)
from llmrepl.errors import FAILED, OK, LLMError, UsageError, most_severe
from llmrepl.formatting import pluralize
from llmrepl.rendering.base import Output
from llmrepl.rendering.json_lines import JsonOutput
from llmrepl.shell.interaction import Interaction, NonInteractive
from llmrepl.system.environment import OutputError
from llmrepl.system.files import failure

MOST_SCRIPTS = 20
"""How deep scripts may run one another."""

LOOKED_AT = 1 << 18
"""Characters of a prompt in which a secret is looked for before it is sent: what takes a tenth of a second."""


class Shell:
    """The commands, the workspace that they work on, and where to draw.

    `left` is set once the user wants to leave, `greet` when a conversation was loaded, `asked` when a model was asked;
    `interaction` is who can be asked,
    `draft` a text to offer at the next prompt.
    """

    def __init__(self, workspace: Workspace, table: CommandTable, output: Output) -> None:
        self.workspace = workspace
        self.table = table
        self.output = output
        self.left = False
        self.greet = False
        self.asked = False
        self._scripts = 0
        self.draft = ""
        self.interaction: Interaction = NonInteractive()

    def run(self, text: str) -> int:
        """Run one input as typed; its exit code. A failure is drawn, not raised."""
        return self.guarded(lambda: self._run(text))

    def _run(self, text: str) -> int:
        parsed = line.parse(text)
        if isinstance(parsed, line.Prompt):
            return self.ask(SendPrompt(parsed.text))
        if isinstance(parsed, line.CommandLine):
            if commands := line.split_commands(parsed.text):
                return self.inputs(commands, keep_going=False)
            return self.call(self.table.parse_line(parsed.text))
        return OK

    def guarded(self, work: Callable[[], int]) -> int:
        """Do some work; its exit code. A failure is drawn, not raised, and so is a mistake of this program."""
        try:
            return work()
        except LLMError as error:
            if self.workspace.environment.debug:
                self.output.say(_traceback(error))
            self.output.failure(error)
            return error.code
        except (BrokenPipeError, OutputError):
            raise
        except OSError as error:
            return self._fail(failure(error))
        except MemoryError:
            return self._fail(LLMError("Out of memory"))
        except Exception as bug:  # noqa: BLE001 - a mistake in one command must not take the conversation along
            return self._unexpected(bug)
        finally:
            self.tell()

    def _fail(self, error: LLMError) -> int:
        """Draw a failure of the system, with what became of the conversation; the exit code."""
        error.hint = self.workspace.chat.where_saved()
        self.output.failure(error)
        return error.code

    def _unexpected(self, bug: Exception) -> int:
        """Say that this program has a mistake, without losing the conversation to it; the exit code."""
        if self.workspace.environment.debug:
            self.output.say(_traceback(bug))
        saved = self.workspace.chat.where_saved()
        self.output.failure(
            LLMError(
                f"something went wrong inside llm ({type(bug).__name__}: {bug})",
                f"{saved}{'. ' if saved else ''}LLM_DEBUG=1 shows where, please report it",
            )
        )
        return FAILED

    def call(self, call: Call) -> int:
        """Run a command and follow what its reply wishes. Raises LLMError."""
        return self.answer(call, call.run(self.workspace))

    def answer(self, call: Call, reply: Result) -> int:
        """Draw a command's reply and do what it wishes; the exit code. Raises LLMError."""
        self.tell()
        if not isinstance(reply, SendPrompt):  # which is drawn as it goes
            self.output.result(call, reply)
        return self._follow(call, reply)

    def _follow(self, call: Call, reply: Result) -> int:
        """Do what a reply wishes, beyond being drawn."""
        if isinstance(reply, Group):
            return most_severe(self._follow(call, part) for part in reply.parts)
        if isinstance(reply, Failed):
            self.output.failure(reply.failure)
            return reply.failure.code
        if isinstance(reply, Exit):
            self.left = True
        elif isinstance(reply, SendPrompt):
            return self.ask(reply)
        elif isinstance(reply, RunScript):
            return self.script(reply)
        elif isinstance(reply, StartChat):
            self.greet = True
        elif isinstance(reply, CopyText):
            self.interaction.copy(reply.text)
            self.output.note(f"{reply.what} copied, {pluralize(len(reply.text), 'character')}")
        elif isinstance(reply, EditText):
            return self.answer(call, reply.then(self.interaction.edit(reply.text)))
        elif isinstance(reply, Confirm):
            return self.answer(call, reply.then()) if self.interaction.agrees(reply.question) else OK
        elif isinstance(reply, ReadSecret):
            return self.answer(call, reply.then(self.interaction.secret(reply.prompt)))
        elif isinstance(reply, PickOne):
            chosen = self.interaction.choose(reply)
            return self.answer(call, reply.then(chosen)) if chosen is not None else OK
        return OK

    def ask(self, result: SendPrompt) -> int:
        """Ask the model and draw the reply; its exit code. Raises LLMError if nothing could be sent."""
        from llmrepl.chat import turn
        from llmrepl.chat.attachments import append_texts

        attached = self.workspace.chat.attachments if result.attachments is None else list(result.attachments)
        if not self._may_be_sent(append_texts(result.text, attached) if attached else result.text):
            self.output.note("nothing was sent")
            return OK
        self.asked = True
        if result.model is None and (model := self.workspace.chat.confirm_default_model()):
            self.output.note(f"🤖 Model: {model}")
        chat_turn = turn.ask(
            self.workspace,
            result.text,
            model=result.model,
            system=result.system,
            replaces=result.replaces,
            undoes=result.undoes,
            keep=result.keep,
            attachments=result.attachments,
        )
        output = JsonOutput(self.workspace.environment) if result.json else self.output
        read = True
        try:
            with chat_turn:
                output.begin_reply(result.text)
                self.tell()
                for event in chat_turn:
                    output.event(event)
        except (BrokenPipeError, OutputError):
            read = False  # by nobody, so there is nobody to tell how the reply ended
            raise
        finally:
            if chat_turn.turn_result and read:
                output.turn_result(chat_turn.turn_result)
            elif chat_turn.turn_result is None and result.edited:
                self.draft = result.text
        turn_result = chat_turn.turn_result
        failures = [f.code for f in (turn_result.failure, turn_result.unsaved) if f] if turn_result else [FAILED]
        return most_severe(failures)

    def _may_be_sent(self, text: str) -> bool:
        """Whether a text goes out as it is: one with a key or a password in it only if the user is sure."""
        from llmrepl.sessions import secrets

        if self.workspace.settings.flag("mask_secrets") or not (found := secrets.find(text[:LOOKED_AT])):
            return True
        what = " and ".join(dict.fromkeys(f"{secret.kind} ({secret.shown})" for secret in found[:3]))
        self.output.note(f"this holds what looks like a secret: {what}; 'llm config set mask_secrets true' masks them")
        return self.interaction.agrees("Send and keep it all the same? [y/N] ")

    def script(self, result: RunScript) -> int:
        """Run the inputs of a file."""
        if self._scripts == MOST_SCRIPTS:
            raise UsageError(f"scripts run one another more than {MOST_SCRIPTS} deep", "see which of them runs itself")
        self._scripts += 1
        try:
            return self.inputs(line.inputs(_filled(result.lines, result.arguments)), keep_going=False)
        finally:
            self._scripts -= 1

    def inputs(self, texts: Iterable[str], *, keep_going: bool) -> int:
        """Run inputs until one fails, or to the end with `keep_going`; the gravest exit code."""
        codes: list[int] = []
        remaining = iter(texts)
        while (text := self._next(remaining, codes)) is not None:
            codes.append(self.run(text))
            if self.left or (codes[-1] != OK and not keep_going):
                break
        return most_severe(codes)

    def _next(self, texts: Iterator[str], codes: list[int]) -> str | None:
        """The next input, None at the end; an error in the script itself ends it and is in `codes`."""
        found: list[str] = []

        def read() -> int:
            found.extend(islice(texts, 1))
            return OK

        codes.append(self.guarded(read))
        return found[0] if found else None

    def close(self) -> int:
        """Save everything and say what could not be saved; the exit code."""
        try:
            self.workspace.close()
        except LLMError as failure:
            self.output.failure(failure)
            return failure.code
        finally:
            self.tell()
        return OK

    def tell(self) -> None:
        """Draw the notes that the workspace has collected."""
        for text in self.workspace.take_notes():
            self.output.note(text)


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _filled(lines: Iterable[str], arguments: Sequence[str]) -> Iterator[str]:
    """The lines of a script with its arguments in the place of $1, $2 …"""

    def value(found: re.Match[str]) -> str:
        number = int(found[1])
        return arguments[number - 1] if 1 <= number <= len(arguments) else found[0]

    return (re.sub(r"\$([0-9]{1,4})", value, text) for text in lines)
