"""Inject faults: `python -m tests.faults [PART…] --stride N`.

A table at the end; exit code 1 if any promise broke.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator

from tests.faults.report import PROMISES, Outcome

PARTS = ("storage", "network", "files", "merge", "damage", "system", "shells")


def main() -> int:
    """Run the selected parts, report each broken promise when it is seen, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults, and what came of them.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which ones, of: {', '.join(PARTS)}")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="inject only every N-th fault")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = [row for part in chosen.parts or PARTS for row in _tried(part, chosen.stride)]
    _say("\n" + "".join(f"{title:>10}" for title in ("part", "kind", "injected", *PROMISES, "seconds")))
    for row in rows:
        _say("".join(f"{cell:>10}" for cell in row))
    return 1 if any(int(count) for row in rows for count in row[3:-1]) else 0


def _tried(part: str, stride: int) -> list[tuple[str | int, ...]]:
    """Return a row per kind of fault: its name, number of cases, broken promises, and seconds."""
    run: Callable[[int], Iterator[Outcome]] = importlib.import_module(f"tests.faults.{part}").run
    began = time.monotonic()
    counts: dict[str, dict[str, int]] = {}
    seconds: dict[str, float] = {}
    for turn_result in run(stride):
        count = counts.setdefault(turn_result.part, dict.fromkeys(("injected", *PROMISES), 0))
        count["injected"] += 1
        for promise in turn_result.broken:
            count[promise] += 1
        if turn_result.broken:
            _say(f"{turn_result.part}: {turn_result.case}: {', '.join(turn_result.broken)}: {turn_result.said}")
        began, spent = time.monotonic(), time.monotonic() - began
        seconds[turn_result.part] = seconds.get(turn_result.part, 0.0) + spent
    return [(part, kind, *count.values(), round(seconds[kind])) for kind, count in counts.items()]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
