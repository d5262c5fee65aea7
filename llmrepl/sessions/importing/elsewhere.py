"""Search the histories that other programs keep on this machine, where they keep them by default. Reads only.

A conversation is referred to by its source and eight digits of a hash of its id: `claude-code:3f9a1c20`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing import SOURCES
from llmrepl.sessions.importing.database import SIGN
from llmrepl.sessions.importing.found import FoundConversation
from llmrepl.sessions.importing.inputs import Report
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile
from llmrepl.sessions.index.query import Filters, parse_epoch
from llmrepl.sessions.index.search import Hit, find_hits

PROGRAMS = ("claude-code", "codex", "gemini-cli", "llm", "aichat")
"""The sources whose histories are searched."""

MAX_SECONDS = 20.0
"""Time for one search; the newest files are read first."""

_REFERENCE = re.compile(rf"({'|'.join(PROGRAMS)}):([0-9a-f]{{8}})")
_MAC = "Library/Application Support"
_LOWERED = (b"\xe2\x84\xaa", b"\xc4\xb0", b"\\u212a", b"\\u0130")
"""Characters outside ASCII whose lower case is in it, and so in JSON."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """A file of a program's history."""

    source: str
    path: Path


@dataclass(slots=True)
class FoundElsewhere:
    """Hits in the histories; `problems` has file and reason for what could not be read.

    `unread` files of `files` were not searched, since time was up.
    """

    hits: list[Hit] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    files: int = 0
    unread: int = 0


def history_files(environ: Mapping[str, str], home: Path) -> list[HistoryFile]:
    """Return the files of all histories that are there, the newest first."""
    dated = []
    for source, places in _places(environ, home).items():
        for place, pattern in places:
            for path in _matching(place, re.compile(pattern)):
                try:
                    dated.append((path.stat().st_mtime, HistoryFile(source, path)))
                except OSError:
                    continue
    unique = {file: at for at, file in dated}
    return sorted(unique, key=lambda file: (-unique[file], str(file.path)))


def _places(environ: Mapping[str, str], home: Path) -> dict[str, list[tuple[Path, str]]]:
    """Return for each source its directories, and which paths in them are histories."""

    def place(variable: str, *usual: str) -> list[Path]:
        return [Path(environ[variable])] if environ.get(variable) else [home / one for one in usual]

    configured = [path for path in (Path(environ.get("XDG_CONFIG_HOME", "")), home / ".config") if path.is_absolute()]
    codex = place("CODEX_HOME", ".codex")
    aichat = [Path(environ["AICHAT_CONFIG_DIR"])] if environ.get("AICHAT_CONFIG_DIR") else [
        *(one / "aichat" for one in configured), home / _MAC / "aichat",
    ]  # fmt: skip
    llm = [Path(environ["LLM_USER_PATH"])] if environ.get("LLM_USER_PATH") else [
        *(one / "io.datasette.llm" for one in configured), home / _MAC / "io.datasette.llm",
    ]  # fmt: skip
    claude = place("CLAUDE_CONFIG_DIR", ".claude", ".config/claude")
    return {
        "claude-code": [(one / "projects", r".*\.jsonl") for one in claude],
        "codex": [
            (one / name, r".*rollout-[^/]*\.jsonl") for one in codex for name in ("sessions", "archived_sessions")
        ],
        "gemini-cli": [(one / "tmp", r".*/chats/session-[^/]*\.jsonl?") for one in place("GEMINI_CLI_HOME", ".gemini")],
        "llm": [(one, r"logs\.db") for one in llm],
        "aichat": [
            *((one, r"(?:agents/[^/]+/)?(?:messages\.md|sessions/.*\.yaml)") for one in aichat),
            *((Path(environ[name]), r".*\.yaml") for name in ("AICHAT_SESSIONS_DIR",) if environ.get(name)),
        ],
    }


def _matching(directory: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if pattern.fullmatch(path.relative_to(directory).as_posix()) and path.is_file() and not path.is_symlink():
                yield path


def search(
    files: list[HistoryFile],
    wanted: str,
    filters: Filters,
    limit: int,
    now: datetime,
    clock: Callable[[], float],
    report: Report = lambda done, total: None,
) -> FoundElsewhere:
    """Search the messages of all conversations for a text, ignoring case, for MAX_SECONDS of `clock` at most.

    Of a conversation, the first `limit` hits are returned. `report` is called as by `find_files`.
    """
    found = FoundElsewhere(files=len(files))
    end = clock() + MAX_SECONDS
    for number, file in enumerate(files):
        report(number, len(files))
        if clock() >= end:
            found.unread = len(files) - number
            break
        try:
            for conversation in _conversations(file, now, wanted):
                _add_hits(conversation, wanted, filters, limit, found)
                if clock() >= end:
                    found.unread = len(files) - number
                    break
        except ImportFileError as error:
            found.problems.append((str(file.path), error.why))
        except LLMError as error:
            found.problems.append((str(file.path), str(error)))
    report(len(files), len(files))
    return found


def _conversations(file: HistoryFile, now: datetime, wanted: str = "") -> Iterator[FoundConversation]:
    """Yield the conversations of a file that is recognized as one of its source and may contain `wanted`."""
    reader, source_file = SOURCES[file.source], SourceFile(file.path)
    if may_contain(source_file, wanted) and reader.detect(source_file):
        yield from (item for item in reader.read(source_file, now) if isinstance(item, FoundConversation))


def may_contain(file: SourceFile, wanted: str) -> bool:
    """Whether a text can be in a file, by its longest run of ASCII letters and digits, which no format escapes."""
    run = max(re.findall(r"[a-z0-9]+", wanted.lower()), key=len, default="").encode()
    if not run or file.head.startswith(SIGN):
        return True
    raw = file.raw.lower()
    return run in raw or any(letter in raw or letter in file.raw for letter in _LOWERED)


def _add_hits(
    conversation: FoundConversation, wanted: str, filters: Filters, limit: int, found: FoundElsewhere
) -> None:
    session = conversation.session
    epoch = parse_epoch(session.created_at, 0.0)
    models = {session.model, *(turn.answered_by for turn in session.turns if turn.answered_by)}
    if (
        filters.tag is not None
        or (filters.model is not None and not any(filters.model in model for model in models))
        or (filters.since is not None and epoch < filters.since)
        or (filters.until is not None and epoch >= filters.until)
    ):
        return
    hits = find_hits(reference(conversation), session.model_dump(exclude_unset=True), wanted)
    for hit in islice(hits, limit):
        hit.epoch = epoch
        found.hits.append(hit)


def reference(conversation: FoundConversation) -> str:
    """Return what `:fork` takes for a conversation."""
    return f"{conversation.origin[0]}:{hashlib.sha256(conversation.source_id.encode()).hexdigest()[:8]}"


def is_reference(name: str) -> bool:
    """Whether a name refers to a conversation of another program."""
    return _REFERENCE.fullmatch(name) is not None


def find(files: list[HistoryFile], name: str, now: datetime) -> FoundConversation:
    """Find the conversation that a reference names; files that cannot be read are passed over. Raises UsageError."""
    source = name.partition(":")[0]
    for file in files:
        if file.source != source:
            continue
        try:
            for conversation in _conversations(file, now):
                if reference(conversation) == name:
                    return conversation
        except LLMError:
            continue
    raise UsageError(
        f"There is no conversation {escape_name(name)} on this machine.", "':search --elsewhere TEXT' lists them"
    )
