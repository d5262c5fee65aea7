"""Signals are deferred while the main thread saves, and at no other time."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from llmrepl.errors import SignalExit
from llmrepl.system.signals import Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    installed = Signals()
    installed.install()
    yield installed
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_signal_waits_for_the_end_of_a_shield(signals: Signals) -> None:
    done = False
    with pytest.raises(SignalExit), signals.shield(), signals.shield():
        os.kill(os.getpid(), signal.SIGTERM)
        done = True
    assert done and signals.stopped == signal.SIGTERM


def test_the_shield_of_another_thread_neither_holds_a_signal_nor_raises_it(signals: Signals) -> None:
    inside, leave = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            with signals.shield():
                inside.set()
                leave.wait(10)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    with pytest.raises(SignalExit):
        os.kill(os.getpid(), signal.SIGTERM)
    leave.set()
    thread.join()
    assert raised == []


def test_ctrl_c_does_not_hide_that_the_process_is_to_end(signals: Signals) -> None:
    with pytest.raises(SignalExit), signals.shield():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    with signals.shield():
        pass  # nothing is left to be raised


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored_as_under_nohup(signals: Signals, number: int) -> None:
    signal.signal(number, signal.SIG_IGN)
    Signals().install()
    assert signal.getsignal(number) == signal.SIG_IGN
    os.kill(os.getpid(), number)
    assert signals.stopped is None or signals.stopped == 0
