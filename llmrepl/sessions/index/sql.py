"""Filters, sort orders and full-text queries as SQL."""

from __future__ import annotations

from typing import Any

from llmrepl.sessions.index.query import Filters

ORDERS = {
    "date": "epoch DESC, name",
    "name": "name",
    "model": "model, name",
    "turns": "turns DESC, name",
    "tokens": "tokens DESC, name",
    "cost": "cost DESC, name",
}
"""`ORDER BY` clauses of query.SORTS."""


def sql_conditions(filters: Filters) -> tuple[str, list[Any]]:
    """Translate the filters that SQL can express exactly; Filters.match checks the rest."""
    wanted = {
        "instr(model, ?)": None if filters.model is None else to_bytes(filters.model),
        "epoch >= ?": filters.since,
        "epoch < ?": filters.until,
        "turns >= ?": filters.min_turns,
        "turns <= ?": filters.max_turns,
        "cost >= ?": filters.min_cost,
        "cost <= ?": filters.max_cost,
    }
    given = {condition: value for condition, value in wanted.items() if value is not None}
    return "".join(f" AND {condition}" for condition in given), list(given.values())


def quote(text: str) -> str:
    """Quote a text for FTS5."""
    return '"' + text.replace('"', '""') + '"'


def near_query(text: str) -> str:
    """Build an FTS5 query for every third trigram of a text, within its length. `text` has at least four characters.

    A third of the work of the exact phrase, with few false positives.
    """
    last = len(text) - 3
    parts = (text[at : at + 3] for at in (*range(0, last, 3), last))
    return f"NEAR({' '.join(map(quote, parts))}, {last - 1})"


def to_bytes(text: str) -> bytes:
    """Encode a text for SQLite, lone surrogates included; the bytes sort like the text."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Decode what `to_bytes` encoded."""
    return data.decode("utf-8", "surrogatepass")
