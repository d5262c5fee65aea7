"""Inject every fault there is: `python -m tests.faults [PART…] --stride N`.

A table at the end; exit code 1 if any promise broke.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator

from tests.faults.report import PROMISES, Outcome

PARTS = ("storage", "network", "files", "merge")


def main() -> int:
    """Run the parts that are asked for, tell each broken promise as it is seen, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults, and what came of them.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which ones, of: {', '.join(PARTS)}")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="inject only every N-th fault")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = [_tried(part, chosen.stride) for part in chosen.parts or PARTS]
    _say("\n" + "".join(f"{title:>10}" for title in ("part", "injected", *PROMISES, "seconds")))
    for row in rows:
        _say("".join(f"{cell:>10}" for cell in row))
    return 1 if any(count for row in rows for count in row[2:-1]) else 0


def _tried(part: str, stride: int) -> tuple[str | int, ...]:
    """The row of a part: its name, how many faults, how often each promise broke, seconds."""
    run: Callable[[int], Iterator[Outcome]] = importlib.import_module(f"tests.faults.{part}").run
    began, injected, broken = time.monotonic(), 0, dict.fromkeys(PROMISES, 0)
    for turn_result in run(stride):
        injected += 1
        for promise in turn_result.broken:
            broken[promise] += 1
        if turn_result.broken:
            _say(f"{part}: {turn_result.case}: {', '.join(turn_result.broken)}: {turn_result.said}")
    return part, injected, *broken.values(), round(time.monotonic() - began)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
