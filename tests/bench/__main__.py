"""Run the named benchmarks, or all: `python -m tests.bench [NAME…]`. Exits with 1 if a limit is exceeded."""

from __future__ import annotations

import argparse
import compileall
import importlib
import pkgutil
from pathlib import Path

import llmrepl
from tests.bench import Figure


def main() -> int:
    """Measure and print a table. The exit code is 1 if a figure exceeds its limit."""
    found = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    names = sorted(found - {"__main__", "generate", "peers", "page"})
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the shell against baselines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones, of: {', '.join(names)}")
    parser.add_argument("--peers", action="store_true", help="other programs too; write docs/performance.md")
    chosen = parser.parse_args()
    wanted = chosen.names or [name for name in names if not (chosen.peers and name == "sessions")]
    if unknown := set(wanted) - set(names):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    compileall.compile_dir(str(Path(llmrepl.__file__).parent), quiet=2)  # as pip does when it installs
    figures: dict[str, list[Figure]] = {name: [] for name in wanted}
    for name in wanted:
        for figure in importlib.import_module(f"tests.bench.{name}").measure():
            mark = "" if figure.kept else "   <- beyond the limit"
            line = f"{figure.name:<48} {figure.ratio:6.2f} x   limit {figure.limit:.2f}   {figure.detail}{mark}"
            print(line, flush=True)
            figures[name].append(figure)
    if chosen.peers:
        from tests.bench import page

        page.write(figures)
    return 0 if all(figure.kept for found in figures.values() for figure in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
