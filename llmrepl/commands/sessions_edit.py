"""Commands that name, tag and branch sessions."""

from __future__ import annotations

from llmrepl.chat import services_tmp as rooms
from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Chat, Document, Note, Reply, Several
from llmrepl.errors import WrongUse
from llmrepl.formatting import safe_name

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
    "branch from here or from an earlier turn",
    _AT,
    argument("name", help="the branch's name, or that of a session to branch from", source="sessions", nargs="?"),
    group=GROUP,
    example="fork another_way --at 3",
    where=PROMPT,
    after_turns=True,
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


def _tagged(tags: list[str], changes: list[str]) -> list[str]:
    for change in changes:
        word = change.lstrip("+-")
        if not word or safe_name(word) != word or "," in word:
            raise WrongUse(f"'{safe_name(change)}' is not a tag", "write +TAG or -TAG")
        tags = [old for old in tags if old != word] + ([] if change.startswith("-") else [word])
    return tags
