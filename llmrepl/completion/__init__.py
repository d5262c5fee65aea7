"""Generates docs/commands.md and the completion scripts from the command table: `python -m llmrepl.completion`."""
