"""What every export says about a session, in the same words; and the names of who speaks."""

from __future__ import annotations

from dataclasses import dataclass

from llmrepl.formatting import escape_name, format_usd
from llmrepl.sessions.model import ERROR, INTERRUPTED, MessageRecord, Session, Turn

ROLES = ("user", "assistant", "system", "developer", "tool", "function")
"""Who may speak in the messages formats; any other role of a file from elsewhere is exported as `other`."""

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What the user chose: `name` of the session, and whether csv cells are left as they are (`raw_csv`)."""

    name: str = "session"
    raw_csv: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Tokens, cost and time of a turn as words; what is not known is `unknown`, never 0."""

    tokens: str
    cost: str
    time: str


def role(message: MessageRecord) -> str:
    """Who speaks, as one of ROLES or `other`."""
    return message.role if message.role in ROLES else "other"


def printable(text: str) -> str:
    """`text` with NUL, which no text file should hold, as the replacement character."""
    return text.replace("\0", "\ufffd")


def created_at(session: Session) -> str:
    """When the session began, as the file says it, on one line."""
    return escape_name(session.created_at or "Unknown")


def total_tokens(turn: Turn) -> int | None:
    """All tokens of the turn, None if unknown."""
    usage = turn.usage
    if usage is None or usage.total_tokens is not None:
        return usage.total_tokens if usage else None
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens + usage.completion_tokens


def cost(turn: Turn) -> str:
    """The cost of the turn as words, with `~` if it rests on an estimate."""
    return format_usd(turn.cost_estimate, about=bool(turn.usage and turn.usage.estimated))


def figures(turn: Turn) -> Figures | None:
    """The figures of a turn; None if there is no usage, as in the guide."""
    if turn.usage is None:
        return None
    tokens = total_tokens(turn)
    return Figures(
        tokens=UNKNOWN if tokens is None else str(tokens),
        cost=cost(turn),
        time=UNKNOWN if turn.latency_ms is None else f"{turn.latency_ms:.0f}ms",
    )


def marks(turn: Turn) -> list[str]:
    """What sets the turn apart from an ordinary one: taken back, failed, cut off, parts left out, another model."""
    found = []
    if turn.undone:
        found.append("taken back")
    if turn.finish_reason == ERROR:
        found.append("no reply")
    if turn.finish_reason == INTERRUPTED:
        found.append("interrupted")
    if left_out := sum(_not_text(message) for message in turn.messages):
        found.append(f"{left_out} part{'' if left_out == 1 else 's'} that are not text left out")
    if turn.answered_by:
        found.append(f"answered by {escape_name(turn.answered_by)}")
    return found


def _not_text(message: MessageRecord) -> int:
    parts = message.content if isinstance(message.content, list) else []
    return sum(not isinstance(part.get("text") if isinstance(part, dict) else part, str) for part in parts)
