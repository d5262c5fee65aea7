"""A sample of damage, system errors and concurrent shells: nothing is lost and no user is blamed."""

from __future__ import annotations

from collections import Counter

from tests.faults import damage, shells, system


def test_a_sample_of_damage_costs_only_what_it_hit() -> None:
    outcomes = list(damage.run(29))
    assert not [one for one in outcomes if one.broken], [f"{one.case}: {one.said}" for one in outcomes if one.broken]
    assert set(Counter(one.part for one in outcomes)) == set(damage.KINDS)


def test_a_sample_of_system_errors_is_reported() -> None:
    outcomes = list(system.run(17))
    assert not [one for one in outcomes if one.broken], [f"{one.case}: {one.said}" for one in outcomes if one.broken]


def test_some_interleavings_of_three_shells_lose_nothing() -> None:
    assert shells.tried(3, 10) == ""
