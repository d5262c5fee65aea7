"""A list to pick from: typing filters it, arrows move, and a preview shows the selection."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.output import Output
from prompt_toolkit.utils import get_cwidth

from llmrepl.commands.results import PickItem
from llmrepl.formatting import escape_controls, escape_name
from llmrepl.prompt.display.cells import cut, pad, shorten

ROWS = 10
PREVIEW_ROWS = 6
KEYS = "↑ ↓ move · Enter selects · Esc leaves"
_MEASURED = 1000
"""Choices whose width is measured for the columns."""


class Picker:
    """The state of the list: all choices, the matching ones, and the selection."""

    def __init__(self, choices: Sequence[PickItem]) -> None:
        self._all = choices
        self.found = list(choices)
        self.selected = 0
        self._widths = _column_widths(self.found[:_MEASURED])

    def narrow(self, typed: str) -> None:
        """Keep the choices whose name or details contain every word of `typed`."""
        words = typed.casefold().split()
        self.found = [c for c in self._all if all(word in " ".join((c.name, *c.details)).casefold() for word in words)]
        self.selected = 0
        self._widths = _column_widths(self.found[:_MEASURED])

    def move(self, by: int) -> None:
        """Move the selection by `by` rows, stopping at the ends."""
        self.selected = max(0, min(len(self.found) - 1, self.selected + by))

    @property
    def choice(self) -> PickItem | None:
        """The selected item, or None."""
        return self.found[self.selected] if self.found else None

    def rows(self, height: int = ROWS, width: int = 80) -> StyleAndTextTuples:
        """Return `height` rows of the list around the selection, `width` cells at most."""
        if not self.found:
            return [("", "  nothing fits\n")]
        first = max(0, min(self.selected - height // 2, len(self.found) - height))
        lines: StyleAndTextTuples = []
        named = min(self._widths[0], max(16, width // 2))
        for number, choice in enumerate(self.found[first : first + height], first):
            here = number == self.selected
            name = pad(shorten(_name(choice), named), named)
            details = "  ".join(
                pad(escape_name(text), size) for text, size in zip(choice.details, self._widths[1:], strict=True)
            )
            row = cut(f"{'>' if here else ' '} {name}  {details}".rstrip(), width - 1)
            lines.append(("reverse" if here else "", row[: len(name) + 2]))
            lines.append(("", row[len(name) + 2 :] + "\n"))
        return lines

    def status(self, width: int = 80) -> StyleAndTextTuples:
        """Return the line with the number of choices and the keys."""
        count = f"{min(self.selected + 1, len(self.found)):,} of {len(self.found):,}"
        return [("class:auto-suggestion", cut(f"{count} · {KEYS}", width - 1))]

    def preview(self) -> StyleAndTextTuples:
        """Return the beginning of the selected item."""
        if self.choice is None:
            return []
        lines = escape_controls(self.choice.preview()).splitlines()[:PREVIEW_ROWS]
        return [("class:auto-suggestion", "\n".join(lines))]


def _name(choice: PickItem) -> str:
    return ("★ " if choice.starred else "") + escape_name(choice.name)


def _column_widths(choices: Sequence[PickItem]) -> list[int]:
    """Return the cells of the name and of each detail."""
    rows = [(_name(choice), *map(escape_name, choice.details)) for choice in choices]
    return [max(map(get_cwidth, column)) for column in zip(*rows, strict=True)]


def split_height(screen: int) -> tuple[int, int]:
    """Return the rows of the list and of the preview on a screen with `screen` rows, besides search and status."""
    rows = max(3, screen) - 2
    listed = min(ROWS, rows, max(3, rows - PREVIEW_ROWS))
    return listed, min(PREVIEW_ROWS, rows - listed)


def pick(choices: Sequence[PickItem], *, input: Input | None = None, screen: Output | None = None) -> str | None:
    """Let the user pick one of `choices`; return its name, or None after Esc or Ctrl-C."""
    picker = Picker(choices)
    typed = Buffer(multiline=False, on_text_changed=lambda buffer: picker.narrow(buffer.text))

    def available_rows() -> tuple[int, int]:
        return split_height(app.output.get_size().rows)

    def columns() -> int:
        return app.output.get_size().columns

    def listed() -> StyleAndTextTuples:
        return picker.rows(available_rows()[0], columns())

    layout = Layout(
        HSplit(
            [
                Window(BufferControl(typed), height=1, get_line_prefix=lambda *_: [("bold", "Search: ")]),
                Window(
                    FormattedTextControl(listed), height=lambda: min(available_rows()[0], max(1, len(picker.found)))
                ),
                Window(FormattedTextControl(lambda: picker.status(columns())), height=1),
                Window(FormattedTextControl(picker.preview), height=lambda: available_rows()[1], wrap_lines=True),
            ]
        )
    )
    app: Application[str | None] = Application(
        layout=layout, key_bindings=_keys(picker), erase_when_done=True, input=input, output=screen
    )
    app.ttimeoutlen = 0.05
    return app.run()


def _keys(picker: Picker) -> KeyBindings:
    keys = KeyBindings()
    for key, by in (("up", -1), ("c-p", -1), ("down", 1), ("c-n", 1), ("pageup", -ROWS), ("pagedown", ROWS)):

        @keys.add(key)
        def _move(event: KeyPressEvent, by: int = by) -> None:
            picker.move(by)

    @keys.add("enter")
    def _take(event: KeyPressEvent) -> None:
        if picker.choice:
            event.app.exit(result=picker.choice.name)

    @keys.add("escape", eager=True)
    @keys.add("c-c")
    @keys.add("c-d")
    def _leave(event: KeyPressEvent) -> None:
        event.app.exit(result=None)

    return keys
