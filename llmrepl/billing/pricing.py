"""The price of a model in USD per million tokens, with tiers, and a ledger entry."""

from __future__ import annotations

import math
from dataclasses import dataclass

Rate = tuple[tuple[int, float], ...]
"""USD per million tokens from a number of prompt tokens on, ascending. Crossing a tier reprices all tokens."""

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model. `source` is `config`, `dataset` or `local`; `context_window` is in tokens.

    Cached tokens without a price of their own cost as much as ordinary ones.
    """

    input: Rate
    output: Rate
    cache_read: Rate = ()
    cache_write: Rate = ()
    source: str = "dataset"
    context_window: int | None = None

    @property
    def free(self) -> bool:
        """Whether every rate is zero."""
        return all(usd == 0 for rate in (self.input, self.output) for _, usd in rate)

    def of(self, plain: int, cached: int, written: int, completion: int) -> float:
        """Return the cost in USD of a request by tokens:

        `plain`, `cached`, `written` to the cache, and `completion`.
        """
        prompt = plain + cached + written
        return (
            plain * rate_at(self.input, prompt)
            + cached * rate_at(self.cache_read or self.input, prompt)
            + written * rate_at(self.cache_write or self.input, prompt)
            + completion * rate_at(self.output, prompt)
        ) / _MILLION

    def worst_input(self, tokens: int) -> float:
        """Return the maximum cost in USD of a prompt of `tokens`, cached or not."""
        return tokens * max(rate_at(rate, tokens) for rate in (self.input, self.cache_write) if rate) / _MILLION

    def affordable(self, usd: float, prompt_tokens: int) -> int | None:
        """Return how many reply tokens `usd` buys after `prompt_tokens`; None for unlimited."""
        rate = rate_at(self.output, prompt_tokens)
        return None if rate == 0 else max(0, math.floor(usd * _MILLION / rate + 1e-9))


def flat_rate(usd: float) -> Rate:
    """Create a rate without tiers."""
    return ((0, usd),)


def rate_at(rate: Rate, prompt_tokens: int) -> float:
    """Return USD per million tokens for a request with `prompt_tokens`."""
    return next(usd for start, usd in reversed(rate) if prompt_tokens > start or start == 0)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One request. `at` is seconds since 1970, `day` the local date, `cost` USD or None if unknown.

    `kind` is `reply`, `interrupted`, `failed` or `retried`. `provider`, `model` and `session` are empty in incognito
    mode.
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
