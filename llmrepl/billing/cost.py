"""What a request cost. Unknown stays unknown: None, never 0."""

from __future__ import annotations

import math

from llmrepl.billing.pricing import Price
from llmrepl.types import Usage


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """The cost of a request in USD: what the provider reported, else price x tokens, else None.

    Tokens read from and written to the cache are part of `prompt_tokens`, reasoning tokens of `completion_tokens`.
    Never negative, infinite or NaN: an amount that makes no sense is no amount, a negative count is none.
    """
    if usage.cost is not None and _sound(usage.cost):
        return usage.cost
    if price is None or (usage.media_tokens and not price.free):  # audio and pictures have prices of their own
        return None
    prompt, completion = max(0, usage.prompt_tokens), max(0, usage.completion_tokens)
    cached = min(max(0, usage.cached_tokens), prompt)
    written = min(max(0, usage.cache_write_tokens), prompt - cached)
    cost = price.of(prompt - cached - written, cached, written, completion)
    return cost if _sound(cost) else None


def _sound(usd: float) -> bool:
    return math.isfinite(usd) and usd >= 0
