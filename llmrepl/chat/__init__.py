"""The conversation: its state, its turns, and the services behind it."""
