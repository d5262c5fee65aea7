"""Behaviour from outside; `python -m tests.bench` measures."""
