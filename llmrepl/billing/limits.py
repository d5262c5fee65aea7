"""Budget limits: the check before a request, the cap on its reply, the alerts after it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrepl.billing.pricing import Price
from llmrepl.errors import BudgetError
from llmrepl.formatting import format_amount, format_usd

WARN_AT = (0.5, 0.8, 0.9)
"""Fractions of a limit at which the user is warned once each; reaching the limit is always reported."""

_LEVELS = (
    (1.0, "🛑 Budget Exceeded"),
    (0.9, "🚨 Budget Critical"),
    (0.8, "⚠️  Budget Warning"),
    (0.0, "⚠️  Budget Alert"),
)


@dataclass
class Limit:
    """A limit: `name` is `session` or `daily`, `usd` the maximum, `raise_it` how to raise it.

    `alerted` are the fractions already warned about.
    """

    name: str
    usd: float
    raise_it: str
    warn_at: Sequence[float] = WARN_AT
    alerted: set[float] = field(default_factory=set)

    def left(self, spent: float) -> float:
        """Return the amount that may still be spent, in USD."""
        return max(0.0, self.usd - spent)

    def alert(self, spent: float) -> str | None:
        """Return the alert for the highest fraction reached by `spent` USD since the last call, or None."""
        reached = [f for f in (*sorted(self.warn_at), 1.0) if spent >= f * self.usd and f not in self.alerted]
        self.alerted.update(reached)
        if not reached or self.usd <= 0:
            return None
        fraction = reached[-1]
        level = next(text for least, text in _LEVELS if fraction >= least)
        daily = "" if self.name == "session" else f" of the {self.name} budget"
        return f"{level}: {fraction:.0%}{daily} used ({format_amount(spent)} of {format_amount(self.usd)})"

    def reached(self, spent: float) -> BudgetError:
        """Create the error for a request after `spent` USD used up the limit."""
        name = "Budget" if self.name == "session" else f"{self.name.capitalize()} budget"
        return BudgetError(f"{name} reached: {format_usd(spent)} of {format_usd(self.usd)} spent.", self.raise_it)


@dataclass(frozen=True)
class Admission:
    """An admitted request: `max_tokens` caps the reply, None for no cap; `left` is the remaining budget in USD.

    `worst` is the maximum cost in USD, to be reserved from a shared limit.
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
    """Check a request of at most `prompt_tokens` tokens against `limits`, each with its amount spent.

    `longest` is the user's limit on the reply in tokens. A reply is capped only if the budget ends before that or
    before the context window, since servers reject larger caps. Without a known price nothing is capped, and a note
    says so. With `stop` False a limit only warns. Raises BudgetError if a limit is reached, or would be by the prompt
    alone.
    """
    if not limits or (price is not None and price.free):
        return Admission(None, None)
    limit, spent = min(limits, key=lambda pair: pair[0].left(pair[1]))
    left = limit.left(spent)
    cost = price.worst_input(prompt_tokens) if price else 0.0
    refusal = _refusal(limit, spent, cost)
    if refusal and stop:
        raise refusal
    if refusal:
        return Admission(None, None, refusal.message)
    if price is None:
        return Admission(None, None, f"The price of this model is unknown. The {limit.name} budget does not limit it.")
    if not stop:
        return Admission(None, None)
    fits = price.affordable(left - cost, prompt_tokens)
    if fits == 0:
        raise BudgetError(
            f"The {limit.name} budget has {format_usd(left)} left, too little for a reply.", limit.raise_it
        )
    ends = min((n for n in (longest, price.context_window) if n is not None), default=None)
    if fits is None or (ends is not None and ends <= fits):
        reply = price.of(prompt_tokens, 0, 0, ends or 0) - price.of(prompt_tokens, 0, 0, 0)
        return Admission(None, left, worst=min(left, cost + reply))
    return Admission(fits, left, worst=left)


def _refusal(limit: Limit, spent: float, cost: float) -> BudgetError | None:
    """Return the error for a prompt that costs at least `cost` USD, or None if the limit allows it."""
    left = limit.left(spent)
    if 0 < left >= cost:
        return None
    if left <= 0:
        return limit.reached(spent)
    return BudgetError(
        f"The {limit.name} budget has {format_usd(left)} left, and the prompt alone may cost {format_usd(cost)}.",
        limit.raise_it,
    )
