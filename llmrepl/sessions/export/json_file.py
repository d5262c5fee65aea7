"""JSON export: the session file itself."""

from __future__ import annotations

from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file


def render(session: Session, _options: ExportOptions) -> str:
    """Return the text of the session file."""
    return session_file.dump(session).decode()
