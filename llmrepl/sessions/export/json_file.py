"""JSON: the session file itself."""

from __future__ import annotations

from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file


def render(session: Session, _options: ExportOptions) -> str:
    """The session as its file holds it."""
    return session_file.dump(session).decode()
