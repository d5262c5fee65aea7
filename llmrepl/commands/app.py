"""Commands of the program itself: start, ask, run, exit."""

from __future__ import annotations

from typing import Any

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.argument_types import fraction, usd
from llmrepl.commands.prompts.attach import ALLOW_PRIVATE, FILE, attach_given
from llmrepl.commands.prompts.library import library, send_saved, system_text
from llmrepl.commands.registry import PROMPT, TERMINAL, argument, command
from llmrepl.commands.results import Document, Exit, Group, Result, RunScript, SendPrompt, StartChat
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path
from llmrepl.system.files import reason
from llmrepl.system.limits import MAX_INPUT_CHARACTERS
from llmrepl.system.paths import expand
from llmrepl.system.resources import packaged_directory

GROUP = "program"

SCRIPTS = {"bash": "llm.bash", "zsh": "_llm", "fish": "llm.fish", "powershell": "llm.ps1"}
"""Completion scripts in completions/, by shell."""


@command(
    "chat",
    "start the shell",
    argument("-m", "--model", help="model to use, as PROVIDER/MODEL", source="models"),
    argument("-s", "--system", help="system prompt, or @NAME of a saved one"),
    argument("-b", "--budget", help="budget of the session in USD", kind=usd, metavar="USD"),
    argument("--effort", help="how much the model thinks before it answers", source="efforts", metavar="EFFORT"),
    argument("--warn-at", help="warn at this fraction of the budget, such as 0.8", kind=fraction, metavar="FRACTION"),
    argument(
        "-r",
        "--resume",
        help="resume a session (without NAME, pick from a list)",
        source="sessions",
        nargs="?",
        const="",
        metavar="NAME",
    ),
    argument("-c", "--continue", help="resume the latest session", switch=True),
    argument("--all", help="with -r, look in every directory used so far", switch=True),
    FILE,
    ALLOW_PRIVATE,
    argument("--name", help="name of the new session"),
    argument("--save-dir", help="directory to save sessions in", source="directories", metavar="DIR"),
    argument("--no-save", help="do not save the session", switch=True),
    argument("--json", help="in scripts, print one JSON object per line", switch=True),
    argument("--keep-going", help="in scripts, continue after a failed input", switch=True),
    argument("--allow-shell", help="in scripts, allow system commands and changes of settings", switch=True),
    group="conversation",
    example="chat -m openai/gpt-4o-mini --name my_coding_session",
    where=TERMINAL,
)
def chat(
    workspace: Workspace,
    *,
    model: str | None,
    system: str | None,
    budget: float | None,
    warn_at: float | None,
    effort: str | None,
    resume: str | None,
    continue_: bool,
    all: bool,
    file: list[str],
    allow_private: bool,
    name: str | None,
    save_dir: str | None,
    no_save: bool,
    json: bool,
    keep_going: bool,
    allow_shell: bool,
) -> Result:
    """Apply the options and start the shell."""
    if save_dir is not None:
        workspace.chat.save_in(save_dir)
    workspace.chat.saving = workspace.chat.saving and not no_save
    _check_contradictions(resume, continue_, name, no_save, all=all)
    parts: list[Result] = []
    if continue_:
        resume = str(workspace.store().latest())
    if resume == "":
        _attach(workspace, file, allow_private=allow_private)
        from llmrepl.commands.sessions.open import pick_session

        return pick_session(workspace)
    if resume:
        from llmrepl.commands.sessions.open import resume_session

        parts.append(resume_session(workspace, resume, everywhere=all))
    elif name:
        workspace.chat.name_next(name)
    if model:
        workspace.chat.set_model(model)
    if system is not None:
        workspace.chat.set_system(system_text(workspace, system))
    if effort is not None:
        workspace.settings.set("effort", effort)
    if budget is not None:
        workspace.cost_tracker().set_session(budget, warn_at)
    workspace.chat.check_writable()
    _attach(workspace, file, allow_private=allow_private)
    return _in_order(parts, StartChat(json=json, keep_going=keep_going, allow_shell=allow_shell))


def _in_order(parts: list[Result], start: StartChat) -> Result:
    """Return `start` after the other results; alone it is not shown as the result of a command."""
    return Group([*parts, start]) if parts else start


def _attach(workspace: Workspace, file: list[str], *, allow_private: bool) -> None:
    """Attach files to the first prompt. Raises UsageError, LLMError for a URL."""
    attach_given(workspace, file, None, allow_private=allow_private)
    if "-" in file:
        workspace.environment.talk_on_terminal()


def _check_contradictions(resume: str | None, continue_: bool, name: str | None, no_save: bool, *, all: bool) -> None:
    """Refuse options that exclude one another. Raises UsageError."""
    if resume is not None and continue_:
        raise UsageError("-r resumes a session, and -c the latest one.", "Leave one of them out")
    if name and no_save:
        raise UsageError("--no-save saves nothing, and --name is the name to save under.", "Leave one of them out")
    if all and not resume:
        raise UsageError("--all looks for the session of -r.", "llm sessions list --all shows every session")
    if name == "":
        raise UsageError("A session name cannot be empty.", "--name NAME gives one")
    if name and (resume is not None or continue_):
        raise UsageError("--name is for a new session, and -r and -c resume one.", "Leave one of them out")


@command(
    "ask",
    "ask a single question; piped text is added to it",
    argument("--model", "-m", help="model to use, as PROVIDER/MODEL", source="models"),
    argument("--system", "-s", help="system prompt, or @NAME of a saved one"),
    argument("--effort", help="how much the model thinks before it answers", source="efforts", metavar="EFFORT"),
    argument("--save", help="save as a session", switch=True),
    argument("--name", help="save as a session with this name"),
    argument("--json", help="print JSON objects", switch=True),
    FILE,
    ALLOW_PRIVATE,
    argument(
        "--schema",
        help="JSON Schema that the reply has to fit: a file, inline, or 'name, age int, tags list'",
        source="files",
        metavar="SCHEMA",
    ),
    argument("--schema-retry", help="if the reply does not fit, ask once more with the reason", switch=True),
    argument("question", help="question to ask", rest=True),
    group="conversation",
    example="ask what is a monad",
)
def ask(
    workspace: Workspace,
    *,
    question: str,
    model: str | None,
    system: str | None,
    effort: str | None,
    save: bool,
    name: str | None,
    json: bool,
    file: list[str],
    allow_private: bool,
    schema: str | None,
    schema_retry: bool,
) -> Result:
    """Ask a single question outside the open conversation."""
    piped = "" if "-" in file else workspace.piped_text()
    text = f"{question}\n\n{piped}" if question and piped else question or piped
    if not text.strip() and not file:
        raise UsageError("Which question?", 'For example llm ask "what is a monad"')
    shape = _schema(workspace, schema, retry=schema_retry)
    system = system_text(workspace, system)
    if effort is not None:
        workspace.settings.set("effort", effort)
    keep = save or name is not None
    if keep and not workspace.chat.saving:
        raise UsageError("Nothing is saved here, and --save and --name save a session.", "Leave them out")
    if keep and workspace.chat.current:
        raise UsageError("A session is open here, and --save and --name start one.", "leave them out, or ':new' first")
    if name:
        workspace.chat.name_next(name)
    if keep:
        workspace.chat.check_writable()
        if model:
            workspace.chat.set_model(model)
        if system is not None:
            workspace.chat.set_system(system)
    attach_given(workspace, file, model, allow_private=allow_private)
    return SendPrompt(text, model, system=system, keep=keep, json=json, schema=shape, schema_retry=schema_retry)


def _schema(workspace: Workspace, given: str | None, *, retry: bool) -> dict[str, Any] | None:
    """Read the schema of `ask`. Raises UsageError for what is none."""
    if given is None:
        if retry:
            raise UsageError("--schema-retry needs a schema.", "--schema 'name, age int' gives one")
        return None
    from llmrepl.chat.schema import read_schema

    return read_schema(given, workspace.environment.cwd, workspace.paths.home)


@command(
    "run",
    "run a script or a saved prompt",
    argument("file", help="script, or the name of a saved prompt", source="scripts"),
    argument(
        "arguments",
        help="values of $1, $2 … in a script, NAME=VALUE for a prompt",
        source="variables",
        nargs="*",
        metavar="ARG",
    ),
    group=GROUP,
    example="run standup.llm",
    where=PROMPT,
)
def run(workspace: Workspace, file: str, arguments: list[str]) -> Result:
    """Run each line of a file, or a saved prompt, as input."""
    path = workspace.environment.cwd / expand(file, workspace.paths.home)
    if not path.exists() and (saved := library(workspace).find(file)):
        return send_saved(saved, arguments)
    shown = display_path(path, workspace.environment.cwd)
    try:
        with open(path, encoding="utf-8", errors="replace") as script:
            text = script.read(MAX_INPUT_CHARACTERS + 1)
    except OSError as error:
        raise UsageError(f"Cannot read the script {shown}: {reason(error)}.", "Check the path") from error
    if len(text) > MAX_INPUT_CHARACTERS:
        raise UsageError(f"{shown} is longer than {MAX_INPUT_CHARACTERS >> 20} million characters.", "run a part of it")
    return RunScript(shown, text.split("\n"), arguments)


@command(
    "completions",
    "print the completion script for a shell",
    argument("shell", help="shell to complete in", choices=tuple(SCRIPTS)),
    group=GROUP,
    example="completions zsh",
)
def completions(workspace: Workspace, shell: str) -> Result:
    """Return the completion script of an operating system shell."""
    return Document((packaged_directory("completions") / SCRIPTS[shell]).read_text("utf-8"))


@command(
    "exit",
    "leave the shell; everything is saved",
    group=GROUP,
    example="exit",
    where=PROMPT,
    aliases=("quit",),
)
def exit_(workspace: Workspace) -> Result:
    """Leave the shell."""
    return Exit()
