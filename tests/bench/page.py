"""Write docs/performance.md: every figure, scaling with the number of sessions, and other programs."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tests.bench import Figure, peers, sessions

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "performance.md"
NUMBERS = (10, 1_000, 10_000, 100_000)

PROMISED = 10_000
"""With fewer sessions starting the program is most of what is measured, and nothing is promised."""

HEAD = """# Performance

Every figure is a ratio to something that a reader can judge, measured in the same run: a bare prompt, a bare script,
`find`, grep, one rendering by rich. `python -m tests.bench` repeats the measurement, and with `--peers` it writes
this page.
"""


def write(figures: Mapping[str, Sequence[Figure]]) -> None:
    """Measure what `figures` lacks and write the page."""
    grown = {number: _at(number) for number in NUMBERS}
    parts = [
        HEAD,
        f"This one was written on {date.today()}, on {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}.\n",
        _figures(figures),
        _growth(grown),
        _others(peers.measure()),
    ]
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def _at(number: int) -> list[Figure]:
    """Measure the session manager with `count` sessions."""
    os.environ["LLMREPL_BENCH_SESSIONS"] = str(number)
    found = sessions.measure()
    print(number, *(figure.detail for figure in found), sep="\n  ", flush=True)
    return found


def _figures(figures: Mapping[str, Sequence[Figure]]) -> str:
    lines = ["## Against a baseline\n", "| figure | ratio | limit | measured |", "| --- | --- | --- | --- |"]
    for name in figures:
        lines += [_line(figure) for figure in figures[name]]
    return "\n".join([*lines, ""])


def _line(figure: Figure) -> str:
    ratio = f"{figure.ratio:.2f}" if figure.kept else f"**{figure.ratio:.2f}, beyond the limit**"
    return f"| {figure.name} | {ratio} | {figure.limit:.2f} | {figure.detail} |"


def _growth(grown: Mapping[int, Sequence[Figure]]) -> str:
    lines = [
        "## What grows with the number of sessions\n",
        f"| | {' | '.join(f'{number:,}' for number in grown)} |",
        f"| --- |{' --- |' * len(grown)}",
    ]
    for row in zip(*grown.values(), strict=True):
        name = row[0].name.replace(f"{NUMBERS[0]:,} ", "").replace("|", "\\|")
        marks = [
            figure.detail + (" **(beyond the limit)**" if not figure.kept and number >= PROMISED else "")
            for number, figure in zip(grown, row, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(marks)} |")
    return "\n".join([*lines, ""])


def _others(found: Mapping[str, Sequence[float | None]]) -> str:
    lines = [
        "## Beside other programs\n",
        "Whole programs, the same server on this machine, in seconds; a dash: it does not do that, or not within "
        f"{peers.PATIENCE:.0f} s.\n",
        f"| | {' | '.join(peers.WORK)} |",
        f"| --- |{' --- |' * len(peers.WORK)}",
    ]
    for name, row in found.items():
        lines.append(f"| {name} | {' | '.join('–' if one is None else f'{one:.2f}' for one in row)} |")
    return "\n".join([*lines, ""])
