"""The cost of a request. An unknown cost is None, never 0."""

from __future__ import annotations

import math

from llmrepl.billing.pricing import Price
from llmrepl.types import Usage


def cost_of(usage: Usage, price: Price | None) -> float | None:
    """Return the cost of a request in USD: as reported by the provider, or tokens times price, or None.

    Cached tokens are included in `prompt_tokens`, reasoning tokens in `completion_tokens`. Invalid amounts are ignored,
    negative counts are 0; the result is never negative, infinite or NaN.
    """
    if usage.cost is not None and _is_amount(usage.cost):
        return usage.cost
    if price is None or (usage.media_tokens and not price.free):  # audio and pictures have prices of their own
        return None
    prompt, completion = max(0, usage.prompt_tokens), max(0, usage.completion_tokens)
    cached = min(max(0, usage.cached_tokens), prompt)
    written = min(max(0, usage.cache_write_tokens), prompt - cached)
    cost = price.of(prompt - cached - written, cached, written, completion)
    return cost if _is_amount(cost) else None


def _is_amount(usd: float) -> bool:
    return math.isfinite(usd) and usd >= 0
