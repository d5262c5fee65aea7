"""Retries: only before the first output."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from llmrepl.providers.base import Event, Finish, Notice, ReasoningDelta, Retrying, TextDelta
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.retry import RetryPolicy, retry


def policy(slept: list[float]) -> RetryPolicy:
    def sleep(seconds: float) -> None:
        slept.append(seconds)

    return RetryPolicy(2, sleep, lambda: sum(slept), lambda: 0.0)


@pytest.mark.parametrize("first", [TextDelta("Hel"), ReasoningDelta("hm")])
def test_nothing_is_sent_again_after_output(first: Event) -> None:
    attempts: list[int] = []
    slept: list[float] = []

    def attempt() -> Generator[Event, None, None]:
        attempts.append(1)
        yield first
        raise ProviderError("broke", "hint", retry=True)

    events = retry(attempt, policy(slept))
    assert next(events) == first
    with pytest.raises(ProviderError) as raised:
        list(events)
    assert (len(attempts), slept, raised.value.hint) == (1, [], "hint")


def test_a_failure_before_output_is_tried_again_with_longer_waits() -> None:
    attempts: list[int] = []
    slept: list[float] = []

    def attempt() -> Generator[Event, None, None]:
        attempts.append(1)
        yield Notice("connecting")
        if len(attempts) < 3:
            raise ProviderError("busy", "hint", retry=True, may_be_billed=True)
        yield Finish("stop")

    events = list(retry(attempt, policy(slept)))
    assert (len(attempts), slept, events[-1]) == (3, [0.5, 1.0], Finish("stop"))
    announced = [event for event in events if isinstance(event, Retrying) and not event.seconds]
    assert announced == [Retrying(0, "busy", True)] * 2


def test_the_last_failure_says_how_often_it_was_tried() -> None:
    def attempt() -> Generator[Event, None, None]:
        yield Notice("connecting")
        raise ProviderError("busy", "hint", retry=True)

    with pytest.raises(ProviderError) as raised:
        list(retry(attempt, policy([])))
    assert raised.value.hint == "hint (tried 3 times)"
