"""Tests of behavior, from outside the package. `python -m tests.bench` runs the benchmarks."""
