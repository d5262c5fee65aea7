"""Commands that put sessions away, bring them back, copy them elsewhere and take them in from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import argument, command
from llmrepl.commands.results import Column, Failed, Group, Note, Result, Table
from llmrepl.errors import LLMError, SaveError, UsageError
from llmrepl.formatting import display_path, escape_name, pluralize
from llmrepl.sessions.archive.trash import TRASH
from llmrepl.system.paths import expand
from llmrepl.system.progress import Progress

GROUP = "sessions"

_DIR = argument("--dir", help="the sessions directory", source="directories", metavar="DIR")
_DRY = argument("--dry-run", help="only say what would be done", switch=True)


@command(
    "sessions delete",
    "move sessions to the trash",
    argument("names", help="the sessions", source="sessions", nargs="+", metavar="NAME"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions delete session_20240108_143022",
    aliases=("delete",),
)
def delete(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Result:
    """Nothing is lost: 'sessions restore' brings them back."""
    store, current = workspace.store(workspace.directory(dir)), workspace.chat.current
    paths = list(dict.fromkeys(store.find(name) for name in names))
    if current and current.path in paths:
        raise UsageError(f"{escape_name(current.name)} is the current session", "leave it first: ':new'")

    def move(path: Path) -> Path:
        return path.parent / TRASH / path.name if dry_run else store.delete(path)

    moved = _each(workspace, paths, move, f"{_verb(dry_run)} to the trash")
    return Group([moved, Note("'llm sessions restore NAME' brings back what is in the trash")])


@command(
    "sessions restore",
    "bring sessions back from the trash or the archive",
    argument("names", help="their names; none: list what there is", source="removed", nargs="*", metavar="NAME"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions restore session_20240108_143022",
)
def restore(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Result:
    """Bare, list what could be brought back."""
    from llmrepl.sessions.archive.archive import Archive

    directory = workspace.directory(dir)
    archive = Archive(workspace.store(directory))
    if not names:
        places = [str(path.relative_to(directory)) for path in archive.list_removed()]
        return Table((Column("File"),), [(place,) for place in places], empty="there is nothing to bring back")
    paths = list(dict.fromkeys(archive.find(name) for name in names))
    return _each(workspace, paths, archive.restore_path if dry_run else archive.restore, f"{_verb(dry_run)} back")


@command(
    "sessions archive",
    "move old sessions into the folder archive",
    argument("--older-than", help="how old, such as 30d or 2024-01-08", default="30d", metavar="AGE"),
    argument("--compress", help="gzip them", switch=True),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions archive --older-than 30d --compress",
)
def archive(workspace: Workspace, older_than: str, compress: bool, dry_run: bool, dir: str | None) -> Result:
    """By the day that they were begun; one that is open stays, and so does a damaged one."""
    from llmrepl.sessions.archive.archive import Archive

    sessions, current = Archive(workspace.store(workspace.directory(dir))), workspace.chat.current
    now = workspace.environment.now()
    old = [p for p in sessions.older_than(older_than, now) if not (current and p == current.path)]

    def move(path: Path) -> Path:
        return sessions.target_path(path, compress) if dry_run else sessions.archive(path, compress=compress)

    return _each(workspace, old, move, f"{_verb(dry_run)} to the archive")


def _verb(dry_run: bool) -> str:
    return "would be moved" if dry_run else "moved"


def _each(workspace: Workspace, paths: list[Path], move: Callable[[Path], Path], done: str) -> Result:
    """Move each file; the answer is a table of what is where now, and what failed. A full disk ends it."""
    rows: list[tuple[str, str]] = []
    failures: list[Result] = []
    progress = Progress(workspace.environment)
    for number, path in enumerate(paths, 1):
        try:
            rows.append((path.name, display_path(move(path), workspace.environment.cwd)))
        except LLMError as failure:
            failures.append(Failed(failure))
            if isinstance(failure, SaveError):
                break
        progress("moving sessions", number, len(paths))
    table = Table((Column("File", "name"), Column("Place", "name")), rows)
    return Group([table, Note(f"{pluralize(len(rows), 'session')} {done}"), *failures])


@command(
    "sessions backup",
    "copy what is new or changed into another directory",
    argument("to", help="the directory to copy to, made if it is missing", source="directories"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions backup ~/backup/sessions",
    at_end="Each copy is read back; what is gone here is kept there.",
)
def backup(workspace: Workspace, to: str, dry_run: bool, dir: str | None) -> Result:
    """Sessions, archive and trash; the copy is a sessions directory like any other."""
    from llmrepl.sessions.archive import backup as backups

    target = workspace.environment.cwd / expand(to, workspace.paths.home)
    store = workspace.store(workspace.directory(dir))
    done = backups.backup(store, target, Progress(workspace.environment), dry_run=dry_run)
    copied = Table((Column("File", "name"),), [(name,) for name in done.copied])
    said = f"{pluralize(len(done.copied), 'file')} {'would be copied' if dry_run else 'copied'} to"
    note = Note(
        f"{said} {display_path(target, workspace.environment.cwd)}; {pluralize(done.same, 'file')} there already"
    )
    failed = [Failed(LLMError(f"{escape_name(name)} was not copied: {why}")) for name, why in done.failed]
    return Group([copied, note, *failed])


@command(
    "sessions import",
    "take in the conversations of other programs",
    argument("file", help="the file", source="files"),
    argument("--source", help="what it is, if that cannot be told", choices=("llm", "chatgpt", "openai", "llmrepl")),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions import conversations.json",
    at_end="It reads llm's logs.db, ChatGPT's export, OpenAI JSONL, and our own txt and md.",
)
def import_(workspace: Workspace, file: str, source: str | None, dry_run: bool, dir: str | None) -> Result:
    """Each conversation becomes a session; one that was imported before is not written again."""
    from llmrepl.sessions.importing import read
    from llmrepl.sessions.importing.importer import import_all

    path = workspace.environment.cwd / expand(file, workspace.paths.home)
    now = workspace.environment.now()
    done = import_all(workspace.store(workspace.directory(dir)), read(path, now, source), now, dry_run=dry_run)
    taken = Table((Column("File", "name"), Column("Turns", "count"), Column("Title")), done.imported)
    left_out = Table((Column("Conversation"), Column("What did not fit")), done.left_out)
    said = f"{pluralize(len(done.imported), 'conversation')} {'would be imported' if dry_run else 'imported'}"
    known = f"; {pluralize(done.known, 'conversation')} imported before" if done.known else ""
    tables: list[Result] = [table for table in (taken, left_out) if table.rows]
    failed: list[Result] = [Failed(done.failure)] if done.failure else []
    return Group([*tables, Note(said + known), *failed])
