"""Commands that rename, tag, pin, title and fork sessions."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from llmrepl.chat.workspace import Workspace
from llmrepl.commands.registry import PROMPT, argument, command
from llmrepl.commands.results import Document, Group, Note, Result, StartChat
from llmrepl.commands.sessions.open import resume_session
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.index.query import PINNED

if TYPE_CHECKING:
    from llmrepl.sessions.storage.open_session import OpenSession
    from llmrepl.sessions.storage.store import Store

GROUP = "sessions"

_DIR = argument("--dir", "-d", help="sessions directory", source="directories", metavar="DIR")
_DRY = argument("--dry-run", help="only show what would be done", switch=True)
_NAME = argument("name", help="session", source="sessions")
_PINNED_NAME = argument("name", help="session (default: the current one)", source="sessions", nargs="?")


@command(
    "rename",
    "rename the current session",
    argument("name", help="new name"),
    group=GROUP,
    example="rename python_debugging",
    where=PROMPT,
)
def rename(workspace: Workspace, name: str) -> Result:
    """Rename the file of the open session."""
    store, open_session = workspace.store(), workspace.chat.current
    path = store.path_for(name)
    if open_session is None or not open_session.session.turns:
        workspace.chat.name_next(path.name)
    elif open_session.path is None:
        raise UsageError("This session is not saved.", ":save NAME saves it")
    else:
        path = store.path_for(name, beside=open_session.path)
        store.check_free(path, but=open_session.path)
        open_session.rename(path)
    return Note(f"this session is now {escape_name(path.name)}")


@command(
    "sessions rename",
    "rename a session",
    _NAME,
    argument("new", help="new name"),
    _DRY,
    _DIR,
    group=GROUP,
    example="sessions rename session_20240108_143022 python_debugging",
)
def sessions_rename(workspace: Workspace, name: str, new: str, dry_run: bool, dir: str | None) -> Result:
    """Rename a session's file, unless another shell has it open."""
    store = workspace.store(workspace.directory(dir))
    old = store.find(name)
    path = store.path_for(new, beside=old)
    store.check_free(path, but=old)
    if not dry_run:
        with workspace.session_at(old) as open_session:
            open_session.rename(path)
    return Note(f"{escape_name(old.name)} {'would be' if dry_run else 'is now'} {escape_name(path.name)}")


@command(
    "tag",
    "add and remove tags of the current session: +TAG -TAG",
    argument("tags", help="+TAG adds, -TAG removes; without arguments, show tags", rest=True, source="tags"),
    group=GROUP,
    example="tag +python -draft",
    where=PROMPT,
)
def tag(workspace: Workspace, tags: str) -> Result:
    """Change or show the tags of the open session."""
    open_session = _open_session(workspace, "tag")
    if tags.strip():
        open_session.session.set_meta("tags", _apply_tags(open_session.session.tags, tags.split()))
        open_session.set_header(meta=open_session.session.meta)
    return Document(" ".join(open_session.session.tags) or "no tags")


@command(
    "sessions tag",
    "add and remove tags of a session: +TAG -TAG",
    _NAME,
    argument(
        "tags", help="+TAG adds, -TAG removes; without arguments, show tags", nargs="*", metavar="TAG", signed=True
    ),
    _DIR,
    group=GROUP,
    example="sessions tag my_coding_session +python -draft",
)
def sessions_tag(workspace: Workspace, name: str, tags: list[str], dir: str | None) -> Result:
    """Change or show the tags of a saved session."""
    store = workspace.store(workspace.directory(dir))
    path = store.find(name)
    if not tags:
        return Document(" ".join(store.read(path).tags) or "no tags")
    with workspace.session_at(path) as open_session:
        open_session.session.set_meta("tags", _apply_tags(open_session.session.tags, tags))
        open_session.set_header(meta=open_session.session.meta)
        return Document(" ".join(open_session.session.tags) or "no tags")


@command(
    "pin",
    "list a session before all others",
    _PINNED_NAME,
    group=GROUP,
    example="pin my_coding_session",
    where=PROMPT,
)
def pin(workspace: Workspace, name: str | None) -> Result:
    """Pin the open or another session: add the tag `pinned`."""
    return Note(f"{_change_pin(workspace, name, pinned=True)} is pinned.")


@command(
    "unpin",
    "list a session in its place again",
    _PINNED_NAME,
    group=GROUP,
    example="unpin my_coding_session",
    where=PROMPT,
)
def unpin(workspace: Workspace, name: str | None) -> Result:
    """Unpin the open or another session: remove the tag `pinned`."""
    return Note(f"{_change_pin(workspace, name, pinned=False)} is not pinned.")


def _change_pin(workspace: Workspace, name: str | None, *, pinned: bool) -> str:
    """Pin or unpin a session; return its name for a message."""
    store = workspace.store()
    path = store.find(name) if name is not None else None
    with nullcontext(_open_session(workspace, "pin")) if path is None else workspace.session_at(path) as open_session:
        tags = _apply_tags(open_session.session.tags, [f"{'+' if pinned else '-'}{PINNED}"])
        if tags != open_session.session.tags:
            open_session.session.set_meta("tags", tags)
            open_session.set_header(meta=open_session.session.meta)
        return escape_name(open_session.name)


@command(
    "title",
    "show or set the title of the current session",
    argument("text", help="new title; without it, show the title", rest=True),
    group=GROUP,
    example="title Decorators in Python",
    where=PROMPT,
)
def title(workspace: Workspace, text: str) -> Result:
    """Show or set the title of the open session."""
    open_session = _open_session(workspace, "title")
    if text.strip():
        open_session.session.set_meta("title", " ".join(text.split()))
        open_session.set_header(meta=open_session.session.meta)
    return Document(escape_name(open_session.session.title or "") or "no title")


def _open_session(workspace: Workspace, action: str) -> OpenSession:
    open_session = workspace.chat.current
    if open_session is None or not open_session.session.turns:
        raise UsageError(f"There is no session to {action} yet.", "Ask something first")
    return open_session


_AT = argument(
    "--at", help="last turn to include (default: all)", kind=int, metavar="TURN", takes="the number of a turn"
)


@command(
    "fork",
    "fork the session at this or an earlier turn",
    _AT,
    argument("name", help="name of the fork, or of a session or search hit to fork", source="sessions", nargs="?"),
    group=GROUP,
    example="fork another_way --at 3",
    where=PROMPT,
    after_turns=True,
)
def fork(workspace: Workspace, name: str | None, at: int | None) -> Result:
    """Fork a session and switch to the fork."""
    store = workspace.store()
    if name is not None and (path := _import_elsewhere(workspace, store, name)):
        return resume_session(workspace, str(path)) if at is None else _fork(workspace, store, str(path), None, at)
    known = name is not None and store.has(name)
    return _fork(workspace, store, name if known else None, None if known else name, at)


@command(
    "sessions fork",
    "fork a session and continue in the fork",
    _NAME,
    argument("new", help="name of the fork", nargs="?"),
    _AT,
    _DIR,
    group=GROUP,
    example="sessions fork my_coding_session another_way --at 3",
)
def sessions_fork(workspace: Workspace, name: str, new: str | None, at: int | None, dir: str | None) -> Result:
    """Fork a saved session and switch to the fork."""
    store = workspace.store(workspace.directory(dir))
    if path := _import_elsewhere(workspace, store, name):
        name = str(path)
        if new is None and at is None:
            return resume_session(workspace, name, store.directory)
    return _fork(workspace, store, name, new, at)


def _import_elsewhere(workspace: Workspace, store: Store, name: str) -> Path | None:
    """Import the conversation of another program that `name` refers to, unless it is here; return its file.

    Returns None if `name` does not refer to one.
    """
    if not re.fullmatch(r"[a-z-]+:[0-9a-f]{8}", name) or store.has(name):
        return None
    from llmrepl.sessions.importing import elsewhere, importer

    if not elsewhere.is_reference(name):
        return None
    if not workspace.chat.saving:
        raise UsageError("Nothing is imported in incognito mode.", "':incognito off' ends it")
    now = workspace.environment.now()
    files = elsewhere.history_files(workspace.environment.environ, workspace.paths.home)
    return importer.import_one(store, elsewhere.find(files, name, now), now)


def _fork(workspace: Workspace, store: Store, name: str | None, new: str | None, at: int | None) -> Result:
    from llmrepl.chat import fork as forking

    path = store.find(name) if name is not None else None
    parent, number = forking.fork(workspace, store, path, at, new)
    branch = workspace.chat.open_session().name
    return Group(
        [Note(f"🌿 {escape_name(branch)} branches from {escape_name(parent)} after turn {number}"), StartChat()]
    )


def _apply_tags(tags: list[str], changes: list[str]) -> list[str]:
    for change in changes:
        word = change.lstrip("+-")
        if not word or escape_name(word) != word or "," in word:
            raise UsageError(f"'{escape_name(change)}' is no tag.", "Write +TAG or -TAG")
        tags = [old for old in tags if old != word] + ([] if change.startswith("-") else [word])
    return tags
