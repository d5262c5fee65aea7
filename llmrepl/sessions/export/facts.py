"""What all export formats say about a session, in the same words."""

from __future__ import annotations

from dataclasses import dataclass

from llmrepl.formatting import escape_name, format_usd
from llmrepl.sessions.model import ERROR, INTERRUPTED, MessageRecord, Session, Turn

ROLES = ("user", "assistant", "system", "developer", "tool", "function")
"""Roles that are exported under their own name; any other becomes `other`."""

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of an export: the session's `name`, and whether CSV cells are not escaped (`raw_csv`)."""

    name: str = "session"
    raw_csv: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Tokens, cost and time of a turn as text; what is not known is `unknown`, never 0."""

    tokens: str
    cost: str
    time: str


def role(message: MessageRecord) -> str:
    """Return the role of a message: one of ROLES or `other`."""
    return message.role if message.role in ROLES else "other"


def printable(text: str) -> str:
    """Replace NUL by U+FFFD."""
    return text.replace("\0", "\ufffd")


def created_at(session: Session) -> str:
    """Return the creation time as it is in the file, on one line."""
    return escape_name(session.created_at or "Unknown")


def total_tokens(turn: Turn) -> int | None:
    """Return all tokens of the turn, or None if unknown."""
    usage = turn.usage
    if usage is None or usage.total_tokens is not None:
        return usage.total_tokens if usage else None
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens + usage.completion_tokens


def cost(turn: Turn) -> str:
    """Format the cost of the turn, with `~` for an estimate."""
    return format_usd(turn.cost_estimate, about=bool(turn.usage and turn.usage.estimated))


def figures(turn: Turn) -> Figures | None:
    """Return the figures of a turn, or None if it has no usage."""
    if turn.usage is None:
        return None
    tokens = total_tokens(turn)
    return Figures(
        tokens=UNKNOWN if tokens is None else str(tokens),
        cost=cost(turn),
        time=UNKNOWN if turn.latency_ms is None else f"{turn.latency_ms:.0f}ms",
    )


def marks(turn: Turn, model: str) -> list[str]:
    """Return what is unusual about a turn of a session with `model`: an aside, undone, on a branch, failed …"""
    found = ["aside"] if turn.is_aside else []
    if turn.undone:
        found.append("taken back")
    if turn.branch is True:
        found.append("not picked" if turn.comparison else "on a branch")
    if turn.finish_reason == ERROR:
        found.append("no reply")
    if turn.finish_reason == INTERRUPTED:
        found.append("interrupted")
    if left_out := sum(_not_text(message) for message in turn.messages):
        found.append(f"{left_out} part{'' if left_out == 1 else 's'} that are not text left out")
    if names := attached(turn):
        found.append("attached " + ", ".join(f'"{name}"' for name in names))
    if isinstance(turn.pictures, list) and turn.pictures:
        names = [escape_name(str(name)).replace('"', "'") for name in turn.pictures]
        found.append("picture " + ", ".join(f'"{name}"' for name in names))
    if turn.answered_by and turn.answered_by != model:
        found.append(f"answered by {escape_name(turn.answered_by)}")
    return found


def attached(turn: Turn) -> list[str]:
    """Return the names of the files that went with the turn's messages, on one line each and without quotes."""
    records = (record for message in turn.messages for record in message.attachments or ())
    return [escape_name(record.name).replace('"', "'") for record in records]


def _not_text(message: MessageRecord) -> int:
    parts = message.content if isinstance(message.content, list) else []
    return sum(not isinstance(part.get("text") if isinstance(part, dict) else part, str) for part in parts)
