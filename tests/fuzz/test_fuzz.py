"""Fuzz every target briefly, with a new seed in each run."""

from __future__ import annotations

import os
from random import Random

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS

INPUTS = 40


@pytest.mark.parametrize("name", TARGETS)
def test_nearly_right_bytes_break_nothing(name: str) -> None:
    target = TARGETS[name]
    seed = "ci" if os.environ.get("LLMREPL_CI") else os.urandom(4).hex()
    random = Random(seed)
    for data in [*target.seeds, *(mutated(random, target.seeds) for _ in range(INPUTS))]:
        try:
            target.check(data)
        except BaseException as error:
            error.add_note(f"the input was {data!r}")
            raise
