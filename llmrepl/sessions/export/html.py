"""HTML export: one self-contained page without scripts or external resources."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from llmrepl.formatting import escape_name, format_usd, pluralize
from llmrepl.sessions.export import facts
from llmrepl.sessions.export.html_style import stylesheet
from llmrepl.sessions.export.html_text import render_markdown
from llmrepl.sessions.model import ERROR, MessageRecord, Session, Turn

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content Security Policy of the page: only its own inline style."""


def render(session: Session, options: facts.ExportOptions) -> str:
    """Render the session as one page, replies as Markdown and prompts as plain text."""
    title = _one_line(session.title or options.name or "Session")
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title>",
        f"<style>{stylesheet()}</style>",
        "</head>",
        "<body>",
        *_header(session, title, options.name),
        "<main>",
        *(line for number, turn in enumerate(session.turns, 1) for line in _turn(number, turn, session.model)),
        "</main>",
        *_table(session),
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts)


def _one_line(text: str) -> str:
    return escape(escape_name(text))


def _block(text: str) -> str:
    return escape(facts.printable(text))


def _header(session: Session, title: str, name: str) -> Iterator[str]:
    rows = [
        ("Session", name),
        ("Model", session.model),
        ("Created", facts.created_at(session).replace("T", " ")[:19]),
        ("Turns", f"{len(session.turns):,}"),
        ("Tokens", _total_tokens(session)),
        ("Cost", _total_cost(session)),
        ("Tags", ", ".join(session.tags)),
    ]
    yield f'<header>\n<h1 dir="auto">{title}</h1>\n<dl>'
    for term, value in rows:
        if value:
            yield f"<dt>{term}</dt><dd>{_one_line(value)}</dd>"
    yield "</dl>"
    if session.system:
        yield '<details class="system"><summary>System prompt</summary>'
        yield f'<div class="plain" dir="auto">{_block(session.system)}</div></details>'
    yield "</header>"


def _totals(session: Session) -> tuple[int | None, int | None, int | None]:
    """Return prompt, completion and total tokens of the session; None for all if no turn has usage."""
    totals = session.usage_totals
    if totals is None or not any(turn.usage for turn in session.turns):
        return None, None, None
    return totals.prompt_tokens, totals.completion_tokens, totals.total_tokens


def _total_tokens(session: Session) -> str:
    prompt, completion, total = map(_count, _totals(session))
    return total if facts.UNKNOWN in (prompt, completion) else f"{total} (prompt: {prompt}, completion: {completion})"


def _total_cost(session: Session) -> str:
    if all(turn.cost_estimate is None for turn in session.turns):
        return facts.UNKNOWN
    more = f" + {pluralize(session.unpriced, 'turn')} unpriced" if session.unpriced else ""
    return f"{format_usd(session.cost)}{more}"


def _turn(number: int, turn: Turn, model: str) -> Iterator[str]:
    is_out = turn.undone or turn.is_aside or turn.branch is True
    yield f'<section class="turn{" undone" if is_out else ""}" id="turn-{number}">'
    for message in turn.messages:
        yield from _message(message)
    words = [f"Turn {number}"]
    if turn.usage:
        tokens = facts.total_tokens(turn)
        words += ["tokens unknown" if tokens is None else pluralize(tokens, "token"), _cost(turn)]
        words += [_seconds(turn)] if turn.latency_ms is not None else []
    marks = "".join(f' · <span class="mark">{escape(mark)}</span>' for mark in facts.marks(turn, model))
    yield f'<p class="figures">{escape(" · ".join(words))}{marks}</p>\n</section>'


def _cost(turn: Turn) -> str:
    """Format the cost of a turn, labeled if the amount alone would be unclear."""
    return f"cost {facts.cost(turn)}" if turn.cost_estimate is None else facts.cost(turn)


def _seconds(turn: Turn) -> str:
    return "" if turn.latency_ms is None else f"{turn.latency_ms / 1000:.2f} s"


def _message(message: MessageRecord) -> Iterator[str]:
    role = facts.role(message)
    yield f'<article class="message {role}">\n<h2>{role.title()}</h2>'
    if role == "assistant":
        yield f'<div class="reply" dir="auto">{render_markdown(message.text)}</div>'
    else:
        yield f'<div class="plain" dir="auto">{_block(message.text)}</div>'
    yield "</article>"


def _table(session: Session) -> Iterator[str]:
    if not session.turns:
        return
    yield '<section class="turns">\n<h2>Turns</h2>\n<div class="wide"><table>'
    heads = ("Turn", "Prompt", "Completion", "Total", "Cost", "Time")
    yield "<thead><tr>" + "".join(f'<th class="number">{head}</th>' for head in heads) + "</tr></thead>\n<tbody>"
    for number, turn in enumerate(session.turns, 1):
        usage = turn.usage
        if turn.finish_reason == ERROR and usage is None:
            yield _row(str(number), "", "", "", "", "")
            continue
        yield _row(
            str(number),
            _count(usage.prompt_tokens if usage else None),
            _count(usage.completion_tokens if usage else None),
            _count(facts.total_tokens(turn)),
            facts.cost(turn),
            _seconds(turn),
        )
    yield "</tbody>"
    yield f"<tfoot>{_row('All', *map(_count, _totals(session)), _total_cost(session), '')}</tfoot>"
    yield "</table></div>\n</section>"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells) + "</tr>"


def _count(number: int | None) -> str:
    return facts.UNKNOWN if number is None else f"{number:,}"
