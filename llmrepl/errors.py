"""What can go wrong, said so that a person knows what to do next."""

from __future__ import annotations

from collections.abc import Iterable

OK, FAILED, WRONG, DAMAGED, UNSAVED, OVER_BUDGET, IN_USE = 0, 1, 2, 3, 4, 5, 6

GRAVITY = (UNSAVED, DAMAGED, IN_USE, OVER_BUDGET, FAILED, WRONG)
"""Exit codes, the gravest first: of several failures in one run the gravest is the exit code."""


class Failure(Exception):
    """A failure that is shown to the user and ends in an exit code, never in a traceback.

    `what` is one sentence saying what failed, `next` one saying what to do about it. `worked`: a server took the
    request and may ask money for it, though no text came.
    """

    code = FAILED
    worked = False

    def __init__(self, what: str, next: str = "", *, code: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.next = next
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        if not self.next:
            return self.what
        return f"{self.what}{' ' if self.what.endswith(('.', '!', '?')) else '; '}{self.next}"


class WrongUse(Failure):
    """Wrong usage or configuration: an unknown command, name or model, a missing key, an existing name."""

    code = WRONG


class Damaged(Failure):
    """A session file that cannot be read whole, or is refused."""

    code = DAMAGED


class NotSaved(Failure):
    """Something that is in memory and could not be put on disk."""

    code = UNSAVED


class OverBudget(Failure):
    """The next request would pass a limit that the user set."""

    code = OVER_BUDGET


class InUse(Failure):
    """A session that another shell has open."""

    code = IN_USE


class Stopped(SystemExit):
    """SIGTERM or SIGHUP arrived: save, then die of that signal.

    A SystemExit, because an event loop lets only that and KeyboardInterrupt through its callbacks.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def gravest(codes: Iterable[int]) -> int:
    """The exit code that counts when several failures happened; 0 if none did."""
    seen = set(codes)
    return next((code for code in GRAVITY if code in seen), OK)
