"""Limits that hold: the check before a request, the cap on its reply, the watch while it streams. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrepl.billing.pricing import Price
from llmrepl.errors import BudgetError
from llmrepl.formatting import format_usd

WARN_AT = (0.5, 0.8, 0.9)
"""The shares of a limit at which the user is told, once each."""


@dataclass
class Limit:
    """One limit: `name` is `session` or `daily`, `usd` the most that may be spent, `raise_it` says how to raise it.

    `told` are the shares that the user has been told about.
    """

    name: str
    usd: float
    raise_it: str
    warn_at: Sequence[float] = WARN_AT
    told: set[float] = field(default_factory=set)

    def left(self, spent: float) -> float:
        """What may still be spent, in USD."""
        return max(0.0, self.usd - spent)

    def alert(self, spent: float) -> str | None:
        """What to tell now that `spent` was spent: the highest share that was passed, once."""
        passed = [share for share in sorted(self.warn_at) if spent >= share * self.usd and share not in self.told]
        self.told.update(passed)
        if not passed or self.usd <= 0:
            return None
        return f"{passed[-1]:.0%} of the {self.name} budget is spent: {format_usd(spent)} of {format_usd(self.usd)}"


@dataclass(frozen=True)
class Admission:
    """A request may be sent: `max_tokens` is the longest reply that fits, None for any; `left` the USD it may cost.

    `worst` is the most that the request can cost in USD, and what to reserve of a limit that others share.
    """

    max_tokens: int | None
    left: float | None
    note: str = ""
    worst: float = 0.0


def admit(
    limits: Sequence[tuple[Limit, float]],
    prompt_tokens: int,
    price: Price | None,
    *,
    stop: bool = True,
    longest: int | None = None,
) -> Admission:
    """Decide before a request of at most `prompt_tokens`: `limits` are the limits, each with what is spent of it.

    `longest` is the longest reply that the user wants. A reply is capped only where the money ends before that or
    before the model's context window, for servers refuse a cap that no reply of theirs can reach. Without a known price
    nothing can be capped: the request is sent, and the note says so. With `stop` False a limit only warns. Raises
    BudgetError if a limit is spent, or would be by the question alone.
    """
    if not limits or (price is not None and price.free):
        return Admission(None, None)
    limit, left = min(((limit, limit.left(spent)) for limit, spent in limits), key=lambda pair: pair[1])
    cost = price.worst_input(prompt_tokens) if price else 0.0
    refusal = _refusal(limit, left, cost)
    if refusal and stop:
        raise refusal
    if refusal:
        return Admission(None, None, refusal.message)
    if price is None:
        return Admission(None, None, f"the price of this model is unknown, so the {limit.name} budget cannot hold it")
    if not stop:
        return Admission(None, None)
    fits = price.affordable(left - cost, prompt_tokens)
    if fits == 0:
        raise BudgetError(
            f"the {limit.name} budget has {format_usd(left)} left, too little for a reply", limit.raise_it
        )
    ends = min((n for n in (longest, price.context_window) if n is not None), default=None)
    if fits is None or (ends is not None and ends <= fits):
        reply = price.of(prompt_tokens, 0, 0, ends or 0) - price.of(prompt_tokens, 0, 0, 0)
        return Admission(None, left, worst=min(left, cost + reply))
    return Admission(fits, left, worst=left)


def _refusal(limit: Limit, left: float, cost: float) -> BudgetError | None:
    """Why a question that costs so much cannot be sent, None if it can."""
    if 0 < left >= cost:
        return None
    reason = (
        "is spent" if left <= 0 else f"has {format_usd(left)} left, and the question alone may cost {format_usd(cost)}"
    )
    return BudgetError(f"the {limit.name} budget of {format_usd(limit.usd)} {reason}", limit.raise_it)
