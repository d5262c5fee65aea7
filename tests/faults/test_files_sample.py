"""A sample of the hostile files and names: none of them breaks a promise."""

from __future__ import annotations

from tests.faults import files, hostile, hostile_names


def test_a_sample_of_hostile_files_and_names_breaks_no_promise() -> None:
    outcomes = list(files.run(97))
    broken = [one for one in outcomes if one.lost or one.damaged or one.hung or one.leaked]
    assert not broken, "\n".join(f"{one.case}: {one.said}" for one in broken)
    assert len(outcomes) > 50


def test_there_are_thousands_of_cases_each_with_its_own_name() -> None:
    cases = [one.case for one in hostile.every()]
    names = {*hostile_names.GIVEN, *hostile_names.LYING}
    assert len(set(cases)) == len(cases) > 2000
    assert len(names) > 120


def test_a_broken_promise_and_a_process_that_hangs_are_seen() -> None:
    assert files.apart(lambda: [("case", "lost", "why")], 5) == ([("case", "lost", "why")], "")
    assert "took more than" in files.apart(_never, 0.2)[1]


def _never() -> list[files.Complaint]:
    while True:
        pass
