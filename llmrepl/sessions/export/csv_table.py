"""CSV with one row per message; a turn's figures are on its last row, so that columns add up.

Text cells are escaped (see csv_safe.py) unless `raw_csv` is set.
"""

from __future__ import annotations

import csv
import io

from llmrepl.formatting import round_usd
from llmrepl.sessions.export import facts
from llmrepl.sessions.export.csv_safe import escape_cell
from llmrepl.sessions.model import MessageRecord, Session, Turn

COLUMNS = (
    "turn",
    "role",
    "content",
    "created_at",
    "model",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cost_usd",
    "latency_ms",
    "status",
)

Cell = str | int | float


def render(session: Session, options: facts.ExportOptions) -> str:
    """Render the session as CSV: lines end with a line feed, text is quoted, unknown figures are empty."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, turn in enumerate(session.turns, 1):
        model = turn.answered_by or session.model
        messages = turn.messages or [MessageRecord(role="")]
        for message in messages:
            last = message is messages[-1]
            figures = _figures(turn) if last else [""] * 5
            row: list[Cell] = [number, message.role, message.text, turn.created_at or "", model]
            cells = [*row, *figures, ", ".join(facts.marks(turn, session.model)) if last else ""]
            writer.writerow([_cell(value, options.raw_csv) for value in cells])
    return out.getvalue()


def _figures(turn: Turn) -> list[Cell]:
    usage = turn.usage
    counts = (usage.prompt_tokens, usage.completion_tokens, facts.total_tokens(turn)) if usage else (None,) * 3
    return ["" if value is None else value for value in (*counts, round_usd(turn.cost_estimate), turn.latency_ms)]


def _cell(value: Cell, raw: bool) -> Cell:
    if not isinstance(value, str):
        return value
    return value.replace("\0", "") if raw else escape_cell(value)
