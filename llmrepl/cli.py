"""The command line: arguments in, exit code out. Starts the prompt or a script if asked to."""

from __future__ import annotations

import gc
import os
import sys

from llmrepl import __version__

TYPE_CHECKING = False  # not from typing: importing that and contextlib is a third of --version
if TYPE_CHECKING:
    from llmrepl.chat.workspace import Workspace
    from llmrepl.commands.grammar.command_table import CommandTable
    from llmrepl.commands.registry import Call
    from llmrepl.commands.results import Result, StartChat
    from llmrepl.errors import LLMError
    from llmrepl.rendering.base import Output
    from llmrepl.shell.runner import Shell
    from llmrepl.system.early_prompt import EarlyPrompt
    from llmrepl.system.environment import Environment
    from llmrepl.system.signals import Signals

CLOSED_PIPE = 141
"""Exit code if the reader of our output exited, as for a program killed by SIGPIPE."""


def run() -> None:
    """Run the `llm` command."""
    if sys.argv[1:] in (["--version"], ["-V"]):  # before anything else is imported
        try:
            if sys.stdout:  # which the program may be started without
                sys.stdout.write(f"llmrepl {__version__}\n")
                sys.stdout.flush()
        except OSError as error:
            os._exit(CLOSED_PIPE if isinstance(error, BrokenPipeError) else _say_full(error))
        return
    early = None
    if not sys.argv[1:]:
        from llmrepl.system import early_prompt

        early = early_prompt.draw(os.environ, os.getcwd)
    gc.set_threshold(50_000)  # loading makes many objects and no garbage; looking for some takes a tenth of the start
    import contextlib

    from llmrepl.system.environment import Environment

    environment = Environment.real()
    code = main(sys.argv[1:], environment, early)
    for stream in (environment.stdout, environment.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)  # everything is saved; tearing down the modules takes a sixth of a short command


def main(words: list[str], environment: Environment, early: EarlyPrompt | None = None) -> int:
    """Run the command in `words`; return its exit code. SIGINT, SIGTERM and SIGHUP end the process by that signal.

    `early` is the prompt that was drawn while the program was loading.
    """
    from contextlib import nullcontext

    from llmrepl.errors import LLMError, SignalExit
    from llmrepl.system.signals import Signals, exit_by_signal

    if words[:1] == ["--debug"]:  # after the command, the command's parser takes it
        environment.debug, words = True, words[1:]
    signals = Signals()
    signals.install()
    workspace = None
    try:
        with early or nullcontext():
            model, words = _model_before_command(words)
            workspace = _create_workspace(environment, signals, model)
            if words[:1] == ["--complete"]:  # sources.COMPLETE, not loaded for other commands
                return _complete(words[1:], workspace)
            code = _run(words, workspace) if words or not environment.stdin.isatty() else _run_prompt(workspace, early)
            environment.stdout.flush()
            return exit_by_signal(signals.stopped) if signals.stopped else code
    except LLMError as failure:
        if environment.debug:
            import traceback

            from llmrepl.rendering.base import PlainOutput

            PlainOutput(environment).say("".join(traceback.format_exception(failure)))
        _failed(environment, workspace, failure)
        return failure.code
    except (OSError, MemoryError) as error:
        if signals.stopped:
            return exit_by_signal(signals.stopped)
        return _system_failed(environment, error, workspace.chat.where_saved() if workspace else "")
    except KeyboardInterrupt:
        return exit_by_signal(2)
    except SignalExit as stopped:
        return exit_by_signal(stopped.signum)


def _failed(environment: Environment, workspace: Workspace | None, failure: LLMError) -> None:
    """Report an error that ended the command before it had an output of its own."""
    from llmrepl.rendering.base import PlainOutput

    output = _create_output(workspace, json=False) if workspace else PlainOutput(environment)
    output.failure(failure)


def _system_failed(environment: Environment, error: OSError | MemoryError, saved: str) -> int:
    """Report an operating system error and, in `saved`, the state of the conversation; return the exit code."""
    if isinstance(error, BrokenPipeError):
        return CLOSED_PIPE
    from llmrepl.errors import LLMError
    from llmrepl.rendering.base import PlainOutput
    from llmrepl.system import files
    from llmrepl.system.environment import OutputError

    if isinstance(error, OutputError):
        shown = LLMError(f"the output cannot be written: {files.reason(error)}")
    else:
        shown = files.failure(error) if isinstance(error, OSError) else LLMError("Out of memory")
    shown.hint = saved
    PlainOutput(environment).failure(shown)
    return shown.code


def _say_full(error: OSError) -> int:
    """Report that output cannot be written, importing almost nothing; return the exit code."""
    import contextlib

    why = (error.strerror or "the system refused").lower()
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: the output cannot be written: {why}\n")
    return 1


def _create_workspace(environment: Environment, signals: Signals, model: str | None = None) -> Workspace:
    from llmrepl.chat.workspace import Workspace
    from llmrepl.config.settings import Settings
    from llmrepl.system.paths import Paths

    environment.log("settings")
    paths = Paths.find(environment.environ)
    settings = Settings.load(environment.environ, environment.cwd, paths, {"default_model": model})
    workspace = Workspace(environment, settings, paths, signals, saving=settings.flag("save_sessions"))
    workspace.notes += settings.problems
    return workspace


def _complete(words: list[str], workspace: Workspace) -> int:
    """Print the completions of a word after another one, one per line, with a hint after a tab; nothing on errors."""
    import contextlib

    from llmrepl.commands.value_sources import complete_word
    from llmrepl.errors import LLMError

    source, word, before = [*words, "", "", ""][:3]
    with contextlib.suppress(LLMError, OSError):
        for candidate in complete_word(workspace, source, word, before):
            workspace.environment.stdout.write(f"{candidate.value}\t{candidate.hint}\n")
    return 0


def _run_prompt(workspace: Workspace, early: EarlyPrompt | None) -> int:
    """Run `llm` without arguments: show the prompt first, load the commands when idle or needed."""
    from llmrepl.prompt.loop import Loop

    if early:
        from datetime import datetime

        workspace.chat.begin_at(datetime.fromtimestamp(early.at))
    workspace.chat.check_writable()
    try:
        return Loop(workspace, lambda: _create_shell(workspace, json=False), early=early, remember=True).run()
    finally:
        workspace.close()


def _run(words: list[str], workspace: Workspace) -> int:
    from llmrepl.commands.registry import TERMINAL
    from llmrepl.errors import most_severe

    words = _command_words(words)
    commands = _commands_for(words)
    call = commands.parse(words, TERMINAL)
    workspace.environment.debug = workspace.environment.debug or call.debug
    workspace.environment.log(f"command {call.command.name}")
    json = call.command.name == "chat" and call.values.get("json", False)
    shell = _create_shell(workspace, json=json, commands=commands)
    if call.command.name == "ask" and call.values.get("json"):
        from llmrepl.rendering.json_lines import SingleJsonOutput

        system = call.values["system"] or workspace.chat.system
        shell.output = SingleJsonOutput(workspace.environment, call.values["question"], system)
    try:
        code = shell.run_guarded(lambda: _run_command(shell, call))
    except BaseException:
        shell.close()
        raise
    return most_severe((code, shell.close()))


def _run_command(shell: Shell, call: Call) -> int:
    """Run the named command, and the conversation it may start."""
    from llmrepl.commands.results import PickOne

    if shell.workspace.environment.interactive():
        from llmrepl.prompt.terminal_interaction import TerminalInteraction

        shell.interaction = TerminalInteraction(shell.workspace.environment)
    result = call.run(shell.workspace)
    if isinstance(result, PickOne):
        chosen = shell.interaction.choose(result)
        if chosen is None:
            return 0
        result = result.then(chosen)
    chat = _find_start_chat(result)
    return _chat(shell, call, result, chat) if chat else shell.handle_result(call, result)


def _commands_for(words: list[str]) -> CommandTable:
    """Return the table of the commands that may be needed: `llm ask` only asks, and loads no other."""
    if words[:1] == ["ask"]:
        from llmrepl.commands import app
        from llmrepl.commands.grammar.command_table import CommandTable

        return CommandTable([app.ask])
    from llmrepl.commands.table import all_commands

    return all_commands()


def _create_shell(workspace: Workspace, *, json: bool, commands: CommandTable | None = None) -> Shell:
    from llmrepl.shell.runner import Shell

    return Shell(workspace, commands or _commands_for([]), _create_output(workspace, json=json))


def _model_before_command(words: list[str]) -> tuple[str | None, list[str]]:
    """Split `--model X COMMAND …`, as an alias of the user may have it, into the model and the command."""
    if words[:1] in (["--model"], ["-m"]) and len(words) > 2 and not words[2].startswith("-"):
        return words[1], words[2:]
    name, equals, model = words[0].partition("=") if words else ("", "", "")
    if name == "--model" and equals and len(words) > 1 and not words[1].startswith("-"):
        return model, words[1:]
    return None, words


def _command_words(words: list[str]) -> list[str]:
    """Expand `llm` without a command name to `llm chat`."""
    if words[:1] in (["--help"], ["-h"]):
        return ["help", *words[1:]]
    if not words or words[0].startswith("-"):
        return ["chat", *words]
    return words


def _create_output(workspace: Workspace, *, json: bool) -> Output:
    """Choose the output: JSON if requested, a capable terminal, otherwise plain text."""
    environment = workspace.environment
    if json:
        from llmrepl.rendering.json_lines import JsonOutput

        return JsonOutput(environment)
    if (
        environment.stdout.isatty()
        and environment.environ.get("TERM") != "dumb"
        and not environment.environ.get("ACCESSIBLE")
    ):
        from llmrepl.rendering.terminal import TerminalOutput

        return TerminalOutput(environment, workspace.settings)
    from llmrepl.rendering.base import PlainOutput

    return PlainOutput(environment, workspace.settings)


def _find_start_chat(result: Result) -> StartChat | None:
    from llmrepl.commands.results import Group, StartChat

    parts = result.parts if isinstance(result, Group) else [result]
    return next((part for part in parts if isinstance(part, StartChat)), None)


def _chat(shell: Shell, call: Call, result: Result, chat: StartChat) -> int:
    if result is not chat:
        shell.output.result(call, result)
    if shell.workspace.environment.stdin.isatty():
        from llmrepl.prompt.loop import Loop

        return Loop(shell.workspace, lambda: shell).run()
    from llmrepl.shell import script

    return script.run(shell, keep_going=chat.keep_going, allow_shell=chat.allow_shell)
