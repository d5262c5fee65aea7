"""JSON: the session file itself."""

from __future__ import annotations

from llmrepl.sessions import codec
from llmrepl.sessions.export.facts import Options
from llmrepl.sessions.model import Session


def render(session: Session, _options: Options) -> str:
    """The session as its file holds it."""
    return codec.dump(session).decode()
