"""Formulas are shown verbatim, and the line breaks of a reply are kept."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from llmrepl.rendering.markdown.document import render

FORMULAS = [
    r"so \(x_1 * y_1 * z\) ok",
    r"$\{1,2\}$ and $a_b + c_d$",
    r"$\underbrace{\{1\}}_{P_1},\underbrace{\{3\}}_{P_2}$",
    r"$$ a \\ b $$",
    r"\[ x \]",
    "\\[\n\\begin{aligned}\nx &= \\{1, 2\\} \\\\\ny &= \\frac{1}{2} \\, z\n\\end{aligned}\n\\]",
    "$$\na\n+ b\n- c\n= d_1 * e_1 * f\n$$",
    "\\begin{align*}\n# a &= b \\\\\n> c\n\\end{align*}",
]


def rows(text: str) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80)
    return re.sub(r"\x1b\[[0-9;]*m", "", render(text, console))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_shown_as_it_was_written(formula: str) -> None:
    shown = [row.strip() for row in rows(f"Before:\n\n{formula}\n\nafter *all*").splitlines() if row.strip()]
    assert shown == ["Before:", *formula.split("\n"), "after all"]


@pytest.mark.parametrize("formula", FORMULAS[5:])
def test_a_formula_may_follow_a_line_of_text(formula: str) -> None:
    shown = [row.strip() for row in rows(f"where\n{formula}\nand *so* on").splitlines() if row.strip()]
    assert shown == ["where", *formula.split("\n"), "and so on"]


def test_money_is_no_formula() -> None:
    assert rows("It costs $5 and *not* $6, or 5$ *and* 6$").strip() == "It costs $5 and not $6, or 5$ and 6$"


def test_an_open_formula_ends_at_a_blank_line() -> None:
    assert rows("\\[\nx\n\n*after*").split() == ["\\[", "x", "after"]


def test_single_line_breaks_are_kept() -> None:
    assert rows("roses are *red*\nviolets are blue").strip().split("\n") == ["roses are red", "violets are blue"]
