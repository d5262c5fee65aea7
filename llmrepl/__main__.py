"""`python -m llmrepl` is `llm`."""

from llmrepl.cli import run

run()
