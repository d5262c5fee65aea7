"""A sample of what servers do to replies: none of it breaks a promise."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults import dialects, network
from tests.providers.loopback import status, stream
from tests.providers.recorded import OLLAMA, OPENAI


def test_a_sample_of_network_faults_breaks_no_promise() -> None:
    outcomes = list(network.run(19))
    assert not [f"{one.case}: {one.said}" for one in outcomes if one.broken]
    assert len(outcomes) > 40


def test_there_are_hundreds_of_cases_each_with_its_own_name_in_every_protocol() -> None:
    faults = list(dialects.every())
    assert len({fault.case for fault in faults}) == len(faults) > 800
    assert min(Counter(fault.dialect for fault in faults).values()) > 100


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        (dialects.Fault("text that never came", "openai", stream(OPENAI), "No such text", True), "lost"),
        (dialects.Fault("a cut that was none", "ollama", stream(OLLAMA), whole=False), "damaged"),
        (dialects.Fault("too few requests", "gemini", status(400), requests=3), "damaged"),
        (dialects.Fault("too short a wait", "anthropic", status(400), waited=5), "damaged"),
    ],
)
def test_a_broken_promise_is_seen(fault: dialects.Fault, broken: str) -> None:
    assert broken in {kind for kind, _ in network.complaints(fault)}
