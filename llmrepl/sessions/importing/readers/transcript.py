"""Import the txt and md exports of this program. Text is restored exactly; figures are as rounded.

Read the file with `newline=""`: line ends are part of the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import unescape

from llmrepl.errors import LLMError
from llmrepl.sessions.export import markdown, text
from llmrepl.sessions.importing.conversation import local_time
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile
from llmrepl.sessions.model import ERROR, INTERRUPTED, MessageRecord, Session, Turn, UsageRecord, title_from_prompt


@dataclass(frozen=True)
class _Dialect:
    """How one format is parsed: its header, the markup between messages, and how to unescape text."""

    head: re.Pattern[str]
    ours: re.Pattern[str]
    roles: dict[str, str]
    system: Callable[[str], str]
    unescape: Callable[[str], str]


NAME = "llmrepl"
HELP = "txt or md export of this program"


def detect(file: SourceFile) -> bool:
    """Whether the file begins as an export of this program does."""
    return file.head.startswith((b"# Chat Session", b"Session: "))


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the one conversation of a txt or md export. Raises LLMError if the file is not one."""
    raw = file.raw
    try:
        exported = raw.decode()
    except UnicodeDecodeError as error:
        raise ImportFileError(file.name, "a byte that is not UTF-8") from error
    session = (read_markdown if exported.startswith("# ") else read_text)(exported)
    title = title_from_prompt(next((turn.text_of("user") for turn in session.turns), "")) or "untitled"
    origin = (NAME, hashlib.sha256(raw).hexdigest())
    if local_time(session.created_at, now) is None:
        session.created_at = Session.start(session.model, None, now).created_at
    session.meta = {"title": title, "origin": {"source": origin[0], "id": origin[1]}}
    yield FoundConversation(session, origin, title)


def read_text(exported: str) -> Session:
    """Parse a txt export. Raises LLMError if it is not one."""
    return _read(exported, _TEXT)


def read_markdown(exported: str) -> Session:
    """Parse a Markdown export. Raises LLMError if it is not one."""
    return _read(exported, _MARKDOWN)


_CLOSED = re.compile(rf"\n[^\n]*\n{markdown.CLOSED}\Z")


def _strip_closing_line(text: str) -> str:
    """Remove the line that was added to close the last block."""
    return _CLOSED.sub("", text)


def _words(labels: dict[str, str]) -> str:
    return "|".join(re.escape(label) for label in labels.values())


_STATISTICS = r"Tokens: (?P<tokens>\S+), Cost: (?P<cost>\S+), Time: (?P<time>\S+)"
_TEXT = _Dialect(
    head=re.compile(
        rf"Session: (?P<model>[^\n]*)\nCreated: (?P<created>[^\n]*)\n(?:System: (?P<system>.*?)\n)?{text.RULE}\n", re.S
    ),
    ours=re.compile(
        rf"^(?:(?P<role>{_words(text.LABELS)}): "
        rf"|\[Turn \d+(?: - {_STATISTICS})?\](?: \((?P<marks>[^\n]*)\))?\n)",
        re.M,
    ),
    roles={label: role for role, label in text.LABELS.items()},
    system=text.SYSTEM_GUARD.unescape,
    unescape=text.TEXT_GUARD.unescape,
)
_MARKDOWN = _Dialect(
    head=re.compile(
        r"# Chat Session\n\n\*\*Model:\*\* (?P<model>[^\n]*)\n\*\*Created:\*\* (?P<created>[^\n]*)\n"
        rf"(?:{re.escape(markdown.SYSTEM)}(?: |\n\n)(?P<system>.*?)\n)?\n{markdown.CONVERSATION}\n",
        re.S,
    ),
    ours=re.compile(
        rf"^(?:(?P<role>{_words(markdown.LABELS)}):(?: |\n\n)"
        r"|<details>\n<summary>Turn \d+ Statistics(?: \((?P<marks>[^\n]*)\))?</summary>\n\n"
        r"(?:- \*\*Tokens:\*\* (?P<tokens>\S+)\n- \*\*Cost:\*\* (?P<cost>\S+)\n- \*\*Latency:\*\* (?P<time>\S+)\n\n)?"
        r"</details>\n)",
        re.M,
    ),
    roles={label: role for role, label in markdown.LABELS.items()},
    system=lambda text: markdown.SYSTEM_GUARD.unescape(_strip_closing_line(text)),
    unescape=lambda text: markdown.TEXT_GUARD.unescape(_strip_closing_line(text)),
)


def _read(exported: str, dialect: _Dialect) -> Session:
    head = dialect.head.match(exported)
    if head is None:
        raise LLMError("this is not an export of ours: its first lines are different", "import another file")
    session = Session(model=head["model"], system=None, created_at=head["created"], turns=[])
    if head["system"] is not None:
        session.system = dialect.system(head["system"])
    for turn in _turns(exported, head.end(), dialect):
        session.add(turn)
    return session


def _turns(exported: str, start: int, dialect: _Dialect) -> Iterator[Turn]:
    found = list(dialect.ours.finditer(exported, start))
    ends = [*(match.start() for match in found[1:]), len(exported) + 1]
    messages: list[MessageRecord] = []
    for match, end in zip(found, ends, strict=False):
        if role := match["role"]:
            if dialect.roles[role] == "user" and messages and messages[-1].role != "user":
                yield Turn(messages=messages)
                messages = []
            content = dialect.unescape(exported[match.end() : end - 2])
            messages.append(MessageRecord(role=dialect.roles[role], content=content))
        else:
            yield _with_figures(messages, match)
            messages = []
    if messages:
        yield Turn(messages=messages)


def _with_figures(messages: list[MessageRecord], match: re.Match[str]) -> Turn:
    turn = Turn(messages=messages)
    marks = unescape(match["marks"] or "")
    if match["tokens"]:
        turn.usage = UsageRecord(total_tokens=_parse_int(match["tokens"]))
        if "~" in match["cost"]:
            turn.usage.estimated = True
        cost = _parse_float(match["cost"].replace("$", "").replace(",", "").replace("~", ""))
        if cost is not None:
            turn.cost_estimate = cost
        turn.latency_ms = _parse_float(match["time"].removesuffix("ms"))
    marks = re.sub(r'attached "[^"]*"(?:, "[^"]*")*(?:, )?', "", marks)
    before, found, model = marks.partition("answered by ")
    if found:
        turn.answered_by = model
    if "taken back" in before:
        turn.undone = True
    if "on a branch" in before:
        turn.branch = True
    if "no reply" in before:
        turn.finish_reason = ERROR
    elif "interrupted" in before:
        turn.finish_reason = INTERRUPTED
    return turn


def _parse_int(words: str) -> int | None:
    return int(words) if re.fullmatch(r"-?[0-9]{1,15}", words) else None


def _parse_float(words: str) -> float | None:
    try:
        return float(words)
    except ValueError:
        return None
