"""What can go wrong, said so that a person knows what to do next."""

from __future__ import annotations

from collections.abc import Iterable

OK, FAILED, WRONG, DAMAGED, UNSAVED, OVER_BUDGET, IN_USE = 0, 1, 2, 3, 4, 5, 6

GRAVITY = (UNSAVED, DAMAGED, IN_USE, OVER_BUDGET, FAILED, WRONG)
"""Exit codes, the gravest first: of several failures in one run the gravest is the exit code."""


class LLMError(Exception):
    """A failure that is shown to the user and ends in an exit code, never in a traceback.

    `message` is one sentence that says what failed, `hint` one that says what to do about it. `may_be_billed`: the
    server accepted the request and may charge for it although no text came.
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
    """A session file that cannot be read whole, or is refused."""

    code = DAMAGED


class SaveError(LLMError):
    """Something that is in memory and could not be put on disk."""

    code = UNSAVED


class BudgetError(LLMError):
    """The next request would pass a limit that the user set."""

    code = OVER_BUDGET


class SessionInUseError(LLMError):
    """A session that another shell has open."""

    code = IN_USE


class SignalExit(SystemExit):
    """SIGTERM or SIGHUP arrived: save, then die of that signal.

    A SystemExit, because an event loop lets only that and KeyboardInterrupt through its callbacks.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def most_severe(codes: Iterable[int]) -> int:
    """The exit code that counts when several failures happened; 0 if none did."""
    seen = set(codes)
    return next((code for code in GRAVITY if code in seen), OK)
