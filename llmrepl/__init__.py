"""llmrepl: a shell for language models that keeps every word."""

__version__ = "0.1.0"
