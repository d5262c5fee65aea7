"""The ledger with several shells, killed shells, and a failing disk."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from llmrepl.billing.ledger import Ledger, LedgerError
from llmrepl.billing.pricing import LedgerEntry
from llmrepl.billing.usage_report import first_day

NOW = datetime(2026, 3, 4, 12)
START = (
    "import sys; from datetime import datetime; from pathlib import Path\n"
    "from llmrepl.billing.ledger import Ledger\nfrom llmrepl.billing.pricing import LedgerEntry as Entry\n"
    "NOW = datetime(2026, 3, 4, 12); ledger = Ledger(Path(sys.argv[1]))\n"
)


def entry(cost: float | None, session: str = "s", day: datetime = NOW) -> LedgerEntry:
    return LedgerEntry(day.timestamp(), f"{day:%Y-%m-%d}", "openai", "m", session, "reply", 10, 5, 0, 0, cost, False)


@contextmanager
def shell(path: Path, program: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that uses the same ledger and ends with the block."""
    started = subprocess.Popen(
        [sys.executable, "-c", START + program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_what_a_living_shell_reserved_counts_and_what_a_killed_one_did_is_settled_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with shell(path, "print(ledger.reserve_within(NOW, 0.4, 1.0), flush=True); input()") as other:
        assert said(other) == "(1, 0.4)"
        mine = Ledger(path)
        assert mine.reserve_within(NOW, 0.9, 1.0)[1] == pytest.approx(0.6)
        assert [one.kind for one in mine.entries()] == [], "a request under way is not in the usage yet"
        other.send_signal(signal.SIGKILL)
        while "State:\tZ" not in Path(f"/proc/{other.pid}/status").read_text():  # not even reaped
            time.sleep(0.01)
        assert [(one.kind, one.cost, one.estimated) for one in mine.entries()] == [("interrupted", 0.4, 1)]
        assert mine.reserve_within(NOW + timedelta(days=1), 5.0, 1.0)[1] == 1.0, "the next day is free of it"


def test_a_process_that_took_over_the_number_of_a_dead_one_owns_no_reservation_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    mine = Ledger(path)
    mine.reserve_within(NOW, 0.4, 1.0)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE requests SET begun = begun - 1")  # as if this process had begun later than that one
    assert [one.kind for one in mine.entries()] == ["interrupted"]


def test_three_processes_at_once_share_one_limit_to_the_last_cent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    program = """
print("ready", flush=True); input()
for _ in range(15):
    number, amount = ledger.reserve_within(NOW, 0.09, 1.0)
    if amount < 0.09:
        ledger.release(number)
        continue
    ledger.settle(number, Entry(NOW.timestamp(), "2026-03-04", "p", "m", "s", "reply", 1, 1, 0, 0, 0.03, False))
"""
    with shell(path, program) as one, shell(path, program) as two, shell(path, program) as three:
        for process in (one, two, three):
            assert said(process) == "ready" and process.stdin
        for process in (one, two, three):
            print(file=process.stdin, flush=True)
        assert [process.wait(60) for process in (one, two, three)] == [0, 0, 0]
    ledger = Ledger(path)
    spent = ledger.spent_today(NOW)
    assert spent <= 1.0 and spent == pytest.approx(0.03 * len(list(ledger.entries())))
    assert spent > 0.5, "the shells kept one another from asking"


def damaged(path: Path) -> None:
    """Create a ledger that opens but whose rows are overwritten with garbage."""
    ledger = Ledger(path)
    for _ in range(20):
        ledger.add(entry(0.001, "x" * 3000))
    ledger.close()
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\x5a" * (40960 - 8192)
    path.write_bytes(data)


def test_a_ledger_damaged_in_the_middle_is_renamed_reported_and_the_request_recorded(tmp_path: Path) -> None:
    path, messages = tmp_path / "ledger.db", list[str]()
    damaged(path)
    before = path.read_bytes()
    ledger = Ledger(path, messages.append)
    ledger.reserve_within(NOW, 0.1, 1.0)
    ledger.add(entry(0.5))
    assert ledger.spent_today(NOW) == pytest.approx(0.6)
    assert messages == ["The usage ledger was damaged. It is kept as ledger.db.corrupt, and a new one was created."]
    assert (tmp_path / "ledger.db.corrupt").read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_damage_does_not_replace_what_the_first_one_left(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    for junk in (b"one " * 2000, b"two " * 2000):
        path.write_bytes(junk)
        ledger = Ledger(path)
        ledger.add(entry(0.1))
        ledger.close()
    kept = {name: (tmp_path / name).read_bytes()[:3] for name in ("ledger.db.corrupt", "ledger.db.corrupt-2")}
    assert kept == {"ledger.db.corrupt": b"one", "ledger.db.corrupt-2": b"two"}


def test_shells_that_find_the_same_damage_set_it_aside_once(tmp_path: Path) -> None:
    path, messages = tmp_path / "ledger.db", list[str]()
    shells = [Ledger(path, messages.append) for _ in range(3)]
    for number, one in enumerate(shells):
        one.add(entry(0.1 * (number + 1)))
    path.write_bytes(b"junk" * 4000)  # under their feet
    for one in shells:
        one.add(entry(1.0))
    assert shells[0].spent_today(NOW) == 3.0
    assert len(messages) == 1 and sorted(p.name for p in tmp_path.iterdir()) == ["ledger.db", "ledger.db.corrupt"]


def test_a_hot_journal_of_a_damaged_file_does_not_meet_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"junk" * 4000)
    (tmp_path / "ledger.db-journal").write_bytes(b"journal of the junk" * 100)
    Ledger(path).add(entry(0.25))
    assert Ledger(path).spent_today(NOW) == 0.25
    assert not (tmp_path / "ledger.db-journal").exists()


def test_a_deleted_ledger_file_is_recreated_without_losing_a_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    number, _ = ledger.reserve_within(NOW, 0.4, 1.0)
    path.unlink()
    ledger.settle(number, entry(0.3))
    assert [one.cost for one in Ledger(path).entries()] == [0.3]


def test_a_locked_ledger_is_waited_for_and_works_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    waits = list[float]()
    ledger = Ledger(path, waiting=waits.append, patience=1.0)
    ledger.add(entry(0.1))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        for one in (ledger, Ledger(path, waiting=waits.append, patience=1.0)):
            with pytest.raises(LedgerError, match="locked"):
                one.add(entry(0.1))
            assert len(waits) >= 3 and waits == sorted(waits), "the wait is reported while it lasts"
            waits.clear()
        db.execute("ROLLBACK")
    ledger.add(entry(0.2))
    assert ledger.spent_today(NOW) == pytest.approx(0.3)
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.db"], "a locked ledger is not a damaged one"


def test_an_interruption_in_the_middle_leaves_no_lock_for_the_others(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    program = """
import os, signal
class Slow(str):
    def __conform__(self, protocol):
        os.kill(os.getpid(), signal.SIGINT)
        return "reply"
try:
    ledger.add(Entry(NOW.timestamp(), "2026-03-04", "p", "m", "s", Slow("reply"), 1, 1, 0, 0, 9.0, False))
except KeyboardInterrupt:
    print("stopped", flush=True)
input()
"""
    with shell(path, program) as other:
        assert said(other) == "stopped"
        Ledger(path).add(entry(0.1))
    assert [one.cost for one in Ledger(path).entries()] == [0.1]


def test_an_unwritable_directory_is_reported_in_words(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.db"
    target.write_bytes(b"")
    (tmp_path / "link.db").symlink_to(target)
    for path in (tmp_path / "link.db", Path("/sys/ledger.db"), tmp_path / "elsewhere.db" / "ledger.db"):
        with pytest.raises(LedgerError) as raised:
            Ledger(path).add(entry(0.1))
        assert str(raised.value) and "Errno" not in str(raised.value)
    assert target.read_bytes() == b"", "nothing is written through a link"


def test_looking_makes_no_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger.db")
    assert (list(ledger.entries()), ledger.spent_today(NOW)) == ([], 0.0)
    assert list(tmp_path.iterdir()) == []
    ledger.add(entry(0.1))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_nothing_lowers_what_was_spent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for cost in (1.0, -5.0, None, float("nan")):
        ledger.add(entry(cost))
    assert ledger.spent_today(NOW) == 1.0


@pytest.mark.parametrize(
    ("period", "days"), [("today", [4]), ("week", [2, 4]), ("month", [1, 2, 4]), ("all", [28, 1, 2, 4])]
)
def test_a_period_begins_with_its_first_local_day(tmp_path: Path, period: str, days: list[int]) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    for day in (datetime(2026, 2, 28), datetime(2026, 3, 1), datetime(2026, 3, 2), NOW):  # a Wednesday
        ledger.add(entry(0.1, day=day))
    assert [int(one.day[-2:]) for one in ledger.entries(first_day(period, NOW))] == days
