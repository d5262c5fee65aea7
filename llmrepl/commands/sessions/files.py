"""Commands that delete, archive, restore, back up and import sessions."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Confirm, Failed, Group, Note, Result, StartChat, Table
from llmrepl.errors import LLMError, SaveError, UsageError
from llmrepl.formatting import display_path, escape_name, pluralize
from llmrepl.sessions.archive.trash import TRASH
from llmrepl.system.paths import expand
from llmrepl.system.progress import Progress

GROUP = "sessions"

_DIR = argument("--dir", "-d", help="sessions directory", source="directories", metavar="DIR")
_DRY = argument("--dry-run", help="only show what would be done", switch=True)


@command(
    "sessions delete",
    "move sessions to the trash",
    argument("names", help="sessions to delete", source="sessions", nargs="+", metavar="NAME"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions delete session_20240108_143022",
    aliases=("delete",),
)
def delete(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Result:
    """Move sessions to the trash, from which `sessions restore` brings them back."""
    store, current = workspace.store(workspace.directory(dir)), workspace.chat.current
    paths = list(dict.fromkeys(store.find(name) for name in names))

    def move(path: Path) -> Path:
        return path.parent / TRASH / path.name if dry_run else store.delete(path)

    def move_all() -> Result:
        moved = _move_each(workspace, paths, move, f"{_verb(dry_run)} to the trash")
        return Group([moved, Note("'llm sessions restore NAME' brings back what is in the trash")])

    def leave_first() -> Result:
        workspace.chat.switch(None)
        return Group([move_all(), StartChat()])

    if not current or current.path not in paths or dry_run:
        return move_all()
    if not workspace.environment.interactive():
        raise UsageError(f"{escape_name(current.name)} is the current session", "leave it first: ':new'")
    turns = pluralize(len(current.session.turns), "turn")
    question = (
        f"{escape_name(current.name)} is the current session, with {turns}. Delete it and begin a new one? [y/N] "
    )
    return Confirm(question, leave_first)


@command(
    "sessions restore",
    "restore sessions from the trash or the archive",
    argument(
        "names", help="sessions to restore; without names, list them", source="removed", nargs="*", metavar="NAME"
    ),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions restore session_20240108_143022",
)
def restore(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Result:
    """Restore sessions, or list what can be restored."""
    from llmrepl.sessions.archive.archive import Archive

    directory = workspace.directory(dir)
    archive = Archive(workspace.store(directory))
    if not names:
        places = [str(path.relative_to(directory)) for path in archive.list_removed()]
        return Table((Column("File"),), [(place,) for place in places], empty="there is nothing to bring back")
    paths = list(dict.fromkeys(archive.find(name) for name in names))
    return _move_each(workspace, paths, archive.restore_path if dry_run else archive.restore, f"{_verb(dry_run)} back")


@command(
    "sessions archive",
    "move old sessions to the archive folder",
    argument("--older-than", help="minimum age, such as 30d or 2024-01-08", default="30d", metavar="AGE"),
    argument("--compress", help="compress with gzip", switch=True),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions archive --older-than 30d --compress",
)
def archive(workspace: Workspace, older_than: str, compress: bool, dry_run: bool, dir: str | None) -> Result:
    """Archive sessions by creation date, except open and damaged ones."""
    from llmrepl.sessions.archive.archive import Archive

    sessions, current = Archive(workspace.store(workspace.directory(dir))), workspace.chat.current
    now = workspace.environment.now()
    old = [p for p in sessions.older_than(older_than, now) if not (current and p == current.path)]

    def move(path: Path) -> Path:
        return sessions.target_path(path, compress) if dry_run else sessions.archive(path, compress=compress)

    return _move_each(workspace, old, move, f"{_verb(dry_run)} to the archive", may_be_gone=True)


def _verb(dry_run: bool) -> str:
    return "would be moved" if dry_run else "moved"


def _move_each(
    workspace: Workspace, paths: list[Path], move: Callable[[Path], Path], done: str, *, may_be_gone: bool = False
) -> Result:
    """Move each file and report new paths and failures. A SaveError, such as a full disk, stops the loop.

    `may_be_gone` says that a file which another process moves at the same time is no failure.
    """
    rows: list[tuple[str, str]] = []
    failures: list[Result] = []
    progress = Progress(workspace.environment)
    for number, path in enumerate(paths, 1):
        try:
            rows.append((path.name, display_path(move(path), workspace.environment.cwd)))
        except LLMError as failure:
            if may_be_gone and isinstance(failure, UsageError) and not os.path.lexists(path):
                continue
            failures.append(Failed(failure))
            if isinstance(failure, SaveError):
                break
        progress("moving sessions", number, len(paths))
    table = Table((Column("File", "name"), Column("Place", "name")), rows)
    return Group([table, Note(f"{pluralize(len(rows), 'session')} {done}"), *failures])


@command(
    "sessions backup",
    "copy new and changed sessions to another directory",
    argument("to", help="target directory, created if missing", source="directories"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions backup ~/backup/sessions",
    at_end="Every copy is verified. Sessions deleted here are kept in the backup.",
)
def backup(workspace: Workspace, to: str, dry_run: bool, dir: str | None) -> Result:
    """Back up sessions, archive and trash to a directory that is itself a sessions directory."""
    from llmrepl.sessions.archive import backup as backups

    target = workspace.environment.cwd / expand(to, workspace.paths.home)
    store = workspace.store(workspace.directory(dir))
    done = backups.backup(store, target, Progress(workspace.environment), dry_run=dry_run)
    copied = Table((Column("File", "name"),), [(name,) for name in done.copied])
    summary = f"{pluralize(len(done.copied), 'file')} {'would be copied' if dry_run else 'copied'} to"
    note = Note(
        f"{summary} {display_path(target, workspace.environment.cwd)}; {pluralize(done.same, 'file')} there already"
    )
    failed = [Failed(LLMError(f"{escape_name(name)} was not copied: {why}")) for name, why in done.failed]
    return Group([copied, note, *failed])


_SOURCES = (
    "llm", "chatgpt", "claude.ai", "claude-code", "codex", "gemini-cli", "aichat", "aider", "gptme", "elia",
    "open-webui", "lm-studio", "sharegpt", "openai", "llmrepl",
)  # fmt: skip
"""The sources of `llmrepl.sessions.importing`, duplicated so that the command line does not load them."""


@command(
    "sessions import",
    "import conversations from other programs",
    argument("file", help="file, directory or zip archive to import", source="files"),
    argument("--source", "--from", help="program that wrote it", choices=_SOURCES, metavar="PROGRAM"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions import conversations.json",
    at_end="The program is detected by the content, unless you name it: " + ", ".join(_SOURCES) + ".\n"
    "docs/importing.md says where their files are.",
    aliases=("import",),
)
def import_(workspace: Workspace, file: str, source: str | None, dry_run: bool, dir: str | None) -> Result:
    """Save each conversation as a session, except those imported before."""
    from llmrepl.sessions.importing import describe_source, read
    from llmrepl.sessions.importing.importer import import_all

    path = workspace.environment.cwd / expand(file, workspace.paths.home)
    now, progress = workspace.environment.now(), Progress(workspace.environment)
    items = read(path, now, source, partial(progress, "importing files"))
    done = import_all(workspace.store(workspace.directory(dir)), items, now, dry_run=dry_run)
    imported = Table((Column("File", "name"), Column("Turns", "count"), Column("Title")), done.imported)
    kinds = [(kind, number, first) for kind, (number, first) in sorted(done.left_out.items())]
    left_out = Table((Column("What did not fit"), Column("Count", "count"), Column("First in")), kinds)
    summary = f"{pluralize(len(done.imported), 'conversation')} {'would be imported' if dry_run else 'imported'}"
    known = f", {done.known:,} imported before" if done.known else ""
    tables: list[Result] = [table for table in (imported, left_out) if table.rows]
    failed: list[Result] = [Failed(done.failure)] if done.failure else []
    if not (done.imported or done.known or failed):
        why = f"nothing in {escape_name(path.name)} could be imported as {describe_source(path, source)}"
        failed = [Failed(LLMError(why, "import another file, or name its format with --source"))]
    return Group([*tables, Note(summary + known), *failed])
