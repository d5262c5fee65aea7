"""Import conversations from other programs: one table of sources, with a module for each in `readers/`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing import inputs
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.readers import (
    aichat,
    aider,
    chatgpt,
    claude_ai,
    claude_code,
    codex,
    elia,
    gemini_cli,
    gptme,
    llm_logs,
    lm_studio,
    open_webui,
    openai_messages,
    sharegpt,
    transcript,
)
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile


class Reader(Protocol):
    """A module that imports from one program: its name, a line of help, and how its files are detected and read."""

    NAME: str
    HELP: str

    def detect(self, file: SourceFile) -> bool:
        """Whether the file is one of this program, by its content. Raises ImportFileError."""

    def read(self, file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
        """Yield the conversations; `now` dates those without a date, and its zone is that of the times."""


_READERS: tuple[Reader, ...] = (
    llm_logs, chatgpt, claude_ai, claude_code, codex, gemini_cli, aichat, aider, gptme, elia, open_webui, lm_studio,
    sharegpt, openai_messages, transcript,
)  # fmt: skip
SOURCES = {reader.NAME: reader for reader in _READERS}
"""The sources by name, as in `meta.origin.source` of a session."""

OTHER_FORMAT = "its format is not known"
"""Reason for skipping a file in a directory or archive that no source recognizes."""


def read(
    path: Path, now: datetime, source: str | None = None, report: inputs.Report = lambda done, total: None
) -> Iterator[FoundConversation | Skipped]:
    """Read the conversations in `path`, a file, directory or zip archive.

    Files are read as `source`, or as the source detected; in a directory, only those detected as `source`. `now` dates
    conversations without a date; times are in its time zone, or the system's if it has none. Raises UsageError if the
    source is unknown or cannot be detected, LLMError if the only file cannot be read, even halfway through; of several
    files, one that cannot be read is skipped. `report` is called with the number of files read, and of all.
    """
    if source is not None and source not in SOURCES:
        raise UsageError(f"There is no source '{source}'.", f"--source takes {', '.join(SOURCES)}")
    if inputs.is_single(path):
        file = SourceFile(path)
        yield from SOURCES[source or detect_source(file)].read(file, now)
        return
    known = False
    for file in inputs.find_files(path, report):
        for item in _read_one(file, now, source):
            known = known or isinstance(item, FoundConversation) or item.why != OTHER_FORMAT
            yield item
    if not known:
        raise LLMError(
            f"{escape_name(path.name)} holds nothing that can be imported", f"the sources are {', '.join(SOURCES)}"
        )


def _read_one(file: SourceFile, now: datetime, source: str | None) -> Iterator[FoundConversation | Skipped]:
    try:
        found = matching_sources(file)
        if len(found) != 1 or (source and found != [source]):
            yield Skipped(file.name, OTHER_FORMAT)
        else:
            yield from SOURCES[found[0]].read(file, now)
    except ImportFileError as error:
        yield Skipped(file.name, error.why)
    except LLMError as error:
        yield Skipped(file.name, str(error))


def describe_source(path: Path, source: str | None) -> str:
    """Return the help of a source, detected if it is None. Raises as `detect_source`."""
    if source is None and not inputs.is_single(path):
        return "any of its files"
    return SOURCES[source or detect_source(SourceFile(path))].HELP


def detect_source(file: SourceFile) -> str:
    """Detect the source from the content of a file. Raises UsageError, or ImportFileError for what cannot be read."""
    shown = escape_name(file.name)
    found = matching_sources(file)
    if len(found) > 1:
        raise UsageError(f"{shown} could be of {' or '.join(found)}", f"name its source: --source {found[0]}")
    if found:
        return found[0]
    hint = f"name its source: {', '.join(SOURCES)}"
    if file.is_json:
        raise LLMError(f"{shown} is not in a format that can be imported: it has no {_KEYS}", hint)
    raise UsageError(f"{shown} is not in a format that can be imported", hint)


_KEYS = "'mapping', 'chat_messages', 'conversations', 'messages', 'history' or 'sessionId'"


def matching_sources(file: SourceFile) -> list[str]:
    """Return the sources that recognize a file. Raises ImportFileError."""
    return [name for name, reader in SOURCES.items() if reader.detect(file)]
