"""The command that merges copies of a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Group, Note, Result
from llmrepl.errors import UsageError
from llmrepl.formatting import display_path, escape_name, pluralize
from llmrepl.system.paths import expand

if TYPE_CHECKING:
    from llmrepl.sessions.merge_files import MergeResult
    from llmrepl.sessions.storage.store import Store

GROUP = "sessions"


@command(
    "sessions merge",
    "merge two copies of a session",
    argument(
        "files",
        help="SESSION and a copy of it; SESSION alone for the copies that Syncthing left; or BASE OURS THEIRS from git",
        source="sessions",
        nargs="*",
        metavar="FILE",
    ),
    argument("--install", help="make git merge the sessions of this directory", switch=True),
    argument("--dry-run", help="only show what would be done", switch=True),
    argument("--dir", help="sessions directory", source="directories", metavar="DIR"),
    group=GROUP,
    example="sessions merge notes ~/laptop/runs/notes.json",
    at_end="Turns of both copies are kept, each once. Where they went on differently, the newest goes on and the other"
    "\nstays as a branch: ':fork NAME --at TURN' continues it.",
)
def merge(workspace: Workspace, files: list[str], install: bool, dry_run: bool, dir: str | None) -> Result:
    """Merge copies of a session, or set up git to do it."""
    if install:
        if files:
            raise UsageError("'--install' takes no files.", "llm sessions merge --install sets up git")
        return _install(workspace, workspace.directory(dir), dry_run=dry_run)
    if len(files) == 3:
        return _merge_for_git(workspace, *files[1:])
    if not 1 <= len(files) <= 2:
        raise UsageError(
            "Which session, and which copy of it?", "For example llm sessions merge notes ~/laptop/notes.json"
        )
    from llmrepl.sessions.merge_files import conflict_copies

    store = workspace.store(workspace.directory(dir))
    path = store.find(files[0])
    others = [store.find(name) for name in files[1:]] or conflict_copies(path)
    if not others:
        return Note(f"{escape_name(path.name)} has no conflict copies")
    return Group(list(_merge_each(workspace, store, path, others, dry_run=dry_run)))


def _merge_each(
    workspace: Workspace, store: Store, path: Path, others: list[Path], *, dry_run: bool
) -> Iterator[Result]:
    """Merge each copy into the session at `path`, once all of them can be.

    Only a conflict copy of Syncthing is removed, to the trash.
    """
    from llmrepl.sessions.merge_files import check_related, merge_copies, original_of

    for other in others:
        if path.samefile(other):
            raise UsageError(f"Cannot merge {escape_name(path.name)} with itself.", "Give two different files")
        check_related(path, store.read(path), other, store.read(other))
    for other in others:
        ours, theirs = store.read(path), store.read(other)
        if dry_run:
            yield Note(_summary(path, other, merge_copies(ours, theirs), dry_run=True))
            continue
        with workspace.session_at(path) as open_session:
            merged = merge_copies(open_session.session, theirs)
            if merged.changed:
                open_session.session = merged.session
                open_session.rewrite()
        yield Note(_summary(path, other, merged))
        if original_of(other) == path:
            store.delete(other)
            yield Note(f"{escape_name(other.name)} is in the trash")


def _summary(path: Path, other: Path, result: MergeResult, *, dry_run: bool = False) -> str:
    name, copy = escape_name(path.name), escape_name(other.name)
    if not result.changed:
        return f"{name} already has everything that is in {copy}"
    text = f"{name}: {pluralize(result.added, 'turn')} {'would be ' if dry_run else ''}added from {copy}"
    if not result.branched:
        return text
    are = "would be on a branch" if dry_run else f"{'is' if result.branched == 1 else 'are'} on a branch now"
    return f"{text}. {pluralize(result.branched, 'turn')} {are}."


def _merge_for_git(workspace: Workspace, ours: str, theirs: str) -> Result:
    from llmrepl.sessions.merge_files import merge_for_git

    one, other = (workspace.environment.cwd / expand(given, workspace.paths.home) for given in (ours, theirs))
    if merge_for_git(one, other):
        return Group([])
    return Note("two sessions with the same name have no turn in common. Both are in the merged file, one as a branch.")


def _install(workspace: Workspace, directory: Path, *, dry_run: bool) -> Result:
    """Name the driver in the directory's `.gitattributes` and define it in the repository's configuration."""
    from llmrepl.sessions.merge_files import DRIVER, add_attributes, driver_command
    from llmrepl.system import files, git

    environ, shown = workspace.environment.environ, display_path(directory, workspace.environment.cwd)
    if not dry_run:
        files.private_mkdir(directory)
    if not directory.is_dir() or not git.is_in_repository(directory, environ):
        raise UsageError(f"{shown} is not in a git repository.", "git init makes one")
    if dry_run:
        return Note(f"git would merge the sessions in {shown} with llm")
    add_attributes(directory)
    git.set_config(directory, environ, f"merge.{DRIVER}.name", "union of two copies of an llm session")
    git.set_config(directory, environ, f"merge.{DRIVER}.driver", driver_command(sys.executable))
    return Note(
        f"git merges the sessions in {shown} with llm now.\n"
        f"Commit {display_path(directory / '.gitattributes', workspace.environment.cwd)},"
        f" and run 'llm sessions merge --install' in each clone.{_set_up_branch(directory, environ)}"
    )


def _set_up_branch(directory: Path, environ: Mapping[str, str]) -> str:
    """Let `git pull` merge, and not take a new session for a deleted one, which half of its bytes are enough for.

    Returns a note instead if that would change how other files of the repository are merged.
    """
    from llmrepl.sessions.merge_files import RENAMES
    from llmrepl.system import git

    if git.has_files_outside(directory, environ):
        return f"\nAfter deleting a session, merge with 'git merge {RENAMES}': git may take another one for it."
    if branch := git.current_branch(directory, environ):
        key = f"branch.{branch}.mergeOptions"
        options = git.config_value(directory, environ, key)
        if "renames" not in options:
            git.set_config(directory, environ, key, f"{options} {RENAMES}".strip())
        key = f"branch.{branch}.rebase"
        if not any(git.config_value(directory, environ, name) for name in (key, "pull.rebase", "pull.ff")):
            git.set_config(directory, environ, key, "false")
    return ""
