"""One turn: however it ends, the question and what came of the reply are kept."""

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
from llmrepl.chat.turn import Exchange, Outcome
from llmrepl.chat.workspace import Workspace
from llmrepl.config.settings import Settings
from llmrepl.errors import NotSaved, Stopped, WrongUse
from llmrepl.providers.base import Text
from llmrepl.system.environment import World
from llmrepl.system.paths import Places
from llmrepl.system.signals import Signals
from tests.cli_runner import Newcomer

NOBODY = {"OLLAMA_HOST": "http://127.0.0.1:9", "LLM_MAX_RETRIES": "0"}
"""A server that is not there."""


@dataclass
class Desk:
    """A workspace whose clocks the test holds: each look at one runs `on_look`, if that is set."""

    workspace: Workspace
    newcomer: Newcomer
    on_look: list[Callable[[], None]]

    @classmethod
    def of(cls, newcomer: Newcomer, **environ: str) -> Desk:
        looks: list[Callable[[], None]] = []

        def monotonic() -> float:
            for look in looks:
                look()
            return time.monotonic()

        def now() -> datetime:
            for look in looks:
                look()
            return datetime(2025, 1, 1, 12, 0, 0)

        environ = newcomer.environ | {"LLM_MODEL": "offline/echo"} | environ
        world = World(environ, newcomer.cwd, io.StringIO(), io.StringIO(), io.StringIO(), now=now, monotonic=monotonic)
        places, signals = Places.find(environ), Signals()
        signals.install()
        return cls(Workspace(world, Settings.load(environ, newcomer.cwd, places), places, signals), newcomer, looks)

    def ask(self, text: str, after: int = 10**9, error: BaseException | None = None, **more: object) -> Outcome:
        """One turn; `error` happens after so many events."""
        exchange: Exchange = turn.ask(self.workspace, text, **more)  # type: ignore[arg-type]
        with exchange:
            for number, _event in enumerate(exchange, 1):
                if number == after and error:
                    raise error
        assert exchange.outcome
        return exchange.outcome

    def kept(self) -> list[tuple[str, str, str]]:
        """Question, answer and finish reason of each turn, after the shell has ended."""
        self.workspace.close()
        [name] = self.newcomer.files("runs")
        session = self.newcomer.session(name.removesuffix(".json"))
        reasons = [data.get("finish_reason", "") for data in session["turns"]]
        said = self.newcomer.said(name.removesuffix(".json"))
        return [(question, answer, reason) for (question, answer), reason in zip(said, reasons, strict=True)]


@pytest.fixture
def desk(newcomer: Newcomer) -> Iterator[Desk]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield Desk.of(newcomer)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_whole_turn(desk: Desk) -> None:
    outcome = desk.ask("hello there")
    assert (outcome.text, outcome.finish_reason, outcome.cost) == ("hello there", "stop", 0.0)
    assert (outcome.session, outcome.number) == ("session_20250101_120000.json", 1)
    assert outcome.latency_ms >= 0
    assert outcome.failure is outcome.unsaved is None
    assert desk.kept() == [("hello there", "hello there", "stop")]


def test_a_question_on_its_own_is_not_kept(desk: Desk) -> None:
    outcome = desk.ask("hello", keep=False)
    assert (outcome.text, outcome.session, outcome.number) == ("hello", None, None)
    assert desk.newcomer.files() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped(signal.SIGTERM), BrokenPipeError()])
def test_an_interruption_goes_through_and_the_part_is_kept(desk: Desk, error: BaseException) -> None:
    with pytest.raises(type(error)):
        desk.ask("one two three", after=2, error=error)
    assert desk.kept() == [("one two three", "one two", "interrupted")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_part_is_being_kept_waits(desk: Desk, number: int) -> None:
    exchange = turn.ask(desk.workspace, "one two three")
    with pytest.raises((KeyboardInterrupt, Stopped)), exchange:
        assert isinstance(next(iter(exchange)), Text)
        desk.on_look.append(lambda: os.kill(os.getpid(), number))
    desk.on_look.clear()
    assert exchange.outcome and exchange.outcome.text == "one"
    assert desk.kept() == [("one two three", "one", "interrupted")]


def test_a_signal_before_anything_is_sent_leaves_the_question_out_of_the_context(desk: Desk) -> None:
    desk.ask("first")
    desk.on_look.append(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        desk.ask("second")
    desk.on_look.clear()
    desk.ask("third")
    current = desk.workspace.current
    assert current and [message.content for message in current.session.context()] == ["first"] * 2 + ["third"] * 2


def test_a_server_that_is_not_there_fails_the_turn_and_keeps_the_question(desk: Desk, newcomer: Newcomer) -> None:
    desk = Desk.of(newcomer, **NOBODY)
    desk.ask("before")
    outcome = desk.ask("anybody?", model="ollama/nobody")
    assert outcome.failure and outcome.finish_reason == "error"
    assert (outcome.text, outcome.usage, outcome.cost) == ("", None, None)
    current = desk.workspace.current
    assert current and [message.content for message in current.session.context()] == ["before", "before"]
    desk.ask("anybody?", replaces=2)
    assert desk.kept() == [("before", "before", "stop"), ("anybody?", "anybody?", "stop")]


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "nonsense/x", "offline/x"])
def test_what_cannot_be_sent_leaves_no_turn(desk: Desk, model: str) -> None:
    with pytest.raises(WrongUse):
        desk.ask("hello", model=model)
    desk.workspace.close()
    assert desk.newcomer.files() == []


def test_a_script_that_cannot_save_sends_nothing(desk: Desk) -> None:
    desk.ask("one")
    runs = desk.newcomer.runs
    shutil.rmtree(runs)
    runs.write_text("in the way")
    with pytest.raises(NotSaved, match=r"turn 2 is not saved: .*nothing was sent"):
        desk.ask("two")
    runs.unlink()
    desk.ask("three")
    assert desk.kept() == [("one", "one", "stop"), ("two", "", "error"), ("three", "three", "stop")]


def test_another_model_for_one_turn_is_noted_in_that_turn(desk: Desk) -> None:
    desk.ask("hello", model="offline/guide")
    desk.workspace.close()
    [name] = desk.newcomer.files("runs")
    session = desk.newcomer.session(name.removesuffix(".json"))
    assert session["model"] == "offline/echo"
    assert session["turns"][0]["answered_by"] == "offline/guide"


def test_half_a_surrogate_pair_is_replaced_before_it_is_kept_or_sent(desk: Desk) -> None:
    assert desk.ask("a\udcffb").text == "a?b"
    assert desk.kept() == [("a?b", "a?b", "stop")]
