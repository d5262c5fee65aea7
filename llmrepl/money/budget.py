"""Limits that hold: the check before a request, the cap on its reply, the watch while it streams. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrepl.errors import OverBudget
from llmrepl.messages import money
from llmrepl.money.rates import Price

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
        return f"{passed[-1]:.0%} of the {self.name} budget is spent: {money(spent)} of {money(self.usd)}"


@dataclass(frozen=True)
class Admission:
    """A request may be sent: `max_tokens` is the longest reply that fits, None for any; `left` the USD it may cost."""

    max_tokens: int | None
    left: float | None
    note: str = ""


def admit(
    limits: Sequence[tuple[Limit, float]], prompt_tokens: int, price: Price | None, *, stop: bool = True
) -> Admission:
    """Decide before a request of at most `prompt_tokens`: `limits` are the limits, each with what is spent of it.

    Without a known price nothing can be capped: the request is sent, and the note says so. With `stop` False a limit
    only warns. Raises OverBudget if a limit is spent, or would be by the question alone.
    """
    if not limits:
        return Admission(None, None)
    limit, left = min(((limit, limit.left(spent)) for limit, spent in limits), key=lambda pair: pair[1])
    if price is not None and price.free:
        return Admission(None, None)
    cost = price.worst_input(prompt_tokens) if price else 0.0
    if left <= 0 or cost > left:
        reason = "is spent" if left <= 0 else f"has {money(left)} left, and the question alone may cost {money(cost)}"
        refusal = OverBudget(f"the {limit.name} budget of {money(limit.usd)} {reason}", limit.raise_it)
        if stop:
            raise refusal
        return Admission(None, None, refusal.what)
    if price is None:
        return Admission(None, None, f"the price of this model is unknown, so the {limit.name} budget cannot hold it")
    longest = price.affordable(left - cost, prompt_tokens)
    if longest == 0 and stop:
        raise OverBudget(f"the {limit.name} budget has {money(left)} left, too little for a reply", limit.raise_it)
    return Admission(longest, left) if stop else Admission(None, None)
