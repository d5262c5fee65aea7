"""The interactive prompt, built on prompt_toolkit."""
