"""Errors, each with a message and a hint for the user."""

from __future__ import annotations

from collections.abc import Iterable

OK, FAILED, WRONG, DAMAGED, UNSAVED, OVER_BUDGET, IN_USE, MISFIT = 0, 1, 2, 3, 4, 5, 6, 7

GRAVITY = (UNSAVED, DAMAGED, IN_USE, OVER_BUDGET, FAILED, MISFIT, WRONG)
"""Exit codes, most severe first; the most severe of several failures wins."""


class LLMError(Exception):
    """A failure that is reported to the user and sets the exit code, without a traceback.

    `message` is one sentence about what failed, `hint` one about what to do. `may_be_billed`: the server accepted the
    request and may charge for it although no text arrived.
    """

    code = FAILED
    may_be_billed = False

    def __init__(self, message: str, hint: str = "", *, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message}{' ' if self.message.endswith(('.', '!', '?')) else '; '}{self.hint}"


class UsageError(LLMError):
    """Wrong usage or configuration: an unknown command, name or model, a missing key, an existing name."""

    code = WRONG


class DamagedError(LLMError):
    """A session file that is damaged or refused."""

    code = DAMAGED


class SaveError(LLMError):
    """Something in memory could not be saved."""

    code = UNSAVED


class BudgetError(LLMError):
    """The request would exceed a limit set by the user."""

    code = OVER_BUDGET


class SessionInUseError(LLMError):
    """Another shell has the session open."""

    code = IN_USE


class MisfitError(LLMError):
    """The reply does not fit the JSON Schema that was asked for."""

    code = MISFIT


class SignalExit(SystemExit):
    """SIGTERM or SIGHUP arrived: save, then end by that signal.

    A SystemExit, because event loops propagate only that and KeyboardInterrupt from callbacks.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def most_severe(codes: Iterable[int]) -> int:
    """Return the most severe exit code; 0 if there is no failure."""
    seen = set(codes)
    return next((code for code in GRAVITY if code in seen), OK)
