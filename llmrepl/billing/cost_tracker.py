"""The cost tracker of one shell: admits requests within the limits and records their cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from llmrepl.billing.cost import cost_of
from llmrepl.billing.ledger import BUSY_SECONDS, Ledger, LedgerError
from llmrepl.billing.limits import Limit, admit
from llmrepl.billing.price_catalog import PriceCatalog
from llmrepl.billing.pricing import LedgerEntry, Price, flat_rate
from llmrepl.billing.reservation import RAISE_SESSION, Reservation
from llmrepl.config.settings import Settings
from llmrepl.errors import BudgetError
from llmrepl.formatting import format_amount, format_usd
from llmrepl.system.environment import Environment
from llmrepl.system.paths import Paths
from llmrepl.system.progress import Progress
from llmrepl.types import Usage

if TYPE_CHECKING:
    from llmrepl.models.resolver import ResolvedModel
    from llmrepl.providers.protocols.base import ModelInfo

T = TypeVar("T")

RAISE_DAILY = "'llm config set daily_budget USD' or LLM_DAILY_BUDGET raises it, ':budget off' ignores it in this shell"

_PATIENCE = 10.0
"""Seconds to wait for other shells if no limit depends on the ledger."""


class CostTracker:
    """Reserves money for requests, records costs and enforces the limits.

    `left` is the remaining budget in USD after the last request, None without a limit. `tell` receives messages for the
    user; `listed` returns a model's entry in its provider's list. With a daily limit nothing is sent while the ledger
    is unavailable.
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
        self.session: Limit | None = None
        self.daily: Limit | None = None
        self.spent = 0.0
        self.left: float | None = None
        self.incognito = False
        if (usd := settings.number("default_budget")) is not None:
            self.set_session(usd)
        if (usd := settings.number("daily_budget")) is not None:
            self.daily = Limit("daily", usd, RAISE_DAILY)
        progress = Progress(environment)
        self._ledger = Ledger(
            paths.state_dir / "ledger.db",
            tell,
            lambda seconds: progress.wait("waiting for the usage ledger, which another shell is using", seconds),
            environment.monotonic,
            BUSY_SECONDS if self.daily else _PATIENCE,
        )
        self._reported = False
        self._unrecorded: list[Callable[[], None]] = []

    def set_session(self, usd: float | None, warn_at: float | None = None) -> None:
        """Set or (None) remove the session's limit; `warn_at` replaces the default fractions to warn at."""
        self.session = Limit("session", usd, RAISE_SESSION) if usd is not None else None
        if self.session and warn_at is not None:
            self.session.warn_at = (warn_at,)

    def remove_limits(self) -> None:
        """Ignore all limits in this shell from now on."""
        self.session = self.daily = None

    def price(self, resolved: ResolvedModel, *, keep: bool = True) -> Price | None:
        """Return the price of a model, None if unknown; gaps are filled from the provider's list.

        `keep` caches it in a file, which takes longer the more prices are in it.
        """
        now, keep = self._environment.now(), keep and not self.incognito
        price = self.prices.find(resolved.provider, resolved.model, now, keep=keep)
        if price is None and resolved.vendor and resolved.vendor.price_owner != resolved.provider:
            price = self.prices.find(resolved.vendor.price_owner, resolved.model, now, keep=keep)
        info = self._listed(resolved)
        return _with_list(price, info) if info else price

    def shares(self, count: int) -> list[tuple[Limit, float]]:
        """Return the limits with the amounts spent as if only 1/`count` of what is left might be spent.

        Requests that are each admitted within their share stay within the limits together. Raises BudgetError if the
        daily limit cannot be checked.
        """
        return [(limit, max(spent, limit.usd - limit.left(spent) / count)) for limit, spent in self._limits()]

    def reserve(
        self,
        resolved: ResolvedModel,
        most_tokens: Callable[[], int],
        limits: Sequence[tuple[Limit, float]] | None = None,
    ) -> Reservation:
        """Admit a request whose prompt has at most `most_tokens()` tokens, called only if there is a limit.

        `limits` are by default all, with what was spent. Raises BudgetError if a limit is reached or the daily limit
        cannot be checked.
        """
        limits = self._limits() if limits is None else limits
        if not limits:
            return Reservation(None, None, None, None, 0)
        price = self.price(resolved)
        prompt_tokens = most_tokens()
        stop, longest = self._settings.text("budget_at_limit") == "stop", self._settings.count("max_tokens")
        admission = admit(limits, prompt_tokens, price, stop=stop, longest=longest)
        if admission.note:
            self._tell(admission.note)
        reservation = Reservation(price, admission.max_tokens, admission.left, None, prompt_tokens)
        if self.daily and not (price and price.free):
            self._reserve(reservation, resolved, self.daily, admission.worst)
        return reservation

    def record(
        self, reservation: Reservation, resolved: ResolvedModel, usage: Usage | None, *, kind: str, session: str
    ) -> float | None:
        """Record a request; return its cost in USD, None if unknown. In incognito mode only amounts are recorded."""
        cost = self._cost(resolved, usage)
        self.spent += cost or 0.0
        entry = self._entry(resolved, usage, cost, kind, session)
        row = reservation.row
        self._write(lambda: self._ledger.add(entry) if row is None else self._ledger.settle(row, entry))
        try:
            limits = self._limits()
        except BudgetError:  # reported by the write, and before the next request
            limits = []
        self.left = min((limit.left(spent) for limit, spent in limits), default=None)
        for alert in filter(None, (limit.alert(spent) for limit, spent in limits)):
            self._tell(alert)
        return cost

    def record_retry(
        self, reservation: Reservation, resolved: ResolvedModel, usage: Usage | None, *, session: str
    ) -> float | None:
        """Record a failed attempt before a retry, with `usage` if it may be billed; return its cost in USD.

        Raises BudgetError if the remaining budget does not cover another attempt.
        """
        cost = self._cost(resolved, usage)
        self.spent += cost or 0.0
        entry = self._entry(resolved, usage, cost, "retried", session)
        self._write(lambda: self._ledger.add(entry))
        if cost and reservation.left is not None:
            reservation.left -= cost
            if reservation.left < cost:
                raise BudgetError("The budget has too little left for another attempt.", RAISE_SESSION)
        return cost

    def release(self, reservation: Reservation) -> None:
        """Release the reservation of a request that is not sent."""
        row = reservation.row
        if row is not None:
            self._write(lambda: self._ledger.release(row))

    def spent_today(self) -> float:
        """Return the known cost of today's requests in all shells, in USD; 0 if the ledger is unavailable."""
        return self._read(lambda: self._ledger.spent_today(self._environment.now())) or 0.0

    def entries(self, since: datetime | None) -> list[LedgerEntry]:
        """Return all requests since the local day of `since`, or ever."""
        return self._read(lambda: list(self._ledger.entries(since))) or []

    def status(self) -> str:
        """Describe the limits and how much of each is spent."""
        lines = [f"Session: {format_usd(self.spent)} of {_amount_of(self.session)}"]
        if self.daily:
            lines.append(f"Today: {format_usd(self.spent_today())} of {_amount_of(self.daily)}")
        return "\n".join(lines)

    def close(self) -> None:
        """Write entries that could not be written before."""
        self._read(self._record_pending)
        self._ledger.close()

    def _limits(self) -> list[tuple[Limit, float]]:
        """Return the limits with the amounts spent. Raises BudgetError if the daily limit cannot be checked."""
        limits = [(self.session, self.spent)] if self.session else []
        if self.daily:
            try:
                self._record_pending()
                limits.append((self.daily, self._ledger.spent_today(self._environment.now())))
            except LedgerError as error:
                raise _unchecked(error) from error
        return limits

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

    def _reserve(self, reservation: Reservation, resolved: ResolvedModel, daily: Limit, wanted: float) -> None:
        """Reserve `wanted` USD of the daily limit, or what other shells leave of it. Raises BudgetError."""
        price, now = reservation.price, self._environment.now()
        try:
            reservation.row, amount = self._ledger.reserve_within(now, wanted, daily.usd)
            typical = self._ledger.typical_cost(now, resolved.shown)
        except LedgerError as error:
            self.release(reservation)
            raise _unchecked(error) from error
        if not price or self._settings.text("budget_at_limit") != "stop":
            return
        if amount + 1e-12 < wanted:  # other shells were faster
            reservation.left = amount
            fits = price.affordable(amount - price.worst_input(reservation.prompt_tokens), reservation.prompt_tokens)
            reservation.max_tokens = fits
            if not fits:
                self.release(reservation)
                raise daily.reached(daily.usd - amount)
        if reservation.max_tokens is not None and amount < typical:  # the reply would probably be truncated
            self.release(reservation)
            raise BudgetError(
                f"The daily budget has {format_usd(amount)} left, and a reply of {resolved.shown} costs about "
                f"{format_usd(typical)}.",
                daily.raise_it,
            )

    def _record_pending(self) -> None:
        """Write entries that could not be written when their requests ended. Raises LedgerError."""
        while self._unrecorded:
            self._unrecorded[0]()
            self._unrecorded.pop(0)

    def _write(self, write: Callable[[], None]) -> None:
        """Write to the ledger now or, if that fails, before its next use; the first failure is reported."""
        self._unrecorded.append(write)
        self._read(self._record_pending)

    def _read(self, read: Callable[[], T]) -> T | None:
        """Read from the ledger; if it is unavailable, report that once and return None."""
        try:
            return read()
        except LedgerError as error:
            if not self._reported:
                self._reported = True
                self._tell(f"Cannot open the usage ledger: {error}. Requests are not recorded until that works again.")
            return None


def _unchecked(error: LedgerError) -> BudgetError:
    return BudgetError(
        f"Cannot check the daily budget: the usage ledger is not usable ({error}).",
        "nothing was sent; ':budget off' sends without the limit",
    )


def _with_list(price: Price | None, info: ModelInfo) -> Price | None:
    """Add the context window of the provider's list to a price, or use the list's prices if there are no others."""
    if price is None and info.input_price is not None and info.output_price is not None:
        rates = flat_rate(info.input_price * 1e6), flat_rate(info.output_price * 1e6)
        return Price(*rates, source="provider", context_window=info.context_window)
    return replace(price, context_window=info.context_window or price.context_window) if price else None


def _amount_of(limit: Limit | None) -> str:
    return format_amount(limit.usd) if limit else "Unlimited"
