"""Plain text export, in the documented format."""

from __future__ import annotations

from llmrepl.formatting import escape_name
from llmrepl.sessions.export import facts
from llmrepl.sessions.export.line_escaper import LineEscaper
from llmrepl.sessions.model import Session, Turn

RULE = "=" * 50
LABELS = {role: role.upper() for role in (*facts.ROLES, "other")}
"""Maps a role to the label of its messages."""

TEXT_GUARD = LineEscaper(rf"(?:{'|'.join(LABELS.values())}):|\[Turn \d")
SYSTEM_GUARD = LineEscaper(RULE)


def render(session: Session, _options: facts.ExportOptions) -> str:
    """Render the session as plain text, readable by `llmrepl.sessions.importing.transcript.read_text`."""
    lines = [f"Session: {escape_name(session.model)}", f"Created: {facts.created_at(session)}"]
    if session.system:
        lines.append(f"System: {SYSTEM_GUARD.escape(facts.printable(session.system))}")
    lines += [RULE, ""]
    for number, turn in enumerate(session.turns, 1):
        for message in turn.messages:
            lines += [f"{LABELS[facts.role(message)]}: {TEXT_GUARD.escape(facts.printable(message.text))}", ""]
        if footer := _footer(number, turn, session.model):
            lines += [footer, ""]
    return "\n".join(lines)


def _footer(number: int, turn: Turn, model: str) -> str:
    figures, marks = facts.figures(turn), facts.marks(turn, model)
    if figures is None and not marks:
        return ""
    counted = "" if figures is None else f" - Tokens: {figures.tokens}, Cost: {figures.cost}, Time: {figures.time}"
    mark = f" ({', '.join(marks)})" if marks else ""
    return f"[Turn {number}{counted}]{mark}"
