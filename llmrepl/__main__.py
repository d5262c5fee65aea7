"""Run `llm` as `python -m llmrepl`."""

from llmrepl.cli import run

run()
