"""Rendering of replies and results: on a terminal with rich, elsewhere as plain text or JSON."""
