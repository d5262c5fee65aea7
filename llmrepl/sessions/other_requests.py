"""Requests made for a session outside its turns: summaries, retried attempts. They are totals in `meta`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "other_requests"
"""The key in `meta`."""


@dataclass(frozen=True, slots=True)
class OtherRequests:
    """Totals: `cost` is the known part in USD, `unpriced` the number of requests whose cost is unknown."""

    requests: int = 0
    total_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @classmethod
    def from_meta(cls, meta: object) -> OtherRequests:
        """Read the totals in a session's `meta`; values of the wrong type count as 0."""
        data = meta.get(KEY) if isinstance(meta, Mapping) else None
        if not isinstance(data, Mapping):
            return cls()
        count = int(_number(data.get("requests")))
        tokens, unpriced = int(_number(data.get("total_tokens"))), int(_number(data.get("unpriced")))
        return cls(count, tokens, _number(data.get("cost_estimate")), unpriced)

    def plus(self, tokens: int, cost: float | None, *, billed: bool = True) -> OtherRequests:
        """The totals with one request more; one that is `billed` at an unknown `cost` is unpriced."""
        unpriced = self.unpriced + (billed and cost is None)
        return OtherRequests(self.requests + 1, self.total_tokens + tokens, self.cost + (cost or 0.0), unpriced)

    def to_json(self) -> dict[str, Any]:
        """The value of the key in `meta`."""
        data = {"requests": self.requests, "total_tokens": self.total_tokens, "cost_estimate": self.cost}
        return {**data, "unpriced": self.unpriced} if self.unpriced else data


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return 0.0
    return float(value)
