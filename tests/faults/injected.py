"""Run the program in a forked process in which one disk operation fails.

What is wrapped are Python's own functions in `os`, as far as they change something below one directory. What SQLite
does and what a file object writes by itself is not seen.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir", "ftruncate", "utime")

KILLS = ("before", "after", "torn")
"""Killed with SIGKILL: before the call, after it, or with half of the bytes written."""

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EMFILE", "EROFS")
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
SHORT = "short"
"""A write that takes half of the bytes and says so."""

_MAKING = os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Plan:
    """The fault at call number `call` (from 0), and with `for_good` at every later one."""

    fault: str = ""
    call: int = -1
    for_good: bool = False

    def __str__(self) -> str:
        return f"{self.fault} at call {self.call}{' and after' if self.for_good else ''}"

    def fits(self, name: str) -> bool:
        """Whether the fault is possible for this call."""
        if self.fault in ("torn", SHORT):
            return name == "write"
        if self.fault == "EMFILE":
            return name == "open"
        return name not in ("unlink", "rmdir") if self.fault in ("ENOSPC", "EDQUOT") else True


@dataclass(frozen=True)
class Operation:
    """A recorded call: `path` and `other` below the directory, and the written `data`; `said` is how many
    bytes of output had been printed."""

    name: str
    path: str
    other: str = ""
    data: bytes = b""
    size: int = 0
    said: int = 0


class Injector:
    """Wraps the calls in this process. `operations` are the recorded calls; `said` returns how much was printed."""

    def __init__(self, top: Path, plan: Plan, said: Callable[[], int]) -> None:
        self._top = os.path.realpath(top)
        self._plan = plan
        self._said = said
        self._paths: dict[int, str] = {}
        self.operations: list[Operation] = []
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        close = os.close

        def closed(fd: int) -> None:
            self._paths.pop(fd, None)
            close(fd)

        os.close = closed

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            path = self._path(args[0])
            if path is None or (name == "open" and not args[1] & _MAKING):
                return self._opened(name, path, real(*args, **more))
            number = len(self.operations)
            plan = self._plan
            self.operations.append(self._operation(name, path, args))
            hit = number == plan.call or (plan.for_good and number > plan.call)
            if hit and plan.fits(name):
                return self._opened(name, path, self._fault(name, real, args, more))
            return self._opened(name, path, real(*args, **more))

        return call

    def _opened(self, name: str, path: str | None, result: Any) -> Any:
        if name == "open":
            self._paths.pop(result, None)
            if path is not None:
                self._paths[result] = path
        return result

    def _path(self, given: Any) -> str | None:
        """Return the path of a path or an open file relative to the directory, or None if it is outside."""
        if isinstance(given, int):
            return self._paths.get(given)
        directory, name = os.path.split(os.path.join(os.getcwd(), os.fsdecode(given)))
        path = os.path.join(os.path.realpath(directory), name)
        return os.path.relpath(path, self._top) if f"{path}{os.sep}".startswith(self._top + os.sep) else None

    def _operation(self, name: str, path: str, args: tuple[Any, ...]) -> Operation:
        other = (self._path(args[1]) or "") if name in ("rename", "replace", "link") else ""
        data = bytes(args[1]) if name == "write" else b""
        size = args[1] if name == "ftruncate" else 0
        return Operation(name, path, other, data, size, self._said())

    def _fault(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], more: dict[str, Any]) -> Any:
        fault = self._plan.fault
        if fault in SIGNALS:
            os.kill(os.getpid(), getattr(signal, fault))
            return real(*args, **more)
        if fault in ERRORS:
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number))
        if fault in ("torn", SHORT):
            fd, data = args
            written = real(fd, bytes(data)[: max(1, len(data) // 2)])
            if fault == SHORT:
                return written
        if fault == "after":
            real(*args, **more)
        os.kill(os.getpid(), signal.SIGKILL)
        return None
