"""Conversations from other programs: a file for each source."""
