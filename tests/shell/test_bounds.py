"""Endless input is refused after a bounded amount, with a message."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from llmrepl.commands.line import inputs
from llmrepl.errors import UsageError
from llmrepl.shell.script import read_lines
from llmrepl.system.limits import MAX_INPUT_CHARACTERS


class Endless(io.StringIO):
    """A line that never ends; `taken` is the number of characters read."""

    taken = 0

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        assert size is not None and size > 0, "reads without a bound"
        self.taken += size
        return "x" * size


def test_a_line_without_end_is_refused() -> None:
    stream = Endless()
    with pytest.raises(UsageError, match="A line on standard input is longer than 20 million characters"):
        list(read_lines(stream))
    assert stream.taken <= MAX_INPUT_CHARACTERS + 1


def test_a_block_without_end_is_refused() -> None:
    def lines() -> Iterator[str]:
        yield "hello\n"
        yield '"""\n'
        for _ in range(30):
            yield "y" * (1 << 20) + "\n"
        raise AssertionError("more than the limit was read")

    with pytest.raises(UsageError, match="The block that begins in line 2 is longer than 20 million characters"):
        list(inputs(lines()))


def test_lines_come_as_they_are() -> None:
    assert list(read_lines(io.StringIO("a\nb\r\n\nlast"))) == ["a\n", "b\r\n", "\n", "last"]
