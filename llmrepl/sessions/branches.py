"""The branches of a session that begin with the answers of several models to one prompt. Pure."""

from __future__ import annotations

from typing import Any

from llmrepl.sessions.model import ERROR, Session, Turn
from llmrepl.sessions.turn_ids import ROOT


def main_line_after(session: Session, id: str) -> list[int]:
    """Return the numbers of the turns after the turn `id` that are no asides and on no branch."""
    identified = session.identified(len(session.turns))
    lost = 0 if id == ROOT else len(session.turns)
    start = next((number for number, (key, _) in enumerate(identified, 1) if key == id), lost)
    later = range(start + 1, len(session.turns) + 1)
    return [number for number in later if not session.turns[number - 1].is_off_line]


def last_comparison(session: Session) -> list[int]:
    """Return the numbers of the answers of the last comparison, in the order of asking."""
    turns = [(turn.created_at or "", number, turn) for number, turn in enumerate(session.turns, 1) if turn.comparison]
    last = turns[-1][2].comparison if turns else None
    return [number for _, number, turn in sorted(turns, key=lambda one: one[:2]) if turn.comparison == last]


def awaits_pick(session: Session) -> bool:
    """Whether the last turn is an answer of a comparison of which none is picked."""
    if not session.turns or not session.turns[-1].comparison:
        return False
    return all(session.turns[number - 1].branch is True for number in last_comparison(session))


def changes_to_pick(session: Session, number: int, now: str) -> dict[int, dict[str, Any]]:
    """Return the fields to change, by turn, so that the conversation goes on with turn `number` and what followed it.

    `now` is local time. Nothing is to be changed for a turn that is part of the conversation.
    """
    turn = session.turns[number - 1]
    if turn.branch is not True:
        return {number: {"undone": None, "picked_at": now}} if turn.undone else {}
    line = _line_from(session, number)
    others = main_line_after(session, session.parent_id(number))
    changes: dict[int, dict[str, Any]] = {other: {"branch": True} for other in others if other not in line}
    changes |= {one: {"branch": None} for one in line}
    return {**changes, number: {"branch": None, "undone": None, "picked_at": now}}


def _line_from(session: Session, number: int) -> list[int]:
    """Return turn `number` and those that the conversation went on with after it, the newest where it branches."""
    identified = session.identified(len(session.turns))
    numbers = {key: n for n, (key, _) in enumerate(identified, 1)}
    newest: dict[int, str] = {}
    following: dict[int, int] = {}
    for n in range(len(session.turns), 0, -1):  # a turn stands after the one that it follows
        newest[n] = max(newest.get(n, ""), _said_at(session.turns[n - 1]))
        parent = numbers.get(identified[n - 1][1], 0)
        if newest[n] and newest[n] > newest.get(parent, ""):
            newest[parent], following[parent] = newest[n], n
    line = [number]
    while (after := following.get(line[-1], 0)) > line[-1]:
        line.append(after)
    return line


def _said_at(turn: Turn) -> str:
    """The date of a turn that the conversation can go on from; empty for any other."""
    if turn.is_aside or turn.finish_reason == ERROR or (turn.comparison and not turn.picked_at):
        return ""
    return max(turn.created_at or "", str(turn.picked_at or ""))
