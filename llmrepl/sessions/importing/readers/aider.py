"""Import .aider.chat.history.md of aider: a conversation for each time that it was started. https://aider.chat

What aider itself says is quoted with `> `, a prompt has `#### ` before each line, and the reply follows as it is. Aider
ends its own lines and prompts with two spaces, which is what tells them from quotes and headings in a reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from llmrepl.sessions.importing.conversation import (
    Conversation,
    ImportedMessage,
    clean_text,
    local_time,
    positive_number,
    usage_of,
)
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile

NAME = "aider"
HELP = ".aider.chat.history.md of aider"
_START = re.compile(r"^# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) *$", re.M)
_USER, _TOOL = "#### ", "> "
_TOKENS = re.compile(r"Tokens: ([\d.,]+[kM]?) sent,(?:.*?([\d.,]+[kM]?) cache hit,)?.*? ([\d.,]+[kM]?) received\.")
_COST = re.compile(r"Cost: \$([\d.]+) message")
_MODEL = re.compile(r"(?:Main m|M)odel: (\S+)(?: with .*)?")
_VERSION = re.compile(r"Aider v(\S+)")
_UNITS = {"k": 1000, "M": 1_000_000}


def detect(file: SourceFile) -> bool:
    """Whether the file begins as a history of aider."""
    return _START.match(file.head.decode("utf-8", "replace")) is not None


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield each chat of the history; one without a prompt is not reported. Raises ImportFileError."""
    text = file.text.replace("\r\n", "\n")
    ending = "  " if re.search(rf"^{_USER}.*  $", text, re.M) else ""  # an editor may have removed it
    starts = list(_START.finditer(text))
    if not starts:
        raise ImportFileError(file.name, "no line in it says when a chat of aider started")
    ends = [*(start.start() for start in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=True):
        found = Conversation((NAME, ""), created_at=local_time(start[1], now, is_local=True))
        _take(text[start.end() : end].splitlines(), found, ending)
        if found.lines or found.left_out:
            yield found.to_session(now)


def _take(lines: list[str], found: Conversation, ending: str) -> None:
    waiting: list[str] = []
    begun = False
    for kind, group in groupby(lines, lambda line: _kind(line, ending)):
        block = [line.removesuffix(ending) for line in group]
        if kind == _USER:
            _flush_prompt(waiting, found)
            waiting, begun = [line[len(_USER) :] for line in block], True
        elif kind == _TOOL or not begun:
            for line in block:
                _note(line.removeprefix(_TOOL), found)
        elif reply := "\n".join(block).strip("\n"):
            if waiting:
                found.lines.append(ImportedMessage("user", clean_text("\n".join(waiting))))
                waiting = []
            found.lines.append(ImportedMessage("assistant", clean_text(reply), model=found.model))
    _flush_prompt(waiting, found)


def _kind(line: str, ending: str) -> str:
    if line == _USER.rstrip() and not ending:
        return _USER
    return next((mark for mark in (_USER, _TOOL) if line.startswith(mark) and line.endswith(ending)), "")


def _flush_prompt(waiting: list[str], found: Conversation) -> None:
    """Add a prompt that has no reply; a command of aider has none."""
    if waiting and waiting[0].startswith("/"):
        found.left_out["command"] += 1
    elif waiting:
        found.lines.append(ImportedMessage("user", clean_text("\n".join(waiting))))


def _note(line: str, found: Conversation) -> None:
    """Take model, version, tokens and cost from what aider says."""
    if model := _MODEL.fullmatch(line):
        found.model = clean_text(model[1]) or None
    elif version := _VERSION.fullmatch(line):
        found.version = version[1]
    elif tokens := _TOKENS.search(line):
        usage = usage_of(_count(tokens[1]), _count(tokens[3]), _count(tokens[2] or "0"))
        if usage:
            usage.estimated = True  # it is rounded
        found.set_details(usage=usage)
    if cost := _COST.search(line):
        found.set_details(cost=positive_number(float(cost[1])) if cost[1].count(".") < 2 and cost[1] != "." else None)


def _count(words: str) -> int | None:
    number, unit = (words[:-1], _UNITS[words[-1]]) if words[-1:] in _UNITS else (words, 1)
    try:
        return round(float(number.replace(",", "")) * unit)
    except (ValueError, OverflowError):
        return None
