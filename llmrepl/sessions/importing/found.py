"""What a source yields: conversations, and what was skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmrepl.formatting import pluralize
from llmrepl.sessions.model import Session

Origin = tuple[str, str]
"""Source name and the conversation's id there, which is stable across imports."""


KNOWN = "it was imported before"
"""Reason for skipping a conversation that was imported before."""


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation as a session with `meta.origin`; `left_out` is how many of each noun cannot be imported."""

    session: Session
    origin: Origin
    title: str
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words."""
        return tuple(f"{pluralize(number, noun)} left out" for noun, number in self.left_out)

    @property
    def messages(self) -> int:
        """The number of messages at the source."""
        number = ((self.session.meta or {}).get("origin") or {}).get("messages")
        return number if isinstance(number, int) else 0

    @property
    def source_id(self) -> str:
        """The conversation's id at its source."""
        return self.origin[1]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not imported: its title or position, and why."""

    where: str
    why: str


def origin_of(session: Session) -> Origin | None:
    """Return the origin of an imported session, or None."""
    origin = (session.meta or {}).get("origin")
    if not isinstance(origin, dict):
        return None
    source, id = origin.get("source"), origin.get("id")
    return (source, id) if isinstance(source, str) and isinstance(id, str) else None


def skip_known(
    items: Iterable[FoundConversation | Skipped], known: Mapping[Origin, int]
) -> Iterator[FoundConversation | Skipped]:
    """Yield the items, replacing known and duplicate conversations by Skipped.

    `known` is how many messages each conversation had when it was imported. One that has more now is not known.
    """
    seen = dict(known)
    for item in items:
        if isinstance(item, FoundConversation) and seen.get(item.origin, -1) >= item.messages:
            yield Skipped(item.title, KNOWN)
            continue
        if isinstance(item, FoundConversation):
            seen[item.origin] = item.messages
        yield item
