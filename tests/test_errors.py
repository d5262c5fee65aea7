"""Exit codes: of several the most severe counts."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from llmrepl.errors import most_severe

MOST_SEVERE_FIRST = (4, 3, 6, 5, 1, 7, 2)


@pytest.mark.parametrize(("graver", "lighter"), list(pairwise(MOST_SEVERE_FIRST)))
def test_the_most_severe_code_counts(graver: int, lighter: int) -> None:
    assert {most_severe(codes) for codes in permutations((graver, lighter, 0))} == {graver}


def test_no_failure_is_success() -> None:
    assert most_severe(()) == most_severe((0, 0)) == 0
