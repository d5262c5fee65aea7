"""Runs inputs from the prompt, a script or the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands import line, other_tools
from llmrepl.commands.grammar.command_table import CommandTable
from llmrepl.commands.registry import PROMPT, TERMINAL, Call
from llmrepl.commands.results import (
    CompareModels,
    Confirm,
    CopyText,
    EditText,
    Exit,
    Failed,
    Group,
    PickOne,
    ReadLine,
    ReadSecret,
    Result,
    RunProgram,
    RunScript,
    SendPrompt,
    StartChat,
)
from llmrepl.errors import FAILED, OK, LLMError, UsageError, most_severe
from llmrepl.formatting import pluralize
from llmrepl.rendering.base import Output
from llmrepl.rendering.json_lines import SingleJsonOutput
from llmrepl.shell.interaction import Interaction, NonInteractive
from llmrepl.system.environment import OutputError
from llmrepl.system.files import failure

if TYPE_CHECKING:
    from llmrepl.chat.turn import ChatTurn

MAX_SCRIPT_DEPTH = 20
"""Maximum nesting of scripts that run scripts."""

MAX_SCANNED = 1 << 18
"""Characters of a prompt that are searched for secrets before sending; about 0.1 s."""


class Shell:
    """Runs inputs with the commands in `table`, rendering to `output`.

    `left` is set when the user leaves, `greet` when a conversation was loaded, `sent_prompt` when a prompt was sent.
    With `with_guide` the built-in guide answers while no model is set. `interaction` is used to ask the user; `draft`
    is offered at the next prompt.
    """

    def __init__(self, workspace: Workspace, table: CommandTable, output: Output) -> None:
        self.workspace = workspace
        self.table = table
        self.output = output
        self.left = False
        self.greet = False
        self.sent_prompt = False
        self.with_guide = False
        self._scripts = 0
        self.draft = ""
        self.interaction: Interaction = NonInteractive()

    def run(self, text: str) -> int:
        """Run one input as typed; return its exit code. Errors are reported, not raised."""
        return self.run_guarded(lambda: self._run(text))

    def _run(self, text: str) -> int:
        parsed = line.parse(text)
        if isinstance(parsed, line.Prompt):
            if "\n" not in text and not text.lstrip().startswith("//"):
                other_tools.refuse(parsed.text, self.table.spellings(PROMPT))
            return self.ask(SendPrompt(parsed.text))
        if isinstance(parsed, line.CommandLine):
            if commands := line.split_commands(parsed.text):
                return self.inputs(commands, keep_going=False)
            command, said = other_tools.expand(parsed.text)
            if said:
                self.output.note(said)
            return self.call(self.table.parse_line(command))
        return OK

    def run_guarded(self, work: Callable[[], int]) -> int:
        """Run `work`; return its exit code. Errors, including bugs, are reported, not raised."""
        try:
            return work()
        except LLMError as error:
            if self.workspace.environment.debug:
                self.output.say(_traceback(error))
            return self._report(error)
        except (BrokenPipeError, OutputError):
            raise
        except OSError as error:
            return self._fail(failure(error))
        except MemoryError:
            return self._fail(LLMError("Out of memory"))
        except Exception as bug:  # noqa: BLE001 - a mistake in one command must not take the conversation along
            return self._unexpected(bug)
        finally:
            self.show_notes()

    def _fail(self, error: LLMError) -> int:
        """Report a system error and the state of the conversation; return the exit code."""
        error.hint = self.workspace.chat.where_saved()
        return self._report(error)

    def _report(self, error: LLMError) -> int:
        """Report an error, with commands as they are typed here; return the exit code."""
        self._spell(error)
        self.output.failure(error)
        return error.code

    def _spell(self, *errors: LLMError | None) -> None:
        from llmrepl.commands.table import all_commands  # `llm ask` has loaded no other command

        table = all_commands()
        interface = PROMPT if self.workspace.stdin_is_input else TERMINAL
        for error in filter(None, errors):
            error.message = table.spell(error.message, interface)
            error.hint = table.spell(error.hint, interface)

    def _unexpected(self, bug: Exception) -> int:
        """Report a bug in this program; return the exit code."""
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
        """Run a command and handle its result. Raises LLMError."""
        return self.handle_result(call, call.run(self.workspace))

    def handle_result(self, call: Call, result: Result) -> int:
        """Render a result and perform its action; return the exit code. Raises LLMError."""
        self.show_notes()
        if not isinstance(result, SendPrompt | CompareModels):  # rendered while it streams
            self.output.result(call, result)
        return self._follow(call, result)

    def _follow(self, call: Call, result: Result) -> int:
        """Perform the action of a result."""
        if isinstance(result, Group):
            return most_severe(self._follow(call, part) for part in result.parts)
        if isinstance(result, Failed):
            return self._report(result.failure)
        if isinstance(result, Exit):
            self.left = True
        elif isinstance(result, SendPrompt):
            return self.ask(result)
        elif isinstance(result, CompareModels):
            return self.compare(call, result)
        elif isinstance(result, RunScript):
            return self.script(result)
        elif isinstance(result, StartChat):
            self.greet = True
        elif isinstance(result, CopyText):
            self.interaction.copy(result.text)
            self.output.note(f"Copied {result.what} ({pluralize(len(result.text), 'character')})")
        elif isinstance(result, EditText):
            return self.handle_result(call, result.then(self.interaction.edit(result.text)))
        elif isinstance(result, Confirm):
            return self._confirmed(call, result)
        elif isinstance(result, ReadSecret):
            return self.handle_result(call, result.then(self.interaction.secret(result.prompt)))
        elif isinstance(result, ReadLine):
            return self.handle_result(call, result.then(self.interaction.line(result)))
        elif isinstance(result, RunProgram):
            return self.handle_result(call, result.then(self.interaction.run(result.run)))
        elif isinstance(result, PickOne):
            chosen = self.interaction.choose(result)
            return self.handle_result(call, result.then(chosen)) if chosen is not None else OK
        return OK

    def _confirmed(self, call: Call, result: Confirm) -> int:
        """Ask, and follow the result for the answer."""
        yes = self.interaction.confirm(result.question, default=result.default)
        then = result.then if yes else result.otherwise
        return self.handle_result(call, then()) if then else OK

    def ask(self, result: SendPrompt) -> int:
        """Send a prompt and render the reply; return the exit code. Raises LLMError if nothing could be sent."""
        from llmrepl.chat.attachments.prompt_text import append_texts

        attached = self.workspace.chat.attachments if result.attachments is None else list(result.attachments)
        if not self._confirm_secrets(append_texts(result.text, attached) if attached else result.text):
            self.output.note("nothing was sent")
            return OK
        if result.model is None:
            self._check_model()
        self.sent_prompt = True
        if result.edited:
            self.output.prompt(result.text)
        if result.model is None and (model := self.workspace.chat.confirm_default_model()):
            self.output.note(f"🤖 Model: {model}")
        output = self.output
        if result.json and not isinstance(output, SingleJsonOutput):  # `:ask --json`
            system = result.system or self.workspace.chat.system
            output = SingleJsonOutput(self.workspace.environment, result.text, system)
        elif isinstance(output, SingleJsonOutput) and result.system:
            output.system = result.system  # `@NAME` was replaced by the prompt
        if result.schema is not None:
            from llmrepl.shell.structured_reply import ask_structured

            turn_result = ask_structured(self.send, output, result, result.schema)
        else:
            turn_result = self.send(result, output).turn_result
        failures = [f.code for f in (turn_result.failure, turn_result.unsaved) if f] if turn_result else [FAILED]
        return most_severe(failures)

    def send(self, result: SendPrompt, output: Output) -> ChatTurn:
        """Send a prompt and render the reply to `output`. Raises LLMError if nothing could be sent."""
        from llmrepl.chat import turn

        chat_turn = turn.ask(
            self.workspace,
            result.text,
            model=result.model,
            system=result.system,
            replaces=result.replaces,
            undoes=result.undoes,
            keep=result.keep,
            context=result.context,
            attachments=result.attachments,
            marks=result.marks,
            schema=result.schema,
        )
        try:
            self._stream(chat_turn, output, result.text)
        finally:
            if chat_turn.turn_result is None and result.edited:
                self.draft = result.text
        return chat_turn

    def compare(self, call: Call, result: CompareModels) -> int:
        """Send a prompt to several models; return the exit code. Raises LLMError if nothing could be sent."""
        from llmrepl.shell import comparison

        self.sent_prompt = True
        return comparison.run(
            self.workspace,
            result,
            confirm=self._confirm_secrets,
            stream=lambda chat_turn, text, heading: self._stream(chat_turn, self.output, text, heading),
            show=lambda shown: self.output.result(call, shown),
        )

    def _stream(self, chat_turn: ChatTurn, output: Output, text: str, heading: str = "") -> None:
        """Render the reply to `text` while it arrives, under a heading if given."""
        read = True
        try:
            with chat_turn:
                output.begin_reply(text, heading)
                self.show_notes()
                for event in chat_turn:
                    output.event(event)
        except (BrokenPipeError, OutputError):
            read = False  # the reader is gone, so the outcome is not reported
            raise
        finally:
            if chat_turn.turn_result and read:
                self._spell(chat_turn.turn_result.failure, chat_turn.turn_result.unsaved)
                output.turn_result(chat_turn.turn_result)

    def _check_model(self) -> None:
        """Raise UsageError if only the guide could answer and nobody is there to see that it does."""
        if not self.with_guide and self.workspace.chat.is_unconfigured:
            advice = "llm keys set openrouter saves an API key, -m or LLM_MODEL names a model"
            raise UsageError("No model is set.", advice)

    def _confirm_secrets(self, text: str) -> bool:
        """Return whether to send a text; the user must confirm one that contains a secret."""
        from llmrepl.sessions import secrets

        if self.workspace.settings.flag("mask_secrets") or not (found := secrets.find(text[:MAX_SCANNED])):
            return True
        what = " and ".join(dict.fromkeys(f"{secret.kind} ({secret.shown})" for secret in found[:3]))
        self.output.note(f"this holds what looks like a secret: {what}; 'llm config set mask_secrets true' masks them")
        return self.interaction.confirm("Send and keep it all the same? [y/N] ")

    def script(self, result: RunScript) -> int:
        """Run the lines of a script; return the exit code."""
        if self._scripts == MAX_SCRIPT_DEPTH:
            raise UsageError(
                f"scripts run one another more than {MAX_SCRIPT_DEPTH} deep", "see which of them runs itself"
            )
        self._scripts += 1
        try:
            return self.inputs(line.inputs(_substitute(result.lines, result.arguments)), keep_going=False)
        finally:
            self._scripts -= 1

    def inputs(self, texts: Iterable[str], *, keep_going: bool) -> int:
        """Run inputs until one fails, or all with `keep_going`; return the most severe exit code."""
        codes: list[int] = []
        remaining = iter(texts)
        while (text := self._next(remaining, codes)) is not None:
            codes.append(self.run(text))
            if self.left or (codes[-1] != OK and not keep_going):
                break
        return most_severe(codes)

    def _next(self, texts: Iterator[str], codes: list[int]) -> str | None:
        """Return the next input, or None at the end. An error in the script itself ends it and is added to `codes`."""
        found: list[str] = []

        def read() -> int:
            found.extend(islice(texts, 1))
            return OK

        codes.append(self.run_guarded(read))
        return found[0] if found else None

    def close(self) -> int:
        """Save everything and report errors; return the exit code."""
        try:
            self.workspace.close()
        except LLMError as failure:
            self.output.failure(failure)
            return failure.code
        finally:
            self.show_notes()
        return OK

    def show_notes(self) -> None:
        """Render the notes collected by the workspace."""
        for text in self.workspace.take_notes():
            self.output.note(text)


def _traceback(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def _substitute(lines: Iterable[str], arguments: Sequence[str]) -> Iterator[str]:
    """Replace $1, $2 … in the lines of a script by its arguments."""

    def value(found: re.Match[str]) -> str:
        number = int(found[1])
        return arguments[number - 1] if 1 <= number <= len(arguments) else found[0]

    return (re.sub(r"\$([0-9]{1,4})", value, text) for text in lines)
