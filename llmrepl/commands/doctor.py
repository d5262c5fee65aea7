"""The command that checks the user's own machine."""

from __future__ import annotations

import json
from pathlib import Path

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Document, Failed, Group, Result, Table
from llmrepl.config.api_keys import Keyring
from llmrepl.errors import LLMError
from llmrepl.formatting import display_path, pluralize


@command(
    "doctor",
    "check the disk, the configuration, keys and the terminal",
    argument("--json", help="print JSON", switch=True),
    argument("--dir", help="sessions directory", source="directories", metavar="DIR"),
    group="program",
    example="doctor",
    at_end="Only a power cut proves that a disk keeps what it acknowledged. What can be seen without one is checked.",
)
def doctor(workspace: Workspace, json: bool, dir: str | None) -> Result:
    """Try locks, renames, exclusive creation and fsync where files are kept, and list what else matters."""
    from llmrepl.system.disk_probe import probe

    rows: list[tuple[str, str, bool | None, str]] = []
    directory = workspace.directory(dir)
    if dir is not None and not directory.is_dir():
        rows.append((str(directory), "directory", False, "does not exist, so the one above it is checked"))
    places = [directory, workspace.paths.state_dir, workspace.paths.cache_dir]
    for place in dict.fromkeys(_existing(place) for place in places):
        shown = display_path(place, workspace.environment.cwd)
        rows += [(shown, check.name, check.holds, check.seen) for check in probe(place)]
    problems = workspace.settings.problems
    config = str(workspace.paths.config_file)
    rows += [(config, "configuration", False, problem) for problem in problems]
    rows += [] if problems else [(config, "configuration", True, "no problem found")]
    rows.append((str(workspace.paths.keys_file), "saved keys", *_saved_keys(workspace.paths.keys_file)))
    stdout, term = workspace.environment.stdout, workspace.environment.environ.get("TERM", "not set")
    rows.append(("terminal", "TERM", True, f"{term}, {'a terminal' if stdout.isatty() else 'not a terminal'}"))
    failed = sum(holds is False for _, _, holds, _ in rows)
    result: Result = _as_json(rows) if json else _table(rows)
    if not failed:
        return result
    return Group([result, Failed(LLMError(f"{pluralize(failed, 'check')} failed", "see the rows marked 'no'"))])


def _table(rows: list[tuple[str, str, bool | None, str]]) -> Table:
    words = {True: "yes", False: "no", None: "unknown"}
    columns = (Column("Place", "name"), Column("Check"), Column("Holds"), Column("Seen"))
    return Table(columns, [(place, name, words[holds], seen) for place, name, holds, seen in rows])


def _as_json(rows: list[tuple[str, str, bool | None, str]]) -> Document:
    keys = ("place", "check", "holds", "seen")
    return Document(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], ensure_ascii=False, indent=2))


def _saved_keys(file: Path) -> tuple[bool, str]:
    """Whether the saved keys can be read, and the providers they are for, or why not."""
    try:
        return True, ", ".join(Keyring(file).list()) or "none"
    except LLMError as error:
        return False, error.message


def _existing(place: Path) -> Path:
    """The place, or the nearest directory above it that is there."""
    return next(one for one in (place, *place.parents) if one.is_dir())
