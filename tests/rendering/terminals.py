"""A terminal to draw on: its screen afterwards, and the changes to its rows."""

from __future__ import annotations

import io
import re
from random import Random

import pyte
from pyte.screens import Char
from rich.console import Console

from llmrepl.rendering.reply_view import ReplyView
from tests.emulator import Emulator

CODES = re.compile(r"\x1b\[[\d;]*m")
STEPS = re.compile(r"\x1b\[(\d+)A|\x1b\[J|\r|\n")


def console(width: int, height: int = 24, **environ: str) -> Console:
    """Return a color console of this size."""
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system="standard", _environ=environ
    )


def written(out: Console) -> str:
    """Return everything written to a console."""
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def screen(output: str, width: int, height: int = 24) -> list[list[Char]]:
    """Return the cells of every row including the scrollback, without blank rows at the end."""
    shown = Emulator(width, height, history=1_000_000, ratio=0.5)
    shown.set_mode(pyte.modes.LNM)
    pyte.Stream(shown).feed(output)
    rows = [*shown.history.top, *(shown.buffer[y] for y in range(height))]
    cells = [[row[x] for x in range(width)] for row in rows]
    while cells and all(cell.data == " " for cell in cells[-1]):
        cells.pop()
    return cells


def lines(cells: list[list[Char]]) -> list[str]:
    """Convert rows of cells to text."""
    return ["".join(cell.data for cell in row).rstrip() for row in cells]


def cut(text: str, random: Random) -> list[str]:
    """Split a text as a model streams it."""
    pieces = []
    while text:
        size = random.choice((1, 2, 3, 5, 8, 30))
        pieces.append(text[:size])
        text = text[size:]
    return pieces


class Rows:
    """The logical rows of a terminal, updated by its output. `touched` is the highest changed row."""

    def __init__(self, height: int) -> None:
        self.rows = [""]
        self.touched = 0
        self._height = height

    def take(self, output: str) -> None:
        """Apply an update, which may only move up, clear below, and add text."""
        self.touched = len(self.rows) - 1
        at = 0
        for step in STEPS.finditer(output):
            self._add(output[at : step.start()])
            at = step.end()
            if step[0] == "\n":
                self.rows.append("")
            elif step[0] == "\x1b[J":
                assert self.rows[-1] == ""
            elif step[0] == "\r":
                self.rows[-1] = ""
            else:
                assert int(step[1]) < self._height, "what has scrolled away cannot be reached"
                del self.rows[len(self.rows) - int(step[1]) :]
                self.touched = min(self.touched, len(self.rows) - 1)
        self._add(output[at:])

    def narrow(self, width: int) -> None:
        """Wrap rows that are too wide, as many terminals do when they shrink."""
        plain = [CODES.sub("", row) for row in self.rows]
        self.rows = [row[at : at + width] for row in plain for at in range(0, max(len(row), 1), width)]

    def _add(self, text: str) -> None:
        assert "\x1b" not in CODES.sub("", text)
        self.rows[-1] += text


def streamed(pieces: list[str], out: Console) -> str:
    """Return the output of a streamed reply on a terminal fast enough to show each piece."""
    view = ReplyView(out, clock=lambda: 0.0)
    for piece in pieces:
        view.text(piece)
    view.finish()
    return written(out)
