"""A turn: however it ends, the prompt and the received part of the reply are saved."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from llmrepl.chat import turn
from llmrepl.chat.turn import ChatTurn, TurnResult
from llmrepl.chat.workspace import Workspace
from llmrepl.config.settings import Settings
from llmrepl.errors import SaveError, SignalExit, UsageError
from llmrepl.providers.base import TextDelta
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.signals import Signals
from tests.cli_runner import CliRunner

NOBODY = {"OLLAMA_HOST": "http://127.0.0.1:9", "LLM_MAX_RETRIES": "0"}
"""A server that is not there."""


@dataclass
class Desk:
    """A workspace with a controlled clock. Each reading calls `on_look`, if set."""

    workspace: Workspace
    cli: CliRunner
    on_look: list[Callable[[], None]]

    @classmethod
    def of(cls, cli: CliRunner, **environ: str) -> Desk:
        looks: list[Callable[[], None]] = []

        def monotonic() -> float:
            for look in looks:
                look()
            return time.monotonic()

        def now() -> datetime:
            for look in looks:
                look()
            return datetime(2025, 1, 1, 12, 0, 0)

        environ = cli.environ | {"LLM_MODEL": "offline/echo"} | environ
        environment = Environment(
            environ, cli.cwd, io.StringIO(), io.StringIO(), io.StringIO(), now=now, monotonic=monotonic
        )
        paths, signals = Paths.find(environ), Signals()
        signals.install()
        return cls(Workspace(environment, Settings.load(environ, cli.cwd, paths), paths, signals), cli, looks)

    def ask(self, text: str, after: int = 10**9, error: BaseException | None = None, **more: object) -> TurnResult:
        """Run a turn in which `error` is raised after `after` events."""
        exchange: ChatTurn = turn.ask(self.workspace, text, **more)  # type: ignore[arg-type]
        with exchange:
            for number, _event in enumerate(exchange):  # the first says that a request is sent
                if number == after and error:
                    raise error
        assert exchange.turn_result
        return exchange.turn_result

    def kept(self) -> list[tuple[str, str, str]]:
        """Return prompt, reply and finish reason of each turn, after the shell has ended."""
        self.workspace.close()
        [name] = self.cli.files("runs")
        session = self.cli.session(name.removesuffix(".json"))
        reasons = [data.get("finish_reason", "") for data in session["turns"]]
        said = self.cli.said(name.removesuffix(".json"))
        return [(question, answer, reason) for (question, answer), reason in zip(said, reasons, strict=True)]


@pytest.fixture
def desk(cli: CliRunner) -> Iterator[Desk]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield Desk.of(cli)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_complete_turn(desk: Desk) -> None:
    turn_result = desk.ask("hello there")
    assert (turn_result.text, turn_result.finish_reason, turn_result.cost) == ("hello there", "stop", 0.0)
    assert (turn_result.session, turn_result.number) == ("session_20250101_120000.json", 1)
    assert turn_result.latency_ms >= 0
    assert turn_result.failure is turn_result.unsaved is None
    assert desk.kept() == [("hello there", "hello there", "stop")]


def test_a_question_outside_the_session_is_not_saved(desk: Desk) -> None:
    turn_result = desk.ask("hello", keep=False)
    assert (turn_result.text, turn_result.session, turn_result.number) == ("hello", None, None)
    assert desk.cli.files() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SignalExit(signal.SIGTERM), BrokenPipeError()])
def test_an_interruption_propagates_and_the_partial_reply_is_kept(desk: Desk, error: BaseException) -> None:
    with pytest.raises(type(error)):
        desk.ask("one two three", after=2, error=error)
    assert desk.kept() == [("one two three", "one two", "interrupted")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_while_the_partial_reply_is_saved(desk: Desk, number: int) -> None:
    exchange = turn.ask(desk.workspace, "one two three")
    with pytest.raises((KeyboardInterrupt, SignalExit)), exchange:
        assert any(isinstance(event, TextDelta) for event in exchange)  # the first one
        desk.on_look.append(lambda: os.kill(os.getpid(), number))
    desk.on_look.clear()
    assert exchange.turn_result and exchange.turn_result.text == "one"
    assert desk.kept() == [("one two three", "one", "interrupted")]


def test_a_signal_before_anything_is_sent_leaves_the_question_out_of_the_context(desk: Desk) -> None:
    desk.ask("first")
    desk.on_look.append(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        desk.ask("second")
    desk.on_look.clear()
    desk.ask("third")
    current = desk.workspace.chat.current
    assert current and [message.content for message in current.session.context()] == ["first"] * 2 + ["third"] * 2


def test_a_server_that_is_not_there_fails_the_turn_and_keeps_the_question(desk: Desk, cli: CliRunner) -> None:
    desk = Desk.of(cli, **NOBODY)
    desk.ask("before")
    turn_result = desk.ask("anybody?", model="ollama/nobody")
    assert turn_result.failure and turn_result.finish_reason == "error"
    assert (turn_result.text, turn_result.usage, turn_result.cost) == ("", None, None)
    current = desk.workspace.chat.current
    assert current and [message.content for message in current.session.context()] == ["before", "before"]
    desk.ask("anybody?", replaces=2)
    assert desk.kept() == [("before", "before", "stop"), ("anybody?", "anybody?", "stop")]


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "nonsense/x", "offline/x"])
def test_what_cannot_be_sent_leaves_no_turn(desk: Desk, model: str) -> None:
    with pytest.raises(UsageError):
        desk.ask("hello", model=model)
    desk.workspace.close()
    assert desk.cli.files() == []


def test_a_script_that_cannot_save_sends_nothing(desk: Desk) -> None:
    desk.ask("one")
    runs = desk.cli.runs
    shutil.rmtree(runs)
    runs.write_text("in the way")
    with pytest.raises(SaveError, match=r"turn 2 is not saved: .*nothing was sent"):
        desk.ask("two")
    runs.unlink()
    desk.ask("three")
    assert desk.kept() == [("one", "one", "stop"), ("two", "", "error"), ("three", "three", "stop")]


def test_another_model_for_one_turn_is_noted_in_that_turn(desk: Desk) -> None:
    desk.ask("hello", model="offline/guide")
    desk.workspace.close()
    [name] = desk.cli.files("runs")
    session = desk.cli.session(name.removesuffix(".json"))
    assert session["model"] == "offline/echo"
    assert session["turns"][0]["answered_by"] == "offline/guide"


def test_a_lone_surrogate_is_replaced_before_saving_and_sending(desk: Desk) -> None:
    assert desk.ask("a\udcffb").text == "a\ufffdb"
    assert desk.kept() == [("a\ufffdb", "a\ufffdb", "stop")]
