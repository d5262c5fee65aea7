"""Fuzz one target guided by coverage: `python -m tests.fuzz.guided TARGET SECONDS`, with atheris installed.

What breaks it is printed with its traceback and kept as a file `fuzz-TARGET-…`; the exit code is then not 0.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import TOKENS


def main(name: str, seconds: int) -> None:
    """Fuzz until the time is up or a check fails, which ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["llmrepl"]):
        target = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        words = Path(corpus).with_suffix(".words")
        words.write_text("".join(f'"{"".join(f"{chr(92)}x{byte:02x}" for byte in word)}"\n' for word in TOKENS if word))
        options = [f"-max_total_time={seconds}", f"-artifact_prefix=fuzz-{name}-", f"-dict={words}", "-max_len=4000"]
        atheris.Setup([sys.argv[0], corpus, *options, "-rss_limit_mb=2048", "-timeout=20"], target.check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
