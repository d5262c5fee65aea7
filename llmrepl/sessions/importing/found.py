"""What a source yields: a conversation that was found, or something that did not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmrepl.sessions.model import Session

Origin = tuple[str, str]
"""Where a session came from: the name of the source, and the conversation's id there, the same at every import."""


KNOWN = "it was imported before"
"""Why a conversation is skipped that is a session already."""


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation as a session with `meta.origin`; `notes` say what of it did not fit."""

    session: Session
    origin: Origin
    title: str
    notes: tuple[str, ...] = ()

    @property
    def source_id(self) -> str:
        """The conversation's id at its source."""
        return self.origin[1]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not imported: `where` it stands or what it is called, and `why`."""

    where: str
    why: str


def origin_of(session: Session) -> Origin | None:
    """Where a session was imported from; None if it was not imported."""
    origin = (session.meta or {}).get("origin")
    if not isinstance(origin, dict):
        return None
    source, id = origin.get("source"), origin.get("id")
    return (source, id) if isinstance(source, str) and isinstance(id, str) else None


def skip_known(
    items: Iterable[FoundConversation | Skipped], known: Iterable[Origin]
) -> Iterator[FoundConversation | Skipped]:
    """The items, those that are `known` or were already among them turned into Skipped."""
    seen = set(known)
    for item in items:
        if isinstance(item, FoundConversation) and item.origin in seen:
            yield Skipped(item.title, KNOWN)
            continue
        if isinstance(item, FoundConversation):
            seen.add(item.origin)
        yield item
