"""Pastes whose end mark is lost, as when a connection or a multiplexer drops bytes."""

from __future__ import annotations

from prompt_toolkit.input import Input
from prompt_toolkit.input.vt100_parser import Vt100Parser

_END = "\x1b[201~"
_CTRL_C = "\x03"


class PasteParser(Vt100Parser):
    """A parser for which Ctrl-C, as a key by itself, ends a paste that has no end mark.

    prompt_toolkit takes every key for a part of the paste until the end mark arrives.
    """

    def feed(self, data: str) -> None:
        """Feed `data` as it was read."""
        super().feed(_END + data if data == _CTRL_C and self._in_bracketed_paste else data)


def end_pastes_with_ctrl_c(input: Input) -> None:
    """Let `input` use a PasteParser, if it is a terminal or a pipe that speaks VT100."""
    parser = getattr(input, "vt100_parser", None)
    if isinstance(parser, Vt100Parser):
        input.vt100_parser = PasteParser(parser.feed_key_callback)  # type: ignore[attr-defined]
