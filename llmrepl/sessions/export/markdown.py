"""Markdown export, in the documented format."""

from __future__ import annotations

import html
import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from llmrepl.formatting import escape_name
from llmrepl.sessions.export import facts
from llmrepl.sessions.export.line_escaper import LINE_ENDS, LineEscaper
from llmrepl.sessions.model import Session, Turn

LABELS = {"user": "👤 **User**", **{role: f"🤖 **{role.title()}**" for role in (*facts.ROLES[1:], "other")}}
"""Maps a role to the label of its messages."""

SYSTEM = "**System Prompt:**"
CONVERSATION = "## Conversation"
CLOSED = "<!-- the text ended inside the block above -->"
"""Follows a line that was added to close a block that would have swallowed the rest."""

_BLANKS = rf"[^\S{LINE_ENDS}]*"
_SPEAKER = rf"[👤🤖](?:<\w+>|[^\w{LINE_ENDS}]){{0,20}}(?i:{'|'.join((*facts.ROLES, 'other'))})"
TEXT_GUARD = LineEscaper(rf"{_BLANKS}(?:{_SPEAKER}|(?i:</?(?:details|summary)\b)|{CLOSED})")
SYSTEM_GUARD = LineEscaper(rf"{_BLANKS}(?:{CONVERSATION}|{CLOSED})")

_BLOCKS = MarkdownIt("commonmark").disable(["inline", "text_join"])
_LINE_END = re.compile(r"\r\n?|\n")
_FENCE = re.compile(r" {0,3}(?:`{3}|~{3})")
_RAW_TAG = re.compile(r"<(script|pre|style|textarea)(?=\s|>|$)", re.IGNORECASE)
_END_OF_RAW = re.compile(r"</(script|pre|style|textarea)>", re.IGNORECASE)
_ENDS = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>", "<!": ">"}


def render(session: Session, _options: facts.ExportOptions) -> str:
    """Render the session as Markdown, readable by `llmrepl.sessions.importing.transcript.read_markdown`."""
    lines = ["# Chat Session", ""]
    lines += [f"**Model:** {escape_name(session.model)}", f"**Created:** {facts.created_at(session)}"]
    if session.system:
        lines.append(_labeled_text(SYSTEM, SYSTEM_GUARD.escape(facts.printable(session.system))))
    lines += ["", CONVERSATION, ""]
    for number, turn in enumerate(session.turns, 1):
        for message in turn.messages:
            text = TEXT_GUARD.escape(facts.printable(message.text))
            lines += [_labeled_text(f"{LABELS[facts.role(message)]}:", text), ""]
        lines += _statistics(number, turn, session.model)
    return "\n".join(lines)


def _statistics(number: int, turn: Turn, model: str) -> list[str]:
    figures, marks = facts.figures(turn), facts.marks(turn, model)
    if figures is None and not marks:
        return []
    mark = html.escape(f" ({', '.join(marks)})", quote=False) if marks else ""
    lines = ["<details>", f"<summary>Turn {number} Statistics{mark}</summary>", ""]
    if figures:
        lines += [f"- **Tokens:** {figures.tokens}", f"- **Cost:** {figures.cost}"]
        lines += [f"- **Latency:** {figures.time}", ""]
    return [*lines, "</details>", ""]


def _labeled_text(label: str, text: str) -> str:
    """Format a labeled text so that it cannot affect what follows.

    A fence at its start is moved to a line of its own, since it would not be one elsewhere. A fence or raw HTML block
    still open at its end would include everything that follows
    (https://spec.commonmark.org/0.31.2/#fenced-code-blocks), so it is closed and marked with CLOSED.
    """
    labeled = f"{label}\n\n{text}" if _FENCE.match(text) else f"{label} {text}"
    tokens = _BLOCKS.parse(labeled)
    end = _end_of_open_block(labeled, tokens[-1]) if tokens else None
    return labeled if end is None else f"{labeled}\n{end}\n{CLOSED}"


def _end_of_open_block(text: str, last: Token) -> str | None:
    if last.type == "fence" and last.map:
        start, end = last.map
        fence = rf" {{0,3}}{re.escape(last.markup[0])}{{{len(last.markup)},}}[ \t]*"
        closed = end - 1 > start and re.fullmatch(fence, _LINE_END.split(text)[end - 1])
        return None if closed else last.markup
    block = last.content.lstrip()
    if last.type != "html_block":
        return None
    if tag := _RAW_TAG.match(block):
        return None if _END_OF_RAW.search(block) else f"</{tag[1].lower()}>"
    until = next((end for start, end in _ENDS.items() if block.startswith(start)), None)
    return None if until is None or until in block else until
