"""Benchmarks: each module has `measure() -> list[Figure]`. `python -m tests.bench [NAME…]` prints the figures.

A figure is a ratio to a baseline that ran interleaved with it, so that it says the same on any machine.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp


@dataclass(frozen=True)
class Figure:
    """A measurement as a ratio to its baseline, both times in `detail`, and the limit for the ratio."""

    name: str
    ratio: float
    limit: float
    detail: str

    @property
    def kept(self) -> bool:
        """Whether the ratio is within its limit."""
        return self.ratio <= self.limit


def llm() -> list[str]:
    """Return the command line of the `llm` installed beside the running Python."""
    script = Path(sys.executable).with_name("llm")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from llmrepl.cli import run; run()"]


def cli() -> dict[str, str]:
    """Return an environment with an empty home and no settings."""
    ours = ("LLM_", "XDG_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "OPENROUTER_", "OLLAMA_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": mkdtemp(prefix="llmrepl-bench-"), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
