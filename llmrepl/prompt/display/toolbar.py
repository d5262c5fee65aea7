"""The bottom line: model, session, context used, cost and budget. It only reads and opens nothing."""

from __future__ import annotations

import re

from prompt_toolkit.utils import get_cwidth

from llmrepl.chat.workspace import Workspace
from llmrepl.formatting import escape_name, format_usd, pluralize
from llmrepl.prompt.display.cells import shorten

_AUTOMATIC = re.compile(r"session_\d{8}_(\d\d)(\d\d)\d\d(-\d+)?")
_SHORTEST = 8
"""Cells that a shortened name keeps."""


def toolbar(workspace: Workspace, context_fraction: float | None = None, width: int = 80) -> str:
    """Return the bottom line in `width` cells.

    `context_fraction` is the used part of the context window (1.0 is full), None if unknown. Where it is narrow, the
    turns go first, then the name, the context and the model are shortened or go; money stays.
    """
    open_session = workspace.chat.current
    model = escape_name(workspace.chat.model)
    if not open_session or not open_session.session.turns:
        state = "new session" if workspace.chat.saving else "nothing is saved"
        return _fit([model, "", "", "", state], width - 1)
    session = open_session.session
    budget = workspace.session_budget()
    money = format_usd(session.cost) + (" + unpriced" if session.unpriced else "")
    money += "" if budget is None else f" of {format_usd(budget)}"
    money += " · NOT SAVED" if open_session.unsaved else ""
    context = "" if context_fraction is None else f"{context_fraction:.0%} of context"
    name = escape_name(open_session.name.removesuffix(".json"))
    return _fit([model, name, pluralize(len(session.turns), "turn"), context, money], width - 1)


def _fit(parts: list[str], width: int) -> str:
    """Join model, name, turns, context and money, without what does not fit."""
    model, name, turns, context, money = parts

    def joined(model: str, name: str = "", turns: str = "", context: str = "") -> str:
        return " · ".join(part for part in (model, name, turns, context, money) if part)

    def left(rest: str) -> int:
        return width - get_cwidth(rest) - 3

    short = _time_of(name)
    base = joined(model, context=context)
    cut = model.rpartition("/")[2]
    for line in (
        joined(model, name, turns, context),
        joined(model, short, turns, context),
        joined(model, short, context=context),
        joined(model, shorten(short, left(base)), context=context) if short and left(base) >= _SHORTEST else base,
        base,
        joined(model),
        joined(shorten(model, left(money))) if left(money) >= get_cwidth(cut) else joined(cut),
        joined(shorten(cut, left(money))) if left(money) >= _SHORTEST else money,
    ):
        if get_cwidth(line) <= width:
            return f" {line}"
    return f" {money}"


def _time_of(name: str) -> str:
    """Return the time of an automatic name, and any other name as it is."""
    found = _AUTOMATIC.fullmatch(name)
    return f"{found[1]}:{found[2]}{found[3] or ''}" if found else name
