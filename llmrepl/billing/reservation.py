"""What a request may use. It is loaded before the first token, unlike the cost tracker of a shell without limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrepl.billing.pricing import Price
    from llmrepl.providers.base import Options

RAISE_SESSION = "':budget increase 0.50' or 'llm chat -b USD' raises it, ':budget off' removes it"


@dataclass
class Reservation:
    """An admitted request: the maximum reply in tokens and its maximum cost in USD, None for no limit.

    `row` is the ledger row of the reserved amount, None if nothing was reserved.
    """

    price: Price | None
    max_tokens: int | None
    left: float | None
    row: int | None
    prompt_tokens: int

    def capped(self, options: Options) -> Options:
        """Return the options with `max_tokens` lowered to what the budget allows."""
        longest = [n for n in (options.max_tokens, self.max_tokens) if n is not None]
        return replace(options, max_tokens=min(longest)) if longest else options

    def overrun(self, completion_tokens: int) -> bool:
        """Whether a reply of `completion_tokens` costs more than what was left."""
        if self.left is None or self.price is None:
            return False
        return self.price.of(self.prompt_tokens, 0, 0, completion_tokens) > self.left
