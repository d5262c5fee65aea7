"""A sample of disk faults, kills and power failures breaks no promise, and a broken promise is detected."""

from __future__ import annotations

import signal
from itertools import islice

import pytest

from tests.faults import power, races, storage
from tests.faults.injected import Plan
from tests.faults.report import Outcome
from tests.faults.scenarios import SCENARIOS, Scenario, sessions

pytestmark = pytest.mark.timeout(300)

CASES = [(scenario, plan) for scenario in SCENARIOS for plan in (Plan("after", 2),)]
CASES += [(scenario, Plan("ENOSPC", 1, True)) for scenario in SCENARIOS[::3]]
CHAT = SCENARIOS[0]


def whole(outcomes: list[Outcome]) -> None:
    broken = [f"{one.case}: {', '.join(one.broken)}: {one.said}" for one in outcomes if one.broken]
    assert not broken, "\n".join(broken)


def test_a_kill_and_a_full_disk_break_no_promise_anywhere() -> None:
    whole([storage.attempt(case) for case in CASES])


@pytest.mark.parametrize("fault", ["before", "torn", "SIGTERM", "SIGINT", "SIGHUP", "EIO", "short"])
def test_a_conversation_survives(fault: str) -> None:
    plans = [plan for plan in storage.plans(CHAT) if plan.fault == fault]
    whole([storage.attempt((CHAT, plan)) for plan in plans[3::29]])


def test_a_power_cut_breaks_no_promise() -> None:
    whole([power.attempt(state) for state in islice(power.cases(), 0, None, 61)])


def test_two_rounds_of_a_race_break_no_promise() -> None:
    whole(list(races.run(15)))


def test_there_are_enough_cases() -> None:
    plans = list(storage.plans(CHAT))
    assert len([plan for plan in plans if plan.fault in ("before", "after", "torn")]) > 120
    assert len(plans) > 700


def test_a_disk_that_flushes_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    flush = power._Disk._flush
    monkeypatch.setattr(power._Disk, "_flush", lambda disk, path, file: None if file else flush(disk, path, file))
    outcomes = [power.attempt(state) for state in list(power._states(CHAT))[-12::3]]
    assert any(one.lost for one in outcomes)


def test_what_is_lost_damaged_or_hung_is_seen() -> None:
    scenario = Scenario("none", (), "", sessions)
    with storage.place(scenario) as cli:
        before = storage.Kept.of(cli)
        said = '{"event": "prompt", "text": "never"}\n{"event": "reply", "text": "kept"}\n'
        fine, promised = storage.Ended(0, "", ""), storage.Ended(0, said, "")
        assert not storage.judged(scenario, "", cli, before, fine, (0,), 0).broken
        assert storage.judged(scenario, "", cli, before, promised, (0,), 0).broken == ("lost",)
        stopped = storage.Ended(None, "", "")
        assert storage.judged(scenario, "", cli, before, stopped, (0,), 0).broken == ("hung",)
        killed = storage.Ended(-signal.SIGKILL, "", "Traceback (most recent call last)")
        assert storage.judged(scenario, "", cli, before, killed, (0,), 0).broken == ("damaged",)
        (cli.runs / "one.json").write_text('{"turns": [')
        assert storage.judged(scenario, "", cli, before, fine, (0,), 0).broken == ("lost", "damaged")
