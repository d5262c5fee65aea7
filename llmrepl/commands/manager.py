"""Commands that name, tag, branch, remove and bring back sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llmrepl import rooms
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.replies import Chat, Column, Document, Note, Reply, Several, Table, Trouble
from llmrepl.errors import Failure, NotSaved, WrongUse
from llmrepl.messages import count, safe_name, shown_path
from llmrepl.paths import expand
from llmrepl.progress import Progress
from llmrepl.sessions.folders import TRASH
from llmrepl.workspace import Workspace

GROUP = "sessions"

_DIR = argument("--dir", help="the sessions directory", source="directories", metavar="DIR")
_DRY = argument("--dry-run", help="only say what would be done", switch=True)
_NAME = argument("name", help="the session", source="sessions")


@command(
    "rename",
    "give the current session another name",
    argument("name", help="the new name"),
    group=GROUP,
    example="rename python_debugging",
    where=PROMPT,
)
def rename(workspace: Workspace, name: str) -> Reply:
    """The file is renamed."""
    store, keeper = workspace.store(), workspace.current
    path = store.path_for(name)
    if keeper is None or not keeper.session.turns:
        workspace.name_next(path.name)
    elif keeper.path is None:
        raise WrongUse("this session is not kept", "':save NAME' keeps it")
    else:
        path = store.path_for(name, beside=keeper.path)
        store.check_free(path, but=keeper.path)
        keeper.rename(path)
    return Note(f"this session is now {safe_name(path.name)}")


@command(
    "sessions rename",
    "give a session another name",
    _NAME,
    argument("new", help="the new name"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions rename session_20240108_143022 python_debugging",
)
def sessions_rename(workspace: Workspace, name: str, new: str, dry_run: bool, dir: str | None) -> Reply:
    """The file is renamed; one that another shell has open is refused."""
    workspace.use_directory(dir)
    store = workspace.store()
    old = store.find(name)
    path = store.path_for(new, beside=old)
    store.check_free(path, but=old)
    if not dry_run:
        with rooms.opened(workspace, old) as keeper:
            keeper.rename(path)
    return Note(f"{safe_name(old.name)} {'would be' if dry_run else 'is now'} {safe_name(path.name)}")


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
def delete(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Reply:
    """Nothing is lost: 'sessions restore' brings them back."""
    workspace.use_directory(dir)
    store, current = workspace.store(), workspace.current
    paths = list(dict.fromkeys(store.find(name) for name in names))
    if current and current.path in paths:
        raise WrongUse(f"{safe_name(current.name)} is the current session", "leave it first: ':new'")

    def move(path: Path) -> Path:
        return path.parent / TRASH / path.name if dry_run else store.delete(path)

    moved = _each(workspace, paths, move, f"{_verb(dry_run)} to the trash")
    return Several([moved, Note("'llm sessions restore NAME' brings back what is in the trash")])


@command(
    "sessions restore",
    "bring sessions back from the trash or the archive, byte for byte",
    argument("names", help="their names; none: list what there is", source="removed", nargs="*", metavar="NAME"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions restore session_20240108_143022",
)
def restore(workspace: Workspace, names: list[str], dry_run: bool, dir: str | None) -> Reply:
    """Bare, list what could be brought back."""
    workspace.use_directory(dir)
    archive = rooms.archive(workspace)
    if not names:
        places = [str(path.relative_to(workspace.directory)) for path in archive.removed()]
        return Table((Column("File", "name"),), [(place,) for place in places], empty="there is nothing to bring back")
    paths = list(dict.fromkeys(archive.find(name) for name in names))
    return _each(workspace, paths, archive.home if dry_run else archive.restore, f"{_verb(dry_run)} back")


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
def archive(workspace: Workspace, older_than: str, compress: bool, dry_run: bool, dir: str | None) -> Reply:
    """By the day that they were begun; one that is open stays, and so does a damaged one."""
    workspace.use_directory(dir)
    room, current = rooms.archive(workspace), workspace.current
    old = [p for p in room.older_than(older_than, workspace.world.now()) if not (current and p == current.path)]

    def move(path: Path) -> Path:
        return room.place(path, compress) if dry_run else room.archive(path, compress=compress)

    return _each(workspace, old, move, f"{_verb(dry_run)} to the archive")


def _verb(dry_run: bool) -> str:
    return "would be moved" if dry_run else "moved"


def _each(workspace: Workspace, paths: list[Path], move: Callable[[Path], Path], done: str) -> Reply:
    """Move each file; the answer is a table of what is where now, and what failed. A full disk ends it."""
    rows: list[tuple[str, str]] = []
    failures: list[Reply] = []
    progress = Progress(workspace.world)
    for number, path in enumerate(paths, 1):
        try:
            rows.append((path.name, shown_path(move(path), workspace.world.cwd)))
        except Failure as failure:
            failures.append(Trouble(failure))
            if isinstance(failure, NotSaved):
                break
        progress("moving sessions", number, len(paths))
    table = Table((Column("File", "name"), Column("Place", "name")), rows)
    return Several([table, Note(f"{count(len(rows), 'session')} {done}"), *failures])


@command(
    "tag",
    "add and remove tags of the current session: +TAG -TAG",
    argument("tags", help="+TAG adds one, -TAG removes one; bare, show them", rest=True, source="tags"),
    group=GROUP,
    example="tag +python -draft",
    where=PROMPT,
)
def tag(workspace: Workspace, tags: str) -> Reply:
    """The tags of the open session."""
    keeper = workspace.current
    if keeper is None or not keeper.session.turns:
        raise WrongUse("there is no session to tag yet", "ask something first")
    if tags.strip():
        keeper.session.set_meta("tags", _tagged(keeper.session.tags, tags.split()))
        keeper.head(meta=keeper.session.meta)
    return Document(" ".join(keeper.session.tags) or "no tags")


@command(
    "sessions tag",
    "add and remove tags of a session: +TAG -TAG",
    _NAME,
    argument("tags", help="+TAG adds one, -TAG removes one; none: show them", nargs="*", metavar="TAG", signed=True),
    _DIR,
    group=GROUP,
    example="sessions tag my_coding_session +python -draft",
)
def sessions_tag(workspace: Workspace, name: str, tags: list[str], dir: str | None) -> Reply:
    """The tags in the file's meta."""
    workspace.use_directory(dir)
    path = workspace.store().find(name)
    if not tags:
        return Document(" ".join(workspace.store().read(path).tags) or "no tags")
    with rooms.opened(workspace, path) as keeper:
        keeper.session.set_meta("tags", _tagged(keeper.session.tags, tags))
        keeper.head(meta=keeper.session.meta)
        return Document(" ".join(keeper.session.tags) or "no tags")


_AT = argument("--at", help="the last turn that the branch has", kind=int, metavar="TURN")


@command(
    "fork",
    "branch from here, or from an earlier turn, under another name",
    _AT,
    argument("name", help="the branch's name, or that of a session to branch from", source="sessions", nargs="?"),
    group=GROUP,
    example="fork another_way --at 3",
    where=PROMPT,
)
def fork(workspace: Workspace, name: str | None, at: int | None) -> Reply:
    """The branch is current, and says in its meta where it came from."""
    known = name is not None and workspace.store().has(name)
    return _branched(workspace, name if known else None, None if known else name, at)


@command(
    "sessions fork",
    "branch from a session and go on in the branch",
    _NAME,
    argument("new", help="the branch's name", nargs="?"),
    _AT,
    _DIR,
    group=GROUP,
    example="sessions fork my_coding_session another_way --at 3",
)
def sessions_fork(workspace: Workspace, name: str, new: str | None, at: int | None, dir: str | None) -> Reply:
    """The session stays as it is; the branch is a session of its own."""
    workspace.use_directory(dir)
    return _branched(workspace, name, new, at)


def _branched(workspace: Workspace, name: str | None, new: str | None, at: int | None) -> Reply:
    parent = workspace.store().find(name) if name is not None else None
    trunk, number = rooms.fork(workspace, parent, at, new)
    branch = workspace.keeper().name
    return Several([Note(f"🌿 {safe_name(branch)} branches from {safe_name(trunk)} after turn {number}"), Chat()])


@command(
    "sessions import",
    "take in conversations of other programs: llm's logs.db, ChatGPT's export, OpenAI JSONL, our own txt and md",
    argument("file", help="the file", source="files"),
    argument("--source", help="what it is, if that cannot be told", choices=("llm", "chatgpt", "openai", "llmrepl")),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions import conversations.json",
)
def import_(workspace: Workspace, file: str, source: str | None, dry_run: bool, dir: str | None) -> Reply:
    """Each conversation becomes a session; one that was imported before is not written again."""
    workspace.use_directory(dir)
    path = workspace.world.cwd / expand(file, workspace.places.home)
    done = rooms.imported(workspace, path, source, dry_run=dry_run)
    taken = Table((Column("File", "name"), Column("Turns", "count"), Column("Title")), done.taken)
    left_out = Table((Column("Conversation"), Column("What did not fit")), done.left_out)
    said = f"{count(len(done.taken), 'conversation')} {'would be imported' if dry_run else 'imported'}"
    known = f"; {count(done.known, 'conversation')} imported before" if done.known else ""
    tables: list[Reply] = [table for table in (taken, left_out) if table.rows]
    failed: list[Reply] = [Trouble(done.failure)] if done.failure else []
    return Several([*tables, Note(said + known), *failed])


def _tagged(tags: list[str], changes: list[str]) -> list[str]:
    for change in changes:
        word = change.lstrip("+-")
        if not word or safe_name(word) != word or "," in word:
            raise WrongUse(f"'{safe_name(change)}' is not a tag", "write +TAG or -TAG")
        tags = [old for old in tags if old != word] + ([] if change.startswith("-") else [word])
    return tags
