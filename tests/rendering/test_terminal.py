"""Messages on a terminal: styled errors, hints on a line of their own, dim notices."""

from __future__ import annotations

import io
from pathlib import Path

from llmrepl.config.settings import Settings
from llmrepl.errors import LLMError
from llmrepl.providers.base import Retrying, TextDelta
from llmrepl.rendering.base import describe_event
from llmrepl.rendering.markdown.layout import cell_width
from llmrepl.rendering.terminal import TerminalOutput
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths


class Tty(io.StringIO):
    """A stream that reports to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def output(tmp_path: Path, err: io.StringIO, **environ: str) -> TerminalOutput:
    """Return an output with this stderr."""
    environ = {"HOME": str(tmp_path)} | environ
    environment = Environment(environ, tmp_path, Tty(), Tty(), err)
    return TerminalOutput(environment, Settings.load(environ, tmp_path, Paths.find(environ)))


def test_an_error_and_its_hint(tmp_path: Path) -> None:
    err = Tty()
    output(tmp_path, err).failure(LLMError("No such session: x.", "':sessions list' shows them"))
    assert err.getvalue() == "\x1b[1;31merror:\x1b[0m No such session: x.\n  ':sessions list' shows them\n"


def test_without_color(tmp_path: Path) -> None:
    err = Tty()
    out = output(tmp_path, err, NO_COLOR="1")
    out.failure(LLMError("No such \x1b[31msession.", "try"))
    out.note("saved")
    assert err.getvalue() == "error: No such \\x1b[31msession.\n  try\nsaved\n"


def test_a_note_is_dim(tmp_path: Path) -> None:
    err = Tty()
    output(tmp_path, err).note("saved")
    assert err.getvalue() == "\x1b[2msaved\x1b[0m\n"


def test_stderr_in_a_file_has_one_line_for_each_message(tmp_path: Path) -> None:
    err = io.StringIO()
    out = output(tmp_path, err)
    out.failure(LLMError("No such session", "try"))
    out.note("saved")
    assert err.getvalue() == "error: No such session; try\nnote: saved\n"


def test_a_countdown_is_one_line_that_leaves_no_trace(tmp_path: Path) -> None:
    err = Tty()
    out = output(tmp_path, err, NO_COLOR="1")
    out.event(Retrying(4.0, "work is rate limiting you (429): " + "many words of the server " * 40))
    [shown] = err.getvalue().split("\r\x1b[K")[1:]
    assert cell_width(shown) < 80
    assert shown.endswith("… · retrying in 4 s · Ctrl-C stops")
    out.event(TextDelta("hello"))
    assert err.getvalue().endswith("\r\x1b[K")


def test_a_retry_is_announced_without_a_zero() -> None:
    assert describe_event(Retrying(0.2, "work is rate limiting you (429)")).endswith(" · retrying in 1 s")
    assert describe_event(Retrying(0, "work is rate limiting you (429)")) == ""
