"""Commands for saved prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Document, EditText, Note, ReadLine, Result, SendPrompt, Table
from llmrepl.config.prompt_templates import read_values
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path, escape_name

if TYPE_CHECKING:
    from llmrepl.chat.prompt_library import PromptLibrary, SavedPrompt

GROUP = "configuration"

TEMPLATE = """---
description: what it is for
variables:
  language: English
---
Write in {language}:
"""
"""What a new prompt file begins with."""

_NAME = argument("name", help="name of a saved prompt", source="prompts")


def library(workspace: Workspace) -> PromptLibrary:
    """Return the saved prompts of the user."""
    from llmrepl.chat.prompt_library import PromptLibrary

    return PromptLibrary(workspace.paths.config_dir / "prompts", workspace.settings.prompts)


def system_text(workspace: Workspace, given: str | None) -> str | None:
    """Return a system prompt, for `@NAME` the saved one. Raises UsageError."""
    return library(workspace).system(given) if given and given.startswith("@") else given


@command("prompts list", "list the saved prompts", group=GROUP, example="prompts list", aliases=("prompts",))
def prompts_list(workspace: Workspace) -> Result:
    """List the saved prompts with their variables."""
    from llmrepl.chat.prompt_library import described

    saved, rows = library(workspace), []
    for name in saved.names():
        try:
            prompt = saved.get(name)
            rows.append(
                (name, " ".join(described(prompt)), prompt.model, prompt.description or _beginning(prompt.text))
            )
        except UsageError as wrong:
            rows.append((name, "", None, wrong.message))
    columns = (Column("Name", "name"), Column("Variables"), Column("Model"), Column("Description"))
    return Table(columns, rows, empty="No saved prompts yet.\n'llm prompts edit NAME' writes one.")


def _beginning(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= 60 else f"{line[:59]}…"


@command("prompts show", "show a saved prompt", _NAME, group=GROUP, example="prompts show review")
def prompts_show(workspace: Workspace, name: str) -> Result:
    """Show the text of a saved prompt."""
    return Document(library(workspace).get(name).text)


@command(
    "prompts edit", "write or change a prompt file in your editor", _NAME, group=GROUP, example="prompts edit review"
)
def prompts_edit(workspace: Workspace, name: str) -> Result:
    """Open the file of a saved prompt; the old one is kept as `.backup`."""
    from llmrepl.chat.prompt_library import parse
    from llmrepl.system import files

    saved = library(workspace)
    path, before = saved.path(name), saved.source(name)

    def save(text: str) -> Result:
        if text == before:
            return Note("Nothing was changed.")
        parse(name, text)
        files.private_mkdir(path.parent)
        files.write_new(path, text.encode("utf-8", "replace"), force=path.exists())
        return Note(
            f"Saved the prompt {name} in {display_path(path, workspace.environment.cwd)}.\n':run {name}' sends it."
        )

    return EditText(before or TEMPLATE, save)


def send_saved(prompt: SavedPrompt, arguments: Sequence[str]) -> Result:
    """Send a saved prompt with `arguments` in its holes; one that is missing is asked for. Raises UsageError."""
    from llmrepl.chat.prompt_library import filled

    wanted, name = prompt.variables, prompt.name
    try:
        values = read_values(wanted, arguments)
    except KeyError as surplus:
        what = f"The prompt {escape_name(name)} has no place for {escape_name(surplus.args[0])}."
        raise UsageError(what, f"':run {' '.join([name, *map(_argument, wanted)])}' sends it") from None
    missing = [hole for hole, default in wanted.items() if default is None and not values.get(hole, "").strip()]
    if not missing:
        return SendPrompt(filled(prompt, values), prompt.model, system=prompt.system)
    first = missing[0]
    return ReadLine(
        f"{first}: ",
        lambda typed: send_saved(prompt, [*arguments, f"{first}={typed}"]),
        UsageError(f"The prompt {escape_name(name)} needs a value.", f"':run {name} {_argument(first)}' gives it"),
    )


def _argument(hole: str) -> str:
    return "TEXT" if hole.isdigit() else f"{hole}=TEXT"
