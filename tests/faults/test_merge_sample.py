"""A sample of the histories of three machines, and the guide's programs on what they end with."""

from __future__ import annotations

from tests.faults import merge
from tests.faults.guide import check_with_the_guide


def test_a_sample_of_histories_ends_with_each_turn_once_and_equal_files() -> None:
    outcomes = [merge.history(seed) for seed in range(12)]
    assert not [f"{one.case}: {one.said}" for one in outcomes if one.broken]


def test_the_programs_of_the_guide_run_on_merged_sessions() -> None:
    assert not merge.history(12, check_with_the_guide).broken
