"""llmrepl: a shell for language models that saves every conversation."""

__version__ = "0.1.0"
