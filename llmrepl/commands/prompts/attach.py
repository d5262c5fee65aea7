"""The `attach` command, and `-f` of the commands that ask."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.grammar.usage_errors import unknown_option
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Document, Note, Result
from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name, format_usd, pluralize
from llmrepl.system.paths import expand

if TYPE_CHECKING:
    from llmrepl.billing.pricing import Price
    from llmrepl.chat.attachments.found import Found
    from llmrepl.types import Attachment

GROUP = "conversation"

SHELL = "run commands of the system"
PRIVATE = "fetch pages of a private network"
"""What an untrusted script may not do."""

_MOST_NAMED = 10
"""Names of attached files that are listed; more are counted."""

FILE = argument(
    "-f",
    "--file",
    help="attach FILE, a directory, a pattern or a URL; - is standard input; may be repeated",
    source="files",
    metavar="FILE",
    many=True,
)
ALLOW_PRIVATE = argument(
    "--allow-private", help="allow a URL with a private address, such as a server on this machine", switch=True
)


@command(
    "attach",
    "attach files, URLs or command output to the next prompt",
    argument("--clear", help="remove all attachments", switch=True),
    ALLOW_PRIVATE,
    argument("what", help="paths, patterns, URLs, or ! followed by a command", source="files", rest=True),
    group=GROUP,
    example="attach report.pdf src/*.py",
    where=PROMPT,
)
def attach(workspace: Workspace, what: str, clear: bool, allow_private: bool) -> Result:
    """Attach to the next prompt, or list the attachments."""
    waiting = workspace.chat.attachments
    if clear:
        waiting.clear()
        return Note("nothing is attached")
    if not what:
        names = "\n".join(escape_name(a.name) for a in waiting)
        return Document(names) if names else Note("nothing is attached")
    if what.startswith("!"):
        workspace.check_trusted(SHELL)
        from llmrepl.chat.attachments.found import Found

        found = Found([run_and_read(workspace, what[1:].strip())])
    else:
        words = _words(workspace, what)
        _check_options(workspace, words)
        found = collect(workspace, words, allow_private=allow_private)
    return add(workspace, found)


def _check_options(workspace: Workspace, words: Iterable[str]) -> None:
    """Raise UsageError for a word with two dashes that is no file."""
    flags = [flag for a in attach.arguments if not a.positional for flag in a.flags]
    for word in words:
        if word.startswith("--") and not (workspace.environment.cwd / word).exists():
            if word in flags:
                raise UsageError(f"'{word}' goes before the files.", f":attach {word}")
            raise unknown_option(":attach", word, flags)


def add(workspace: Workspace, found: Found) -> Note:
    """Let attachments wait for the next prompt; tell what was added. Raises UsageError for too many."""
    return Note(_add(workspace, found, None))


def attach_given(workspace: Workspace, given: Iterable[str], model: str | None, *, allow_private: bool) -> None:
    """Attach what `-f` names to the next prompt, and note what it is. Raises UsageError, LLMError for a URL."""
    found = collect(workspace, given, allow_private=allow_private)
    if found.attachments:
        workspace.notes.append(_add(workspace, found, model))


def _add(workspace: Workspace, found: Found, model: str | None) -> str:
    _check_fits(workspace, [*workspace.chat.attachments, *found.attachments], model)
    workspace.chat.attachments += found.attachments
    return f"Attached {describe(workspace, found, model)}"


def collect(workspace: Workspace, given: Iterable[str], *, allow_private: bool) -> Found:
    """Read what is to be attached, all of it or nothing. Raises UsageError, LLMError for a URL."""
    from llmrepl.chat.attachments.found import Found

    if allow_private:
        workspace.check_trusted(PRIVATE)
    all_found = Found()
    for one in given:
        all_found.add(_found(workspace, one, allow_private=allow_private))
    return all_found


def _found(workspace: Workspace, given: str, *, allow_private: bool) -> Found:
    from llmrepl.chat.attachments.files import from_path, from_pipe
    from llmrepl.chat.attachments.found import Found
    from llmrepl.chat.attachments.web_page import from_url, is_url

    if given == "-":
        text = workspace.piped_text()
        if not text:
            raise UsageError(
                "There is no text on standard input.", "COMMAND | llm chat -f - attaches the output of a command"
            )
        return Found([from_pipe(text)])
    if is_url(given):
        from llmrepl.models.factory import network_of

        network = network_of(workspace.settings, workspace.environment)
        return Found([from_url(given, network, allow_private=allow_private)])
    cwd = workspace.environment.cwd
    return from_path(cwd / expand(given, workspace.paths.home), cwd)


def _words(workspace: Workspace, what: str) -> list[str]:
    """Split the words of `attach`; a path with spaces needs no quotes if it is the only one."""
    if (workspace.environment.cwd / expand(what, workspace.paths.home)).exists():
        return [what]
    try:
        return shlex.split(what)
    except ValueError as error:
        raise UsageError(
            f"The quotes in '{escape_name(what)}' do not match.", "Close the quote, or put a \\ before it"
        ) from error


def run_and_read(workspace: Workspace, command: str) -> Attachment:
    """Run a command and attach what it prints. Raises UsageError."""
    from llmrepl.chat.attachments.command_output import from_command

    environment = workspace.environment
    return from_command(command, environment.cwd, environment.environ, environment.monotonic)


def describe(workspace: Workspace, found: Found, model: str | None) -> str:
    """Describe attachments: names, size, and estimates of tokens and cost, then what was left out."""
    from llmrepl.chat.attachments.found import describe_left_out

    attachments = found.attachments
    one = attachments[0] if len(attachments) == 1 else None
    what = escape_name(one.name) if one else pluralize(len(attachments), "file")
    figures = [format_size(sum(len(a.data) for a in attachments))]
    if one and one.pages:
        figures.insert(0, pluralize(one.pages, "page"))
    text = f"{what} ({', '.join([*figures, *_estimates(workspace, attachments, model)])})"
    if not one:
        names = [escape_name(a.name) for a in attachments[:_MOST_NAMED]]
        more = len(attachments) - _MOST_NAMED
        text += f": {', '.join(names)}" + (f" and {more:,} more" if more > 0 else "")
    return f"{text}.\nLeft out: {describe_left_out(found)}." if found.left_out else f"{text}."


def format_size(size: int) -> str:
    """Format a size: `10 bytes`, `3.4 KB`, `1.2 MB`."""
    if size < 1000:
        return pluralize(size, "byte")
    return f"{size / 1000:,.1f} KB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"


def _estimates(workspace: Workspace, attachments: list[Attachment], model: str | None) -> list[str]:
    from llmrepl.providers.tokens import attachment_tokens

    tokens = sum(map(attachment_tokens, attachments))
    parts = [f"~{pluralize(tokens, 'token')}"]
    price, _ = _price(workspace, model)
    if price and not price.free:
        parts.append(format_usd(price.of(tokens, 0, 0, 0), about=True))
    return parts


def _check_fits(workspace: Workspace, attachments: list[Attachment], model: str | None) -> None:
    """Raise UsageError for attachments that are longer than the model's context, before anything is sent."""
    from llmrepl.chat.attachments.found import check_amount
    from llmrepl.providers.tokens import attachment_tokens

    check_amount(len(attachments), sum(len(one.data) for one in attachments))
    price, name = _price(workspace, model)
    window, tokens = price.context_window if price else None, sum(map(attachment_tokens, attachments))
    if window and tokens > window:
        what = f"Too long for {name}: about {tokens:,} of {window:,} tokens."
        raise UsageError(what, ":model chooses another model, :attach --clear removes the attachments")


def _price(workspace: Workspace, model: str | None) -> tuple[Price | None, str]:
    """Return the price of a model (by default the current one), None if unknown, and its name."""
    try:
        resolved = workspace.resolver().resolve(model or workspace.chat.model)
        return workspace.cost_tracker().price(resolved), resolved.shown
    except LLMError:  # said when a prompt is sent
        return None, ""
