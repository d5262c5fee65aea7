"""The end of a conversation that was loaded, so that the user sees where it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrepl.formatting import escape_controls
from llmrepl.prompt.display.cells import cut, wrap

if TYPE_CHECKING:
    from llmrepl.sessions.model import Session

MOST_ROWS = 6


def recap(session: Session, width: int) -> list[str]:
    """Return the last exchange in rows of at most `width` cells: the question in one, the reply's end in at most six.

    A last line says how to see the rest.
    """
    shown = [turn for turn in session.turns if turn.in_context] or session.turns
    question = " ".join(escape_controls(shown[-1].text_of("user")[: width * 2]).split())
    rows = [cut(f"> {question}", width), *_last_rows(shown[-1].text_of("assistant"), width)]
    turns = len(session.turns)
    return [*rows, ":history shows " + (f"all {turns:,} turns" if turns > 1 else "it in full")]


def _last_rows(text: str, width: int) -> list[str]:
    """Wrap the end of a text; an ellipsis marks that something is left out before it."""
    end = text.rstrip()[-width * (MOST_ROWS + 2) :]
    rows: list[str] = []
    for line in escape_controls(end).expandtabs(4).split("\n"):
        rows += wrap(line.rstrip(), width) if line.strip() else []
    if len(rows) > MOST_ROWS or len(end) < len(text.strip()):
        rows = rows[-MOST_ROWS:]
        rows[0] = cut(f"… {rows[0].lstrip()}", width)
    return rows
