"""Fuzzing: any bytes for whatever reads bytes of others. `python -m tests.fuzz` runs for long, pytest for a moment."""
