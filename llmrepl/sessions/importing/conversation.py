"""Group imported messages into the turns of a session."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeGuard

from llmrepl.errors import LLMError
from llmrepl.formatting import escape_name
from llmrepl.sessions.importing.found import FoundConversation, Origin, Skipped
from llmrepl.sessions.model import MessageRecord, Session, Turn, UsageRecord, title_from_prompt
from llmrepl.system.limits import MAX_CONVERSATION_CHARACTERS

NO_MODEL = "unknown"
"""Model of a conversation whose source names none."""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message:

    `role` is user, assistant or system, `at` local time in ISO 8601; the rest is known for replies only, `cost` in USD.
    """

    role: str
    text: str
    at: str | None = None
    model: str | None = None
    usage: UsageRecord | None = None
    latency_ms: float | None = None
    cost: float | None = None


class _BoundedMessages(list[ImportedMessage]):
    """Messages of at most MAX_CONVERSATION_CHARACTERS in all; LLMError for one more."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def append(self, message: ImportedMessage) -> None:
        self._size += len(message.text)
        if self._size > MAX_CONVERSATION_CHARACTERS:
            most = MAX_CONVERSATION_CHARACTERS >> 20
            raise LLMError(f"a conversation has more than {most} million characters", "import another file")
        super().append(message)


@dataclass
class Conversation:
    """An imported conversation.

    An empty id in `origin` stands for a hash of the date and the messages. `left_out` counts what cannot be imported,
    by noun. `version` is that of the program that wrote the conversation, if it says so. `counted` is for the reader:
    the usage that it has already added.
    """

    origin: Origin
    lines: list[ImportedMessage] = field(default_factory=_BoundedMessages)
    title: str | None = None
    model: str | None = None
    created_at: str | None = None
    version: str = ""
    counted: object = None
    left_out: Counter[str] = field(default_factory=Counter)

    def add_usage(self, usage: UsageRecord) -> None:
        """Add usage to the last message, for a request that brought no text or whose usage is recorded after it."""
        if self.lines:
            last = self.lines[-1]
            self.lines[-1] = replace(last, usage=_sum_usage([last.usage, usage]))

    def set_details(self, **values: Any) -> None:
        """Change the last reply, for usage that is recorded after it."""
        for at in range(len(self.lines) - 1, -1, -1):
            if self.lines[at].role == "assistant":
                self.lines[at] = replace(self.lines[at], **values)
            if self.lines[at].role != "system":
                return

    def to_session(self, now: datetime) -> FoundConversation | Skipped:
        """Convert to a session, or Skipped with the reason. `now` (local time) dates a conversation without a date."""
        lines = [line for line in self.lines if line.text.strip()]
        first = next((line.text for line in lines if line.role == "user"), "")
        title = title_from_prompt(self.title or "") or title_from_prompt(first) or "untitled"
        if not any(line.role in ("user", "assistant") for line in lines):
            return Skipped(title, self._why_empty())
        models = [line.model for line in lines if line.model]
        session = Session.start(models[-1] if models else self.model or NO_MODEL, None, now)
        session.created_at = self.created_at or next((line.at for line in lines if line.at), session.created_at)
        source, id = self.origin
        origin = (source, id or self._content_id(lines))
        session.meta = {"title": title, "origin": {"source": source, "id": origin[1], "messages": len(lines)}}
        while lines[0].role == "system":
            line = lines.pop(0)
            session.system = line.text if session.system is None else f"{session.system}\n\n{line.text}"
        for group in _group_turns(lines):
            session.add(_turn(group, session.model))
        left_out = tuple((noun, number) for noun, number in sorted(self.left_out.items()) if number > 0)
        return FoundConversation(session, origin, title, left_out)

    def _content_id(self, lines: list[ImportedMessage]) -> str:
        content = json.dumps([self.created_at, *([line.role, line.text] for line in lines)])
        return hashlib.sha256(content.encode()).hexdigest()

    def _why_empty(self) -> str:
        """Name the version of a conversation in which nothing was found: it may be one that is not known here."""
        written = f" that this program knows (written by version {escape_name(self.version)})" if self.version else ""
        return f"it holds no messages{written}"


def _group_turns(lines: Iterable[ImportedMessage]) -> list[list[ImportedMessage]]:
    """Start a turn at each user message, or at the system message before it."""
    groups: list[list[ImportedMessage]] = []
    for line in lines:
        begins = line.role != "assistant" and (not groups or any(message.role != "system" for message in groups[-1]))
        if begins or not groups:
            groups.append([])
        groups[-1].append(line)
    return groups


def _turn(lines: list[ImportedMessage], current_model: str) -> Turn:
    turn = Turn(messages=[MessageRecord(role=line.role, content=line.text) for line in lines])
    if usage := _sum_usage(line.usage for line in lines):
        turn.usage = usage
    if times := [line.latency_ms for line in lines if line.latency_ms is not None]:
        turn.latency_ms = sum(times)
    if costs := [line.cost for line in lines if line.cost is not None]:
        turn.cost_estimate = sum(costs)
    if at := next((line.at for line in lines if line.at), None):
        turn.created_at = at
    model = next((line.model for line in reversed(lines) if line.model), None)
    if model and model != current_model:
        turn.answered_by = model
    return turn


MAX_TOKENS = 1 << 53
"""Token counts and costs beyond it are not believed."""


def usage_of(read: object, written: object, cached: object = None) -> UsageRecord | None:
    """Build the usage of a reply from the tokens of its prompt and of itself, or None if one is not a count."""
    if not (_is_count(read) and _is_count(written)):
        return None
    usage = UsageRecord(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
    if _is_count(cached) and 0 < cached <= read:
        usage.cached_tokens = cached
    return usage


def usage_beside_cache(read: object, written: object, cached: object, stored: object) -> UsageRecord | None:
    """Build the usage where the tokens read from and stored in the cache are counted beside those of the prompt."""
    counts = [read, cached or 0, stored or 0]
    if not all(_is_count(count) for count in counts):
        return None
    return usage_of(sum(count for count in counts if _is_count(count)), written, cached)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKENS


def positive_number(value: object) -> float | None:
    """Return a finite number that is not negative, such as a cost or a time, otherwise None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MAX_TOKENS else None


def _sum_usage(parts: Iterable[UsageRecord | None]) -> UsageRecord | None:
    usages = [usage for usage in parts if usage]
    if not usages:
        return None
    total = UsageRecord(
        prompt_tokens=sum(usage.prompt_tokens or 0 for usage in usages),
        completion_tokens=sum(usage.completion_tokens or 0 for usage in usages),
        total_tokens=sum(usage.total_tokens or 0 for usage in usages),
    )
    if cached := sum(usage.cached_tokens or 0 for usage in usages):
        total.cached_tokens = cached
    if any(usage.estimated for usage in usages):
        total.estimated = True
    return total


def clean_text(value: object) -> str:
    """Return `value` if it is text, otherwise empty; lone surrogates are replaced."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def local_time(moment: object, now: datetime, *, is_local: bool = False) -> str | None:
    """Convert a time to ISO 8601 in the zone of `now` (the system's if it has none).

    `moment` is seconds since 1970 or ISO 8601; without an offset it is UTC, or local time if `is_local`. Returns None
    for anything else.
    """
    try:
        if isinstance(moment, str):
            at = datetime.fromisoformat(moment)
            if at.tzinfo is None:
                at = at.replace(tzinfo=now.tzinfo if is_local else UTC)
        elif isinstance(moment, int | float) and math.isfinite(moment):
            at = datetime.fromtimestamp(moment, UTC)
        else:
            return None
        return at.astimezone(now.tzinfo).replace(tzinfo=None).isoformat(timespec="microseconds")
    except (ValueError, OverflowError, OSError):
        return None
