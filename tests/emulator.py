"""A pyte screen, corrected where pyte differs from real terminals."""

from __future__ import annotations

from itertools import groupby
from unicodedata import combining, normalize

import pyte
from wcwidth import wcwidth


class Emulator(pyte.HistoryScreen):
    """A screen with scrollback."""

    def draw(self, data: str) -> None:
        """Draw text. A combining mark belongs to the last cell of a full row, and at the start of a row to
        none; pyte begins a new row for the one, and puts the other on the row above."""
        if data.isascii():
            super().draw(data)
            return
        for marks, group in groupby(data, lambda character: wcwidth(character) == 0):
            text = "".join(group)
            if marks and self.cursor.x == self.columns:
                self._mark(text)
            elif not marks or self.cursor.x:
                super().draw(text)

    def select_graphic_rendition(self, *attrs: int) -> None:
        """Set colors and weight. pyte knows no dim text; nothing here blinks, so that attribute says it."""
        known = [one for attr in attrs for one in {2: (5,), 22: (22, 25)}.get(attr, (attr,))]
        super().select_graphic_rendition(*known)

    def _mark(self, text: str) -> None:
        row = self.buffer[self.cursor.y]
        cell = row[self.columns - 1]
        marked = normalize("NFC", cell.data + "".join(filter(combining, text)))
        row[self.columns - 1] = cell._replace(data=marked)
