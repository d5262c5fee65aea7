"""What the money rooms share: the price of a model, in USD per million tokens with tiers, and what a request cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

Rate = tuple[tuple[int, float], ...]
"""USD per million tokens from so many prompt tokens on, the lowest first. Crossing a tier reprices all tokens."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one model; `source` is `config`, `dataset` or `local`, `context_window` is in tokens.

    A cached token whose price nobody gives is priced as an ordinary one.
    """

    input: Rate
    output: Rate
    cache_read: Rate = ()
    cache_write: Rate = ()
    source: str = "dataset"
    context_window: int | None = None

    @property
    def free(self) -> bool:
        """Whether nothing costs anything."""
        return all(usd == 0 for rate in (self.input, self.output) for _, usd in rate)

    def of(self, plain: int, cached: int, written: int, completion: int) -> float:
        """The cost in USD of a request that reads `plain` tokens, `cached` from and `written` to the cache."""
        prompt = plain + cached + written
        return (
            plain * at(self.input, prompt)
            + cached * at(self.cache_read or self.input, prompt)
            + written * at(self.cache_write or self.input, prompt)
            + completion * at(self.output, prompt)
        ) / _MILLION

    def worst_input(self, tokens: int) -> float:
        """The most that reading `tokens` can cost in USD, whatever the cache does."""
        return tokens * max(at(rate, tokens) for rate in (self.input, self.cache_write) if rate) / _MILLION

    def affordable(self, usd: float, prompt_tokens: int) -> int | None:
        """How many tokens of a reply `usd` buys in a request that reads `prompt_tokens`; None for any number."""
        rate = at(self.output, prompt_tokens)
        return None if rate == 0 else max(0, math.floor(usd * _MILLION / rate + 1e-9))


def flat(usd: float) -> Rate:
    """A rate without tiers."""
    return ((0, usd),)


def at(rate: Rate, prompt_tokens: int) -> float:
    """USD per million tokens in a request that reads `prompt_tokens`."""
    return next(usd for start, usd in reversed(rate) if prompt_tokens > start or start == 0)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One request. `at` is seconds since 1970, `day` the local date, `cost` USD or None if unknown.

    `kind` is `reply`, `interrupted`, `failed` or `retried`. `provider`, `model` and `session` are empty in incognito.
    """

    at: float
    day: str
    provider: str
    model: str
    session: str
    kind: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost: float | None
    estimated: bool
