"""A damaged index is rebuilt silently; odd dates and values do not break lists; live journals are listed."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrepl.sessions.index.finder import SessionFinder
from llmrepl.sessions.index.index import Index
from llmrepl.sessions.index.query import Filters
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage.completion import Completion
from llmrepl.sessions.storage.open_session import OpenSession
from llmrepl.types import Usage
from tests.cli_runner import CliRunner

AT = "2025-01-01T12:00:00.000000"


def write(path: Path, **more: Any) -> None:
    turn = {"messages": [{"role": "user", "content": f"falcon {path.stem}"}], "cost_estimate": 0.1}
    data = {"model": "m", "turns": [turn], "created_at": AT, "usage_totals": {"total_tokens": 5}, **more}
    path.write_text(json.dumps(data))
    os.utime(path, (1e9, 1e9))


def answers(index: Path, runs: Path) -> tuple[Any, ...]:
    """Return the output of list and stats."""
    finder = SessionFinder(Index(index, time.time_ns), lambda *_: None, time.monotonic)
    try:
        return finder.find(runs, Filters()), finder.totals(runs, Filters())
    finally:
        finder.close()


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes, tuple[Any, ...]]:
    """Return a sessions directory, its index file with its bytes, and the expected answers."""
    place = tmp_path_factory.mktemp("indexed")
    runs, index = place / "runs", place / "index.db"
    runs.mkdir()
    for number in range(8):
        write(runs / f"s{number}.json", model=f"m{number % 2}", meta={"title": f"title {number}", "tags": ["a"]})
    (runs / "broken.json").write_text("{")
    os.utime(runs / "broken.json", (1e9, 1e9))
    truth = answers(index, runs)
    with sqlite3.connect(index) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    return runs, index, index.read_bytes(), truth


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_anywhere_in_the_index_changes_no_answer(
    indexed: tuple[Path, Path, bytes, tuple[Any, ...]], draw: st.DataObject
) -> None:
    runs, index, raw, truth = indexed
    for path in index.parent.glob("index.db*"):
        path.unlink()
    damaged = bytearray(raw)
    damaged[draw.draw(st.integers(0, len(raw) - 1), label="at")] ^= 1 << draw.draw(st.integers(0, 7), label="bit")
    index.write_bytes(damaged)
    for _ in range(2):
        assert answers(index, runs) == truth


def test_a_changed_row_is_noticed(indexed: tuple[Path, Path, bytes, tuple[Any, ...]]) -> None:
    """Also if the database file itself is valid."""
    runs, index, raw, truth = indexed
    for path in index.parent.glob("index.db*"):
        path.unlink()
    index.write_bytes(raw.replace(b"title 3", b"title 4"))
    assert raw.count(b"title 3") == 1
    assert answers(index, runs) == truth


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": "9999-12-31T23:59:59-05:00"},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": "9999-12-31T23:59:59.999999"},
        {"created_at": 10**400},
        {"usage_totals": {"total_tokens": 1e308, "prompt_tokens": "many"}},
        {"turns": [None, 3, [], {}, {"messages": None}, {"messages": [None, {"role": 7, "content": {}}]}]},
        {"meta": {"title": ["a"], "tags": {"a": 1}, "parent": [], "summary": 3, "context_start": "x"}},
        {"system": 5, "meta": None, "usage_totals": None},
    ],
)
def test_one_odd_value_ends_no_listing(cli: CliRunner, odd: dict[str, Any]) -> None:
    cli.runs.mkdir()
    write(cli.runs / "plain.json")
    write(cli.runs / "odd.json")
    data = json.loads((cli.runs / "odd.json").read_text()) | odd
    (cli.runs / "odd.json").write_text(json.dumps(data))
    for words in ("list", "list --format json", "list --format csv", "list --sort cost", "stats", "search falcon"):
        ran = cli.llm("sessions", *words.split(), TZ="UTC")
        assert ran.code == 0 and "went wrong" not in ran.err, (words, ran)
        assert words == "stats" or "plain" in ran.out, (words, ran)


@pytest.mark.parametrize("moment", [-(2**40), 0, 1e11, 2**36])
def test_a_file_of_any_date_is_listed(cli: CliRunner, moment: float) -> None:
    cli.runs.mkdir()
    write(cli.runs / "plain.json")
    write(cli.runs / "odd.json", created_at=None)
    try:
        os.utime(cli.runs / "odd.json", (moment, moment))
    except OSError:
        pytest.skip("the file system has no such date")
    ran = cli.llm("sessions", "list")
    assert ran.code == 0 and "odd.json" in ran.out and "plain.json" in ran.out, ran


def test_what_another_shell_has_only_in_its_journal_is_found(cli: CliRunner) -> None:
    cli.runs.mkdir()
    session = Session(model="offline/echo", created_at=AT, turns=[], meta={"bulk": "x" * (300 << 10)})
    open_session = OpenSession(session, cli.runs / "talk.json", nullcontext)
    for text in ("one", "kestrel"):
        number = open_session.begin_turn(text, AT)
        open_session.complete(number, Completion(f"re {text}", "stop", 1.0, Usage(1, 2), 0.25))
    assert b"kestrel" not in (cli.runs / "talk.json").read_bytes(), "else there is nothing to see here"
    (row,) = json.loads(cli.llm("sessions", "list", "--format", "json").out)
    assert (row["turns"], row["cost"], row["tokens"]) == (2, 0.5, 6)
    (model,) = json.loads(cli.llm("sessions", "stats", "--json").out)
    assert (model["turns"], model["cost"]) == (2, 0.5)
    for words in ("search kestrel", "list --contains kestrel", "show talk --full", "export md --session talk"):
        ran = cli.llm("sessions", *words.split())
        assert ("talk" if "contains" in words else "kestrel") in ran.out, (words, ran)
    assert cli.llm("sessions", "backup", "copy").code == 0
    assert b"kestrel" in (cli.cwd / "copy" / "talk.json").read_bytes()
    assert cli.llm("sessions", "fork", "talk", "branch", typed="").code == 0
    assert b"kestrel" in (cli.runs / "branch.json").read_bytes()
    number = open_session.begin_turn("third", AT)
    open_session.complete(number, Completion("re third", "stop", 1.0, Usage(1, 2), 0.25))
    rows = json.loads(cli.llm("sessions", "list", "--format", "json").out)
    assert {row["filename"]: row["turns"] for row in rows}["talk.json"] == 3
    open_session.close()
    rows = json.loads(cli.llm("sessions", "list", "--format", "json").out)
    assert {row["filename"]: row["turns"] for row in rows}["talk.json"] == 3
