"""Filters, orders and texts as the index's SQL has them."""

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
"""The orders of query.SORTS in SQL."""


def sql_conditions(filters: Filters) -> tuple[str, list[Any]]:
    """What of the filters SQL can say exactly; the rest is left to Filters.match."""
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
    """A text as FTS5 looks for it as it stands."""
    return '"' + text.replace('"', '""') + '"'


def near_query(text: str) -> str:
    """What FTS5 asks for a text of at least four characters by every third of its trigrams: that they stand within its
    length. That leaves out two thirds of the work that the text itself would be, and hardly lets another one through.
    """
    last = len(text) - 3
    parts = (text[at : at + 3] for at in (*range(0, last, 3), last))
    return f"NEAR({' '.join(map(quote, parts))}, {last - 1})"


def to_bytes(text: str) -> bytes:
    """A text as SQLite can hold and compare it: in the order of Python's, halves of surrogate pairs among it."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The text that `to_bytes` made bytes of."""
    return data.decode("utf-8", "surrogatepass")
