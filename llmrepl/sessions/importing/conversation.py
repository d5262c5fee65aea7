"""Group imported messages into the turns of a session."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llmrepl.errors import LLMError
from llmrepl.sessions.importing.found import FoundConversation, Origin, Skipped
from llmrepl.sessions.model import MessageRecord, Session, Turn, UsageRecord, title_from_prompt
from llmrepl.system.limits import MAX_CONVERSATION_CHARACTERS

NO_MODEL = "unknown"
"""Model of a conversation whose source names none."""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message:

    `role` is user, assistant or system, `at` local time in ISO 8601; the rest is known for replies only.
    """

    role: str
    text: str
    at: str | None = None
    model: str | None = None
    usage: UsageRecord | None = None
    latency_ms: float | None = None


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
    """An imported conversation; `left_out` counts what cannot be imported, by noun."""

    origin: Origin
    lines: list[ImportedMessage] = field(default_factory=_BoundedMessages)
    title: str | None = None
    model: str | None = None
    created_at: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def to_session(self, now: datetime) -> FoundConversation | Skipped:
        """Convert to a session, or Skipped with the reason. `now` (local time) dates a conversation without a date."""
        lines = [line for line in self.lines if line.text.strip()]
        first = next((line.text for line in lines if line.role == "user"), "")
        title = title_from_prompt(self.title or "") or title_from_prompt(first) or "untitled"
        if not any(line.role in ("user", "assistant") for line in lines):
            return Skipped(title, "it holds no messages")
        models = [line.model for line in lines if line.model]
        session = Session.start(models[-1] if models else self.model or NO_MODEL, None, now)
        session.created_at = self.created_at or next((line.at for line in lines if line.at), session.created_at)
        session.meta = {"title": title, "origin": {"source": self.origin[0], "id": self.origin[1]}}
        while lines[0].role == "system":
            line = lines.pop(0)
            session.system = line.text if session.system is None else f"{session.system}\n\n{line.text}"
        for group in _group_turns(lines):
            session.add(_turn(group, session.model))
        left_out = tuple((noun, number) for noun, number in sorted(self.left_out.items()) if number > 0)
        return FoundConversation(session, self.origin, title, left_out)


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
    if usages := [line.usage for line in lines if line.usage]:
        turn.usage = UsageRecord(
            prompt_tokens=sum(usage.prompt_tokens or 0 for usage in usages),
            completion_tokens=sum(usage.completion_tokens or 0 for usage in usages),
            total_tokens=sum(usage.total_tokens or 0 for usage in usages),
        )
    if times := [line.latency_ms for line in lines if line.latency_ms is not None]:
        turn.latency_ms = sum(times)
    if at := next((line.at for line in lines if line.at), None):
        turn.created_at = at
    model = next((line.model for line in reversed(lines) if line.model), None)
    if model and model != current_model:
        turn.answered_by = model
    return turn


def clean_text(value: object) -> str:
    """Return `value` if it is text, otherwise empty; lone surrogates are replaced."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def local_time(moment: object, now: datetime) -> str | None:
    """Convert a time to ISO 8601 in the zone of `now` (the system's if it has none).

    `moment` is seconds since 1970 or ISO 8601, UTC if it has no offset. Returns None for anything else.
    """
    try:
        if isinstance(moment, str):
            at = datetime.fromisoformat(moment)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        elif isinstance(moment, int | float) and math.isfinite(moment):
            at = datetime.fromtimestamp(moment, UTC)
        else:
            return None
        return at.astimezone(now.tzinfo).replace(tzinfo=None).isoformat(timespec="microseconds")
    except (ValueError, OverflowError, OSError):
        return None
