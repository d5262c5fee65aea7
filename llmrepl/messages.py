"""Words and figures as they are shown to a person: harmless text, money, counts."""

from __future__ import annotations

from pathlib import Path

_HIDDEN = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)]
_CONTROL = [n for n in (*range(0x20), *range(0x7F, 0xA0)) if n not in (0x09, 0x0A)]
_INVISIBLE = [0x00AD, *range(0x200B, 0x200E), *range(0x2060, 0x2065), 0x2028, 0x2029, 0xFEFF]


def _visible(code: int) -> str:
    return chr(code).encode("unicode_escape").decode("ascii")


_TEXT = {code: _visible(code) for code in [*_CONTROL, *_HIDDEN, *range(0xD800, 0xE000)]}
_NAME = _TEXT | {code: _visible(code) for code in [0x09, 0x0A, *_INVISIBLE]}


def safe(text: str) -> str:
    """`text` with every character that a terminal could obey (control, bidi, tag, lone surrogate) made visible.

    Line ends and tabs stay; the work is per character, so text cut anywhere comes out the same.
    """
    return text.translate(_TEXT)


def safe_name(text: str) -> str:
    """A name, title or other one-line text made harmless: line ends and invisible characters are made visible too."""
    return text.translate(_NAME)


def money(usd: float | None, *, about: bool = False) -> str:
    """An amount in USD as the guide shows it, `$0.0367`; unknown is `unknown`; `about` marks an estimate with `~`."""
    if usd is None:
        return "unknown"
    return f"{'~' if about else ''}${usd:,.4f}"


def count(number: int, noun: str) -> str:
    """`1 turn`, `2 turns`, `2,456 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shown_path(path: Path, cwd: Path) -> str:
    """A path as it is shown: `./runs/x.json` below the working directory, else absolute; harmless."""
    try:
        return safe_name(f"./{path.relative_to(cwd)}")
    except ValueError:
        return safe_name(str(path))
