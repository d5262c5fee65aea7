"""Budget limits: the check before a request, the cap on its reply, the alerts after it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrepl.billing.pricing import Price
from llmrepl.errors import BudgetError
from llmrepl.formatting import format_amount, format_usd

WARN_AT = (0.5, 0.8, 0.9)
"""The fractions of a limit at which the user is warned, once each; the limit itself is always announced."""

_LEVELS = (
    (1.0, "🛑 Budget Exceeded"),
    (0.9, "🚨 Budget Critical"),
    (0.8, "⚠️  Budget Warning"),
    (0.0, "⚠️  Budget Alert"),
)


@dataclass
class Limit:
    """One limit: `name` is `session` or `daily`, `usd` the most that may be spent, `raise_it` says how to raise it.

    `alerted` are the fractions that the user has been warned about.
    """

    name: str
    usd: float
    raise_it: str
    warn_at: Sequence[float] = WARN_AT
    alerted: set[float] = field(default_factory=set)

    def left(self, spent: float) -> float:
        """What may still be spent, in USD."""
        return max(0.0, self.usd - spent)

    def alert(self, spent: float) -> str | None:
        """The alert for the highest fraction that `spent` (in USD) has reached since the last call, None if none."""
        reached = [f for f in (*sorted(self.warn_at), 1.0) if spent >= f * self.usd and f not in self.alerted]
        self.alerted.update(reached)
        if not reached or self.usd <= 0:
            return None
        fraction = reached[-1]
        level = next(text for least, text in _LEVELS if fraction >= least)
        daily = "" if self.name == "session" else f" of the {self.name} budget"
        return f"{level}: {fraction:.0%}{daily} used ({format_amount(spent)} of {format_amount(self.usd)})"

    def reached(self, spent: float) -> BudgetError:
        """The refusal of the next request, once `spent` USD have used the limit up."""
        name = "Budget" if self.name == "session" else f"{self.name.capitalize()} budget"
        return BudgetError(f"{name} reached: {format_usd(spent)} of {format_usd(self.usd)} spent.", self.raise_it)


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
    """Why a prompt that costs at least `cost` USD cannot be sent, None if it can."""
    left = limit.left(spent)
    if 0 < left >= cost:
        return None
    if left <= 0:
        return limit.reached(spent)
    return BudgetError(
        f"The {limit.name} budget has {format_usd(left)} left, and the prompt alone may cost {format_usd(cost)}.",
        limit.raise_it,
    )
