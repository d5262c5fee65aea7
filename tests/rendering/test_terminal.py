"""Messages on a terminal: styled errors, hints on a line of their own, dim notices."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import FrameType

from llmrepl.chat.turn import TurnResult
from llmrepl.config.settings import Settings
from llmrepl.errors import LLMError
from llmrepl.providers.base import Requesting, Retrying, TextDelta
from llmrepl.rendering.base import PlainOutput, describe_event
from llmrepl.rendering.markdown.layout import cell_width
from llmrepl.rendering.terminal import TerminalOutput
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.types import Usage


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


def turn_result(seconds: float, *, stopped: bool = False) -> TurnResult:
    """A reply that took so many seconds."""
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    ends = {"text": "hello", "finish_reason": "stop", "usage": usage, "cost": 0.0, "left": None, "model": "m"}
    place = {"session": None, "number": None, "failure": None, "unsaved": None}
    return TurnResult(**ends, **place, latency_ms=seconds * 1000, stopped=stopped)  # type: ignore[arg-type]


def test_the_bell_rings_once_after_a_long_reply_if_it_is_on(tmp_path: Path) -> None:
    for bell, ended, rings in (
        ("on", turn_result(10.1), 1),
        ("on", turn_result(9.9), 0),
        ("off", turn_result(60), 0),
        ("on", turn_result(60, stopped=True), 0),
    ):
        environ = {"HOME": str(tmp_path), "LLM_BELL": bell}
        environment = Environment(environ, tmp_path, Tty(), Tty(), Tty())
        settings = Settings.load(environ, tmp_path, Paths.find(environ))
        for out in (TerminalOutput(environment, settings), PlainOutput(environment, settings)):
            environment.stdout.truncate(0)
            out.turn_result(ended)
            assert str(environment.stdout.getvalue()).count("\a") == rings  # type: ignore[attr-defined]
        piped = Environment(environ, tmp_path, Tty(), io.StringIO(), Tty())
        PlainOutput(piped, settings).turn_result(ended)
        assert "\a" not in piped.stdout.getvalue()  # type: ignore[attr-defined]


def test_a_token_costs_no_call_but_the_one_that_draws_it(tmp_path: Path) -> None:
    out = output(tmp_path, Tty())
    out.event(Requesting("openai/gpt-5-mini"))
    out.begin_reply("hi")
    out.event(TextDelta("first"))
    view = out._view
    assert view
    view.text = lambda delta: None  # type: ignore[method-assign]
    calls: list[str] = []

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    more = [TextDelta("word ") for _ in range(100)]
    sys.setprofile(profile)
    try:
        for delta in more:
            out.event(delta)
    finally:
        sys.setprofile(None)
    assert calls == ["event", "<lambda>"] * 100
