"""The face for a person: a prompt that one stays in. The only door to prompt_toolkit."""
