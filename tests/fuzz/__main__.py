"""Fuzz for long: `python -m tests.fuzz [TARGET…] --minutes M`, one target after the other.

With the package atheris installed the inputs are found by coverage, else by chance. Exit code 1 if anything broke.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
import traceback
from random import Random

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz the targets. The exit code is 1 if anything broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Bytes of any kind for every reader.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"which ones, of: {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=1, help="how long for each target")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"no target named {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    seconds = round(chosen.minutes * 60)
    run = _guided if importlib.util.find_spec("atheris") else _by_chance
    broken = [name for name in chosen.targets or TARGETS if not run(name, seconds)]
    _say(f"broken: {', '.join(broken)}" if broken else "nothing broke")
    return 1 if broken else 0


def _guided(name: str, seconds: int) -> bool:
    words = [sys.executable, "-m", "tests.fuzz.guided", name, str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace")
    _say(f"{name}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    if done.returncode:
        _say(done.stdout[-4000:])
    return done.returncode == 0


def _by_chance(name: str, seconds: int) -> bool:
    random, target = Random(), TARGETS[name]
    tried, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        data = mutated(random, target.seeds, 12)
        tried += 1
        try:
            target.check(data)
        except Exception:  # noqa: BLE001 - whatever comes out of it is the finding
            _say(f"{name}: broke at input {tried}: {data!r}\n{traceback.format_exc()}")
            return False
    _say(f"{name}: {tried} inputs")
    return True


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
