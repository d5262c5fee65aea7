"""Format text, amounts and counts for display, with control characters escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OBEYED = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that change the direction of text
    r"\U000e0000-\U000e007f\ud800-\udfff"  # tags, lone surrogates
)
_UNSEEN = r"\t\n\xad\u200b-\u200d\u2028\u2029\u2060-\u2064\ufeff"
_IN_TEXT = re.compile(f"[{_OBEYED}]")
_IN_NAME = re.compile(f"[{_OBEYED}{_UNSEEN}]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def valid_text(text: str) -> str:
    """Return `text` as encodable Unicode: surrogate pairs are joined, lone surrogates become U+FFFD.

    Bytes that are not UTF-8 arrive as lone surrogates, from arguments, the environment and a terminal.
    """
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def valid_data(value: Any) -> Any:
    """Return JSON data with `valid_text` for all keys and texts."""
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, list):
        return [valid_data(item) for item in value]
    if isinstance(value, dict):
        return {valid_text(str(key)): valid_data(item) for key, item in value.items()}
    return value


def escape_controls(text: str) -> str:
    """Escape every character that a terminal could interpret: control, bidi, tag, lone surrogate.

    Newlines and tabs stay. The result is the same however the text is split.
    """
    return _IN_TEXT.sub(_visible, text)


def escape_name(text: str) -> str:
    """Escape a name, title or other one-line text, including newlines and invisible characters."""
    return _IN_NAME.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def format_usd(usd: float | None, *, about: bool = False) -> str:
    """Format a cost in USD, `$0.0367`; `about` marks an estimate with `~`.

    An unknown cost is `unknown`; a nonzero cost that would round to zero is `<$0.0001`.
    """
    if usd is None:
        return "unknown"
    if 0 < usd < 0.0001:
        return "<$0.0001"
    return f"{'~' if about else ''}${usd:,.4f}"


def round_usd(usd: float | None) -> float | None:
    """Round a cost for output to a billionth of a dollar, so that sums show no binary fractions."""
    return usd if usd is None else round(usd, 9)


def format_amount(usd: float) -> str:
    """Format a round amount in USD, such as a budget: `$1.00`, or `$0.0030` for fractions of a cent."""
    cents = round(usd, 2)
    return f"${cents:,.2f}" if cents >= 0.1 and abs(cents - usd) < 0.005 else format_usd(usd)


def format_age(then: float, now: float) -> str:
    """Format how long ago a time was, both in seconds since 1970: `5 min ago`, `3 h ago`, `2 d ago`, `2024-01-08`."""
    minutes = int(now - then) // 60
    if then <= 0:
        return ""
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 24 * 60:
        return f"{minutes // 60} h ago"
    if minutes < 30 * 24 * 60:
        return f"{minutes // (24 * 60)} d ago"
    from datetime import date

    try:
        return date.fromtimestamp(then).isoformat()
    except (ValueError, OverflowError, OSError):  # after year 9999
        return ""


def pluralize(number: int, noun: str) -> str:
    """Format a count: `1 turn`, `2 turns`, `2,456 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def closest_match(typed: str, names: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the name most similar to a mistyped one, None if none has at least `likeness` (0 to 1)."""
    from difflib import get_close_matches  # rarely needed, and slow to load

    return next(iter(get_close_matches(typed, list(names), 1, likeness)), None)


def quote_for_shell(text: str) -> str:
    """Quote a word for the user's shell, on one line and without control characters."""
    if escape_name(text) != text:
        return "$'" + "".join(_ansi_c(char) for char in text) + "'"
    import shlex  # rarely needed

    return shlex.quote(text)


def _ansi_c(char: str) -> str:
    """Quote a character in the $'...' syntax of bash and zsh."""
    if char in "\\'":
        return f"\\{char}"
    if escape_name(char) == char:
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def display_path(path: Path, cwd: Path) -> str:
    """Format a path for display: `./runs/x.json` below the working directory, otherwise absolute; escaped."""
    return escape_name(short_path(path, cwd))


def short_path(path: Path, cwd: Path) -> str:
    """Return a path relative to the working directory, `./runs/x.json`, if it is below it, `.` if it is that."""
    try:
        return f"./{path.relative_to(cwd)}" if path != cwd else "."
    except ValueError:
        return str(path)
