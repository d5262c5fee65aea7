"""Unwrap Markdown paragraphs, because line breaks in replies are shown as they are."""

from __future__ import annotations

import re

_OWN_LINE = re.compile(r"\s*([-*+]|\d+\.) |\||#| {4}|>")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def unwrap(text: str) -> str:
    """Join the lines of each paragraph and list item; code, tables and headings are unchanged."""
    lines: list[str] = []
    fenced = joinable = False
    for line in text.splitlines():
        fence = bool(_FENCE.match(line))
        own = fenced or fence or not line.strip() or bool(_OWN_LINE.match(line))
        if joinable and not own:
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
        fenced ^= fence
        joinable = bool(line.strip()) and not (fenced or fence or re.match(r"\s*[|#]| {4}", line))
    return "\n".join(lines)
