"""The money of one shell: what a request may cost before it is sent, and what it did cost after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from llmrepl.billing.cost import cost_of
from llmrepl.billing.ledger import Ledger, LedgerError
from llmrepl.billing.limits import Limit, admit
from llmrepl.billing.price_catalog import PriceCatalog
from llmrepl.billing.pricing import LedgerEntry, Price, flat
from llmrepl.config.settings import Settings
from llmrepl.errors import BudgetError
from llmrepl.formatting import format_usd
from llmrepl.providers.base import Options
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.types import Usage

if TYPE_CHECKING:
    from llmrepl.models.resolver import ResolvedModel
    from llmrepl.providers.protocols.base import ModelInfo

T = TypeVar("T")

LONGEST_CAP = 8192
"""Tokens; some models refuse to be asked for a longer reply, and none is refused that is asked for this."""

GO_ON = "':budget increase 0.50' or 'llm chat -b USD' raises it, ':budget off' takes it away"
GO_ON_TODAY = "'llm config set daily_budget USD' or LLM_DAILY_BUDGET raises it"


@dataclass
class Reservation:
    """A request that was let through: the longest reply that fits, and the USD that it may cost; None for any."""

    price: Price | None
    max_tokens: int | None
    left: float | None
    reserved: int | None
    prompt_tokens: int

    def capped(self, options: Options) -> Options:
        """The user's options, the reply no longer than what fits."""
        longest = [n for n in (options.max_tokens, self.max_tokens) if n is not None]
        return replace(options, max_tokens=min(longest)) if longest else options

    def overrun(self, completion_tokens: int) -> bool:
        """Whether a reply of so many tokens costs more than what was left."""
        if self.left is None or self.price is None:
            return False
        return self.price.of(self.prompt_tokens, 0, 0, completion_tokens) > self.left


class CostTracker:
    """Prices, limits and the ledger.

    `left` is what the limits leave after the last request, in USD, None without one. `tell` takes what the user should
    know, `listed` gives what a model's provider said of it in its own list.
    """

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        paths: Paths,
        tell: Callable[[str], None],
        listed: Callable[[ResolvedModel], ModelInfo | None] = lambda resolved: None,
    ) -> None:
        self._environment = environment
        self._settings = settings
        self._tell = tell
        self.prices = PriceCatalog(settings.prices, paths.cache_dir / "prices.json")
        self._listed = listed
        self._ledger = Ledger(paths.state_dir / "ledger.db", tell)
        self._broken = False
        self.session: Limit | None = None
        self.daily: Limit | None = None
        self.spent = 0.0
        self.left: float | None = None
        self.incognito = False
        if (usd := settings.number("default_budget")) is not None:
            self.set_session(usd)
        if (usd := settings.number("daily_budget")) is not None:
            self.daily = Limit("daily", usd, GO_ON_TODAY)

    def set_session(self, usd: float | None, warn_at: float | None = None) -> None:
        """Set or (None) take away the session's limit; `warn_at` is one share to tell at instead of the usual ones."""
        self.session = Limit("session", usd, GO_ON) if usd is not None else None
        if self.session and warn_at is not None:
            self.session.warn_at = (warn_at,)

    def price(self, resolved: ResolvedModel) -> Price | None:
        """The price of a model, None if unknown; the provider's own list fills in what is not known otherwise."""
        price = self.prices.find(resolved.provider, resolved.model, self._environment.now(), keep=not self.incognito)
        info = self._listed(resolved)
        return _with_list(price, info) if info else price

    def reserve(self, resolved: ResolvedModel, most_tokens: Callable[[], int]) -> Reservation:
        """Let a request through that reads `most_tokens` (counted only if there is a limit). Raises BudgetError."""
        limits = self._limits()
        if not limits:
            return Reservation(None, None, None, None, 0)
        price = self.price(resolved)
        prompt_tokens = most_tokens()
        stop, longest = self._settings.text("budget_at_limit") == "stop", self._settings.count("max_tokens")
        admission = admit(limits, prompt_tokens, price, stop=stop, longest=longest)
        if admission.note:
            self._tell(admission.note)
        reservation = Reservation(price, _sendable(admission.max_tokens), admission.left, None, prompt_tokens)
        if self.daily and price and not price.free:
            self._reserve(reservation, price, self.daily, admission.worst)
        return reservation

    def record(
        self, reservation: Reservation, resolved: ResolvedModel, usage: Usage | None, *, kind: str, session: str
    ) -> float | None:
        """Record what a request was; returns its cost in USD, None if unknown. In incognito amounts only are kept."""
        cost = self._cost(resolved, usage)
        self.spent += cost or 0.0
        entry = self._entry(resolved, usage, cost, kind, session)
        number = reservation.reserved
        self._record(lambda: self._ledger.add(entry) if number is None else self._ledger.settle(number, entry))
        limits = self._limits()
        self.left = min((limit.left(spent) for limit, spent in limits), default=None)
        for alert in filter(None, (limit.alert(spent) for limit, spent in limits)):
            self._tell(alert)
        return cost

    def record_retry(
        self, reservation: Reservation, resolved: ResolvedModel, usage: Usage | None, *, session: str
    ) -> None:
        """Record an attempt that failed and is made again; `usage` if it may cost something. Raises BudgetError."""
        cost = self._cost(resolved, usage)
        self.spent += cost or 0.0
        entry = self._entry(resolved, usage, cost, "retried", session)
        self._record(lambda: self._ledger.add(entry))
        if cost and reservation.left is not None:
            reservation.left -= cost
            if reservation.left < cost:
                raise BudgetError("the budget has too little left for another try", GO_ON)

    def release(self, reservation: Reservation) -> None:
        """Take back what was reserved for a request that is not sent after all."""
        number = reservation.reserved
        if number is not None:
            self._record(lambda: self._ledger.release(number))

    def spent_today(self) -> float:
        """What all shells have spent today, in USD, as far as it is known."""
        return self._record(lambda: self._ledger.spent_today(self._environment.now())) or 0.0

    def entries(self, since: datetime | None) -> list[LedgerEntry]:
        """All requests from the local day of `since` on, or ever."""
        return self._record(lambda: list(self._ledger.entries(since))) or []

    def status(self) -> str:
        """The limits and what is spent of them."""
        lines = [f"Session: {format_usd(self.spent)} of {_of(self.session)}"]
        if self.daily:
            lines.append(f"Today: {format_usd(self.spent_today())} of {_of(self.daily)}")
        return "\n".join(lines)

    def _limits(self) -> list[tuple[Limit, float]]:
        """The limits, each with what is spent of it."""
        limits = [(self.session, self.spent)] if self.session else []
        return limits + ([(self.daily, self.spent_today())] if self.daily else [])

    def _entry(
        self, resolved: ResolvedModel, usage: Usage | None, cost: float | None, kind: str, session: str
    ) -> LedgerEntry:
        now, used = self._environment.now(), usage or Usage(0, 0)
        names = ("", "", "") if self.incognito else (resolved.provider, resolved.shown, session)
        return LedgerEntry(
            now.timestamp(),
            f"{now:%Y-%m-%d}",
            *names,
            kind,
            used.prompt_tokens,
            used.completion_tokens,
            used.cached_tokens,
            used.reasoning_tokens,
            cost if usage else 0.0,
            used.estimated,
        )

    def _cost(self, resolved: ResolvedModel, usage: Usage | None) -> float | None:
        if usage is None:
            return None
        return cost_of(usage, None if usage.cost is not None else self.price(resolved))

    def _reserve(self, reservation: Reservation, price: Price, daily: Limit, wanted: float) -> None:
        now = self._environment.now()
        got = self._record(lambda: self._ledger.reserve_within(now, wanted, daily.usd))
        if got is None:
            return
        reservation.reserved, amount = got
        if amount + 1e-12 < wanted and self._settings.text("budget_at_limit") == "stop":
            reservation.left = amount
            fits = price.affordable(amount - price.worst_input(reservation.prompt_tokens), reservation.prompt_tokens)
            reservation.max_tokens = _sendable(fits)
            if not fits:
                self._record(lambda: self._ledger.release(reservation.reserved or 0))
                raise BudgetError(f"the daily budget of {format_usd(daily.usd)} is spent", daily.raise_it)

    def _record(self, work: Callable[[], T]) -> T | None:
        """Do something with the ledger; if it cannot be, say so once, and go on without it."""
        try:
            return work()
        except LedgerError as error:
            if not self._broken:
                self._broken = True
                self._tell(f"the record of costs cannot be used, and usage is not counted: {error}")
            return None


def _with_list(price: Price | None, info: ModelInfo) -> Price | None:
    """A price with the context window of the provider's own list, or its prices where no others are known."""
    if price is None and info.input_price is not None and info.output_price is not None:
        rates = flat(info.input_price * 1e6), flat(info.output_price * 1e6)
        return Price(*rates, source="provider", context_window=info.context_window)
    return replace(price, context_window=info.context_window or price.context_window) if price else None


def _sendable(longest: int | None) -> int | None:
    """A cap that every model takes, None for one that is longer: then the reply is watched while it streams."""
    return longest if longest is not None and longest <= LONGEST_CAP else None


def _of(limit: Limit | None) -> str:
    return format_usd(limit.usd) if limit else "Unlimited"
