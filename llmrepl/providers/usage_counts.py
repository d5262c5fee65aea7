"""Token counts and costs as servers report them, converted to Usage for each vendor.

Invalid details are dropped individually. Counts that are missing, invalid or implausibly low are estimated instead,
rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmrepl.providers.base import Request
from llmrepl.providers.tokens import estimated, tokens
from llmrepl.types import Usage

_MOST_TOKENS = 100_000_000
_MOST_USD = 100_000.0
_TICKS_A_USD = 1e10
_LONGEST_TOKEN = 32
_SMALLEST_CHECKED = 256
_NONSENSE = "the server's token counts make no sense; they are estimated instead"
_TOO_FEW = "the server counted too few tokens for this reply; the count is estimated instead"
_BAD_COST = "the cost that the server reports makes no sense"


def read_usage(counts: Mapping[str, Any], request: Request, size: int) -> tuple[Usage, list[str]]:
    """Return the usage of a reply of `size` bytes (text and reasoning) from StreamState.counts, and notices.

    It is marked as estimated where the server's own counts are not used.
    """
    cost, notices = _cost(counts.get("cost"))
    usage = _usage(counts)
    if usage is None or not usage.prompt_tokens or (size and not usage.completion_tokens):
        if any(counts.get(name) is not None for name in ("prompt_tokens", "completion_tokens")) and not _partial(
            counts
        ):
            notices.append(_NONSENSE)
        usage = estimated(request, size)
    elif size > max(_SMALLEST_CHECKED, usage.completion_tokens * _LONGEST_TOKEN):
        notices.append(_TOO_FEW)
        usage.completion_tokens, usage.estimated = tokens(size), True
    usage.cost = cost
    return usage, notices


def usage_of_part(counts: Mapping[str, Any], request: Request, size: int) -> Usage:
    """The usage of a reply that was cut off: the server's count of the prompt, and the larger guess of the rest."""
    usage = _usage({"completion_tokens": 0, **counts})
    if usage is None or not usage.prompt_tokens:
        return estimated(request, size)
    usage.completion_tokens = max(usage.completion_tokens, tokens(size))
    usage.estimated = True
    return usage


def reported_cost(usage: Mapping[str, Any]) -> object:
    """Return the cost in USD in an OpenAI-style usage object, as sent; None if there is none.

    OpenRouter's `cost` is a number, to which the upstream cost is added for an own key. Perplexity's `cost` is an
    object. xAI counts in ticks of 1e-10 USD, DeepInfra sends `estimated_cost`.
    """
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if cost is None and (ticks := _count(usage.get("cost_in_usd_ticks"), 10**18)) is not None:
        return ticks / _TICKS_A_USD
    if cost is None:
        cost = usage.get("total_cost", usage.get("estimated_cost"))
    if usage.get("is_byok") is True:
        details = usage.get("cost_details")
        upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
        if not isinstance(upstream, int | float) or not isinstance(cost or 0, int | float):
            return None
        return (cost or 0) + upstream
    return cost


def _usage(counts: Mapping[str, Any]) -> Usage | None:
    """Convert the counts; None if prompt or completion is unknown."""
    prompt, completion = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    total = _count(counts.get("total_tokens"))
    if counts.get("completion_tokens") is None and prompt and total is not None and total > prompt:
        completion = total - prompt
    if prompt is None or completion is None:
        return None
    reasoning = _count(counts.get("reasoning_tokens")) or 0
    if total is not None and total - prompt > completion:  # xAI and Gemini: reasoning is not part of the completion
        completion = total - prompt
    if reasoning > completion:
        completion += reasoning
    cached, written = _count(counts.get("cached_tokens")) or 0, _count(counts.get("cache_write_tokens")) or 0
    cached = cached if cached <= prompt else 0
    written = written if written <= prompt - cached else 0
    media = _count(counts.get("media_tokens")) or 0
    return Usage(prompt, completion, cached, written, reasoning, media_tokens=media)


def _partial(counts: Mapping[str, Any]) -> bool:
    """Whether one of the two counts is missing."""
    return any(counts.get(name) is None for name in ("prompt_tokens", "completion_tokens"))


def _count(value: object, most: int = _MOST_TOKENS) -> int | None:
    """Parse a count, which may be written as 7.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _cost(cost: object) -> tuple[float | None, list[str]]:
    if cost is None:
        return None, []
    if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost <= _MOST_USD:
        return float(cost), []
    return None, [_BAD_COST]
