"""Measure the memory of a program independently of the process that runs the tests.

On Linux a child's `ru_maxrss` begins at its parent's size, and pytest is large. So the program is started by a small
process of its own, which reports the figure.
"""

from __future__ import annotations

import sys
from pathlib import Path

_LAUNCHER = """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as report:
    report.write(str(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""


def launched(command: list[str], report: Path) -> list[str]:
    """Return a command line that runs `command` (first word a path) and writes its peak memory to `report`."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *command]


def peak_bytes(report: Path) -> int:
    """Return the peak resident memory of the program in bytes."""
    return int(report.read_text())
