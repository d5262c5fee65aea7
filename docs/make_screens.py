"""Makes the pictures in docs/screens from the running program: `python docs/make_screens.py`."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal

SCREENS = Path(__file__).resolve().parent / "screens"
COLUMNS = 92
CELL, LINE = 8.4, 18
"""Width of a cell and height of a line in pixels."""

MOMENTS = (
    (re.compile(r"\d{8}_\d{6}"), "20261125_051932"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "2026-11-25 05:19"),
    (re.compile(r"\b\d\.\d s\b"), "0.2 s"),
)
"""Times, and what stands for them, so that a picture changes only if the program does."""

TYPED: Mapping[str, Sequence[str]] = {
    "chat": (
        "how do I export a session to markdown?",
        ":save notes",
        ":sessions list",
    ),
    "resume": (":load notes", ":cost"),
}
"""What is typed for each picture, one after the other in the same directory."""


@dataclass(frozen=True)
class Theme:
    """Colors of a terminal: background, text, dim text, and those of the palette by name."""

    background: str
    text: str
    dim: str
    palette: Mapping[str, str]


THEMES = {
    "dark": Theme("#16181d", "#d8dbe2", "#8b919d", {"cyan": "#5cc8d7", "red": "#f0716b", "magenta": "#d08ae0"}),
    "light": Theme("#fbfbfa", "#24272e", "#757a84", {"cyan": "#0a7a8c", "red": "#c4302b", "magenta": "#8e3aa0"}),
}


def make_all() -> dict[str, str]:
    """Run the program and draw each picture in each theme; return the SVG by file name."""
    made = {}
    with tempfile.TemporaryDirectory() as place:
        cli = CliRunner.at(Path(place))
        for name, typed in TYPED.items():
            rows = _screen(cli, typed)
            for theme, colors in THEMES.items():
                made[f"{name}-{theme}.svg"] = draw(rows, colors)
    return made


Cells = list[tuple[str, str, bool, bool]]
"""Runs of a row: text, color, whether it is bold, whether it is dim."""


def _screen(cli: CliRunner, typed: Sequence[str]) -> list[Cells]:
    environ = cli.environ | {"TERM": "xterm-256color"}
    with Terminal(LLM, cwd=cli.cwd, environ=environ, rows=40, columns=COLUMNS) as terminal:
        for number, line in enumerate([*typed, ""], 1):
            terminal.wait_until(lambda screen, number=number: screen.count("You:") >= number, line)  # type: ignore[misc]
            terminal.read(0.4)
            terminal.send(f"{line}\r" if line else "")
        terminal.wait_for("offline/guide · notes · 1 turn")
        terminal.read(0.4)
        rows = terminal.styled()
        terminal.send("\x04")
        terminal.ends()
    empty = [number for number, row in enumerate(rows) if not any(text.strip() for text, *_ in row)]
    gap = [number for number in empty if number + 1 in empty]  # above the bottom line
    return [row for number, row in enumerate(rows) if number not in gap]


def draw(rows: Sequence[Cells], theme: Theme) -> str:
    """Draw the rows of a terminal as SVG."""
    width, height = round(COLUMNS * CELL) + 32, len(rows) * LINE + 32
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="14" '
        "font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">",
        f'<rect width="100%" height="100%" rx="8" fill="{theme.background}"/>',
    ]
    for number, row in enumerate(rows):
        at = 0
        for text, color, bold, dim in row:
            if shown := text.strip():
                fill = theme.dim if dim else theme.palette.get(color, theme.text)
                weight = ' font-weight="bold"' if bold else ""
                x, y = 16 + (at + len(text) - len(text.lstrip())) * CELL, 16 + number * LINE + 14
                size = f'textLength="{_cells(shown) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
                style = f'fill="{fill}"{weight} {size} xml:space="preserve"'
                shown = reduce(lambda text, moment: moment[0].sub(moment[1], text), MOMENTS, shown)
                lines.append(f'<text x="{x:.1f}" y="{y}" {style}>{escape(shown)}</text>')
            at += _cells(text)
    return "\n".join([*lines, "</svg>", ""])


def _cells(text: str) -> int:
    from wcwidth import wcswidth

    return max(0, wcswidth(text))


def main() -> None:
    """Write the pictures."""
    SCREENS.mkdir(exist_ok=True)
    for name, svg in make_all().items():
        (SCREENS / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
