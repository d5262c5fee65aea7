"""Files made from the table of commands: `python -m llmrepl.generate` writes them, a test says when they are stale."""
