"""Argument types: convert text to values, with error messages."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any


def usd(text: str) -> float:
    """Parse an amount in USD, `1.50` or `$1.50`: finite and not negative. Raises argparse.ArgumentTypeError."""
    amount = _number(text.removeprefix("$"))
    if not 0 <= amount < 1e9:
        raise argparse.ArgumentTypeError(f"'{text[:20]}' is not an amount in USD, such as 1.50")
    return amount


def fraction(text: str) -> float:
    """Parse a fraction of the budget, `0.8` or `80%`, above 0 and at most 1. Raises argparse.ArgumentTypeError."""
    value = _number(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text[:20]}' is not a fraction of the budget, such as 0.8")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def describe(kind: Callable[[str], Any]) -> tuple[str, str]:
    """Return what an argument of a type takes, as a noun, and an example."""
    if kind is usd:
        return "an amount in USD", "1.50"
    return ("a fraction of the budget", "0.8") if kind is fraction else ("a number", "5")
