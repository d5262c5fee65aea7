"""Text fitted to a width in cells, without rich, which is slow to load."""

from __future__ import annotations

from prompt_toolkit.utils import get_cwidth

ELLIPSIS = "…"


def cut(line: str, width: int) -> str:
    """Cut a line to `width` cells; an ellipsis marks what is gone."""
    return line if get_cwidth(line) <= width else line[: fitting(line, width - 1)].rstrip() + ELLIPSIS


def shorten(text: str, width: int) -> str:
    """Shorten a text to `width` cells with an ellipsis in its middle."""
    if get_cwidth(text) <= width:
        return text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while head and get_cwidth(f"{head}{ELLIPSIS}{tail}") > width:
        if get_cwidth(head) > get_cwidth(tail):
            head = head[:-1]
        else:
            tail = tail[1:]
    return f"{head}{ELLIPSIS}{tail}"


def pad(text: str, width: int) -> str:
    """Fill a text with spaces to `width` cells."""
    return text + " " * (width - get_cwidth(text))


def wrap(line: str, width: int) -> list[str]:
    """Break a line into rows of at most `width` cells, between words if there are any."""
    rows = []
    while get_cwidth(line) > width:
        length = fitting(line, width)
        at = line.rfind(" ", 1, length + 1)
        at = at if at > 0 and line[:at].strip() else length
        rows.append(line[:at].rstrip())
        line = line[at:].lstrip()
    return [*rows, line]


def fitting(line: str, width: int) -> int:
    """Return how many characters fit into `width` cells, at least one."""
    used = 0
    for number, character in enumerate(line):
        used += get_cwidth(character)
        if used > width:
            return max(1, number)
    return len(line)
