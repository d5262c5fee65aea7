"""A sample of server faults breaks no promise, and a broken promise is detected."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.faults import network
from tests.faults.dialects import DIALECTS, TEXT, Dialect
from tests.faults.network_rows import KEY, Row, failed, rows
from tests.faults.server import status, streamed

SLOW = ("C13", "C14", "C15", "C16", "C5")
"""These wait, or are large: the whole suite has them."""

OPENAI = DIALECTS[0]


@pytest.mark.parametrize("number", range(len(DIALECTS)), ids=[dialect.name for dialect in DIALECTS])
def test_a_sample_of_bad_servers_breaks_no_promise(number: int) -> None:
    quick = [row for row in rows(DIALECTS[number]) if not row.name.startswith(SLOW)]
    outcomes = [network.attempt(DIALECTS[number], row) for row in islice(quick, number, None, 6)]
    broken = [f"{one.case}: {', '.join(one.broken)}: {one.said}" for one in outcomes if one.broken]
    assert not broken, "\n".join(broken)
    assert len(outcomes) > 15


def test_every_row_is_there_in_every_protocol() -> None:
    for dialect in DIALECTS:
        names = [row.name for row in rows(dialect)]
        assert len(set(names)) == len(names) > 110
        missing = {f"C{number}" for number in range(1, 25)} - {name.split()[0] for name in names}
        assert missing <= {"C8", "C17"}, "Gemini ends with its reason, and it and Ollama send their usage once"


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        (Row("other text", (streamed(OPENAI.reply("no")),), text=TEXT), "lost"),
        (Row("a cut that was none", (streamed(OPENAI.reply()),), reason="interrupted"), "damaged"),
        (Row("other usage", (streamed(OPENAI.reply()),), usage=(1, 1)), "damaged"),
        (failed("too few requests", status(400), requests=(3,)), "damaged"),
        (failed("another word", status(400), word="never said"), "damaged"),
        (Row("a key in the reply", (streamed(OPENAI.reply(KEY)),), text=KEY), "leaked"),
    ],
    ids=lambda value: value.name if isinstance(value, Row) else "",
)
def test_a_broken_promise_is_seen(row: Row, broken: str) -> None:
    assert broken in network.attempt(OPENAI, row).broken


def test_a_protocol_is_what_its_name_says() -> None:
    assert Dialect("ollama").delta("x") == b'{"message": {"role": "assistant", "content": "x"}, "done": false}\n'
    assert Dialect("gemini").delta("x").startswith(b'data: {"candidates": [')
