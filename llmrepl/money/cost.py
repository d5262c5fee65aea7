"""What a request cost. Unknown stays unknown: None, never 0."""

from __future__ import annotations

import math

from llmrepl.money.rates import Price
from llmrepl.providers.base import Usage


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """The cost of a request in USD: what the provider reported, else price x tokens, else None.

    Tokens read from and written to the cache are part of `prompt_tokens`, reasoning tokens of `completion_tokens`.
    """
    if usage.cost is not None and math.isfinite(usage.cost) and usage.cost >= 0:
        return usage.cost
    if price is None:
        return None
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return price.of(max(0, usage.prompt_tokens - cached - written), cached, written, usage.completion_tokens)
