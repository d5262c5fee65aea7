"""Retries a request until the first output arrives."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from llmrepl.providers.base import Event, ReasoningDelta, Retrying, TextDelta
from llmrepl.providers.errors import ProviderError

_FIRST, _LONGEST, _JITTER = 0.5, 8.0, 0.25


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Maximum retries, and the clock: `sleep` and `monotonic` in seconds, `random` in [0, 1)."""

    most: int
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    random: Callable[[], float]


def retry(attempt: Callable[[], Generator[Event, None, None]], retries: RetryPolicy) -> Iterator[Event]:
    """Yield the events of the first successful attempt, and Retrying about once a second between attempts.

    After a TextDelta or ReasoningDelta an error is final. Raises the last attempt's ProviderError.
    """
    tried = 0
    while True:
        begun = False
        try:
            with closing(attempt()) as events:
                for event in events:
                    begun = begun or isinstance(event, TextDelta | ReasoningDelta)
                    yield event
            return
        except ProviderError as failure:
            tried += 1
            if begun or not failure.retry or tried > retries.most:
                if tried > 1 and not begun:
                    failure.hint = f"{failure.hint} (tried {tried} times)"
                raise
            why, seconds, may_be_billed = failure.message, failure.after, failure.may_be_billed
        yield from _countdown(seconds if seconds is not None else back_off(tried, retries.random()), why, retries)
        yield Retrying(0, why, may_be_billed)


def back_off(tried: int, random: float) -> float:
    """Return the wait in seconds after `tried` failures: 0.5, 1, 2 … 8, minus up to a quarter of jitter."""
    return min(_LONGEST, _FIRST * 2.0 ** (tried - 1)) * (1 - _JITTER * random)


def _countdown(seconds: float, why: str, retries: RetryPolicy) -> Iterator[Event]:
    until = retries.monotonic() + seconds
    while (left := until - retries.monotonic()) > 0:
        yield Retrying(left, why)
        retries.sleep(min(1.0, left))
