"""Fuzzing of everything that reads foreign bytes: `python -m tests.fuzz` for long, pytest briefly."""
