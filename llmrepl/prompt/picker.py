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

from llmrepl.commands.results import PickItem
from llmrepl.formatting import escape_controls, escape_name

ROWS = 10
PREVIEW_ROWS = 6


class Picker:
    """The state of the list: all choices, the matching ones, and the selection."""

    def __init__(self, choices: Sequence[PickItem]) -> None:
        self._all = choices
        self.found = list(choices)
        self.selected = 0

    def narrow(self, typed: str) -> None:
        """Keep the choices whose name or hint contains every word of `typed`."""
        words = typed.casefold().split()
        self.found = [c for c in self._all if all(word in f"{c.name} {c.hint}".casefold() for word in words)]
        self.selected = 0

    def move(self, by: int) -> None:
        """Move the selection by `by` rows, stopping at the ends."""
        self.selected = max(0, min(len(self.found) - 1, self.selected + by))

    @property
    def choice(self) -> PickItem | None:
        """The selected item, or None."""
        return self.found[self.selected] if self.found else None

    def rows(self, height: int = ROWS) -> StyleAndTextTuples:
        """Return `height` rows of the list around the selection."""
        if not self.found:
            return [("", "  nothing fits\n")]
        first = max(0, min(self.selected - height // 2, len(self.found) - height))
        lines: StyleAndTextTuples = []
        for number, choice in enumerate(self.found[first : first + height], first):
            here = number == self.selected
            lines.append(("reverse" if here else "", f"{'>' if here else ' '} {escape_name(choice.name)}"))
            lines.append(("", f"  {escape_name(choice.hint)}\n"))
        return lines

    def preview(self) -> StyleAndTextTuples:
        """Return the beginning of the selected item."""
        if self.choice is None:
            return []
        lines = escape_controls(self.choice.preview()).splitlines()[:PREVIEW_ROWS]
        return [("class:auto-suggestion", "\n".join(lines))]


def split_height(screen: int) -> tuple[int, int]:
    """Return the rows of the list and of the preview on a screen with `screen` rows."""
    rows = max(2, screen) - 1
    listed = min(ROWS, rows, max(3, rows - PREVIEW_ROWS))
    return listed, min(PREVIEW_ROWS, rows - listed)


def pick(choices: Sequence[PickItem], *, input: Input | None = None, screen: Output | None = None) -> str | None:
    """Let the user pick one of `choices`; return its name, or None after Esc or Ctrl-C."""
    picker = Picker(choices)
    typed = Buffer(multiline=False, on_text_changed=lambda buffer: picker.narrow(buffer.text))

    def available_rows() -> tuple[int, int]:
        return split_height(app.output.get_size().rows)

    layout = Layout(
        HSplit(
            [
                Window(BufferControl(typed), height=1, get_line_prefix=lambda *_: [("bold", "Search: ")]),
                Window(
                    FormattedTextControl(lambda: picker.rows(available_rows()[0])), height=lambda: available_rows()[0]
                ),
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
