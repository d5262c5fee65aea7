"""The index gives the same answers as reading every file, whatever happened to the index or the files."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.sessions.index import scan
from llmrepl.sessions.index.finder import SessionFinder
from llmrepl.sessions.index.index import Index
from llmrepl.sessions.index.query import SORTS, Filters, FoundSessions, Row, filter_and_sort
from llmrepl.sessions.index.search import Hit, find_hits
from llmrepl.sessions.stats import total_by_model

MODELS = ("openai/gpt-4o", "anthropic/claude", "", "ключ", "\ud800 half")
DATES = ("2024-01-08T14:30:22.123456", "2024-01-08T14:30:22Z", "0001-01-01", "2999-01-01T00:00:00", "junk", 7, None)
WORDS = (
    "Straße",
    "İstanbul",
    "ΟΔΟΣ",
    "naïve",
    "日本語",
    "xy",
    "NEAR",
    '"',
    "*",
    "-x",
    "x AND y",
    "a",
    "\0",
    "\ufffd",
    "\ud800",
    "\uffff",
    "'",
    "(",
    "%",
    "_",
    "\n",
    "ﬀ",
)
NAMES = ("one", "two", "three", "ünïcode", "with blank", "-rf")


NO_FILTERS = Filters()


def quiet(what: str, done: int, total: int) -> None:
    """Ignore progress."""


def always() -> float:
    """Return a clock that makes every step look fast, so that each search checks the files again."""
    return 0.0


@contextmanager
def catalog(place: Path) -> Iterator[SessionFinder]:
    """Open a finder with its index below `place`, closed at the end as a shell does."""
    known = SessionFinder(Index(place / "cache" / "index.db", time.time_ns), quiet, always)
    try:
        yield known
    finally:
        known.close()


def listed(
    place: Path, filters: Filters = NO_FILTERS, sort: str = "name", contains: str | None = None
) -> FoundSessions:
    """Return the list that a new shell gives of `place / "runs"`."""
    with catalog(place) as known:
        return known.find(place / "runs", filters, sort, None, contains)


def session(text: str = "hello", **more: Any) -> dict[str, Any]:
    """Return a session of one turn."""
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": f"you said: {text}"}]
    return {"model": "offline/echo", "created_at": "2024-01-08T14:30:22", "turns": [{"messages": messages}], **more}


def write(directory: Path, name: str, data: object) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def names(rows: list[Row]) -> list[str]:
    return [row.name for row in rows]


texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=8)
turns = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(("user", "assistant")), "content": texts}), max_size=3
        )
    },
    optional={
        "cost_estimate": st.sampled_from((0, 0.5, 1, -1, None, "1", True)),
        "finish_reason": st.sampled_from(("stop", "error")),
    },
)
whole = st.fixed_dictionaries(
    {"model": st.sampled_from(MODELS), "turns": st.lists(turns, max_size=3)},
    optional={
        "created_at": st.sampled_from(DATES),
        "system": st.sampled_from(("Be Brief", None, 3)),
        "usage_totals": st.fixed_dictionaries({"total_tokens": st.sampled_from((0, 5, 10**12, -1, None))}),
        "meta": st.fixed_dictionaries({}, optional={"title": texts, "tags": st.lists(texts, max_size=2)}),
    },
)
contents = whole.map(json.dumps) | st.sampled_from(("", "{", "[]", "{}", "null", '{"model": 1, "turns": []}'))
filters = st.builds(
    Filters,
    model=st.none() | st.sampled_from(("gpt", "", "ю", "кл", "\ud800")),
    since=st.none() | st.sampled_from((0.0, 1704724222.0)),
    until=st.none() | st.sampled_from((1704724222.0, 1704724223.0)),
    min_turns=st.none() | st.integers(0, 3),
    max_turns=st.none() | st.integers(0, 3),
    min_cost=st.none() | st.sampled_from((0.0, 0.5)),
    max_cost=st.none() | st.sampled_from((0.0, 0.5)),
    system_contains=st.none() | st.just("BRIEF"),
    tag=st.none() | st.sampled_from(WORDS),
)
steps = st.lists(
    st.tuples(st.sampled_from(("write", "write", "replace", "remove")), st.sampled_from(NAMES), contents), max_size=6
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rounds=st.lists(steps, min_size=1, max_size=3),
    filters=filters,
    sort=st.sampled_from(SORTS),
    limit=st.none() | st.integers(0, 3),
    contains=st.none() | texts,
)
def test_every_listing_is_what_reading_the_files_gives(
    rounds: list[list[tuple[str, str, str]]], filters: Filters, sort: str, limit: int | None, contains: str | None
) -> None:
    with TemporaryDirectory() as place, catalog(Path(place)) as known:
        runs = Path(place, "runs")
        for step in rounds:
            for what, name, content in step:
                change(runs, what, name, content)
            found = known.find(runs, filters, sort, limit, contains)
            every = list(scan.rows(runs, contains))
            assert found.rows == filter_and_sort((row for row in every if not row.damaged), filters, sort, limit)
            assert names(found.damaged) == sorted(row.name for row in every if row.damaged)
            if contains is None:
                assert known.totals(runs, filters) == total_by_model(known.find(runs, filters).rows)


def change(runs: Path, what: str, name: str, content: str) -> None:
    """Overwrite, replace or remove a file as another program would."""
    runs.mkdir(exist_ok=True)
    path = runs / f"{name}.json"
    if what == "remove":
        path.unlink(missing_ok=True)
    elif what == "replace":
        path.with_suffix(".tmp").write_text(content)
        path.with_suffix(".tmp").rename(path)
    else:
        path.write_text(content)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(sessions=st.lists(whole, min_size=1, max_size=5), wanted=texts.filter(bool))
def test_search_finds_what_grep_finds(sessions: list[dict[str, Any]], wanted: str) -> None:
    with TemporaryDirectory() as place, catalog(Path(place)) as known:
        runs = Path(place, "runs")
        for number, data in enumerate(sessions):
            write(runs, f"s{number}", data)
        assert known.search(runs, wanted, Filters()) == grep(runs, wanted)


def grep(runs: Path, wanted: str) -> list[Hit]:
    """Return every message that contains the text, by reading all files."""
    found = []
    for row in filter_and_sort(scan.rows(runs), Filters()):
        _, data = scan.read(runs / row.name)
        for hit in find_hits(row.name, data, wanted) if data else ():
            hit.epoch = row.epoch
            found.append(hit)
    return found


@pytest.mark.parametrize("wanted", [*WORDS[:11], "'", "(", "%", "_", "ab cd", "{text:", "a OR b", "^x", 'k"', "語"])
def test_the_index_itself_tells_where_a_text_is(tmp_path: Path, wanted: str) -> None:
    texts = {"has": f"before {wanted} after", "ends": f"so {wanted}", "other": "ZZZ qqq", "case": wanted.swapcase()}
    for name, text in texts.items():
        data = session(text)
        del data["turns"][0]["messages"][1]
        write(tmp_path / "runs", name, data)
    with closing(Index(tmp_path / "index.db", time.time_ns)) as index:
        index.refresh(tmp_path / "runs", quiet, texts=True)
        ids = index.match(wanted)
        assert ids is not None
        found = {row.name.removesuffix(".json") for _, row in index.rows(tmp_path / "runs", Filters(), ids=ids)}
    assert found == {name for name, text in texts.items() if wanted.lower() in text.lower()}
    assert {"has", "ends"} <= found < set(texts)


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "runs", "one", session(model="before"))
    os.utime(path, (10**9, 10**9))
    assert [row.model for row in listed(tmp_path).rows] == ["before"]
    path.write_bytes(path.read_bytes().replace(b"before", b"behind"))
    os.utime(path, (10**9, 10**9))
    assert [row.model for row in listed(tmp_path).rows] == ["before"]
    os.utime(path, (10**9, 10**9 + 1))
    assert [row.model for row in listed(tmp_path).rows] == ["behind"]


def test_a_change_in_the_same_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "runs", "one", session(model="before"))
    state = os.stat(path)
    assert listed(tmp_path).rows[0].model == "before"
    path.write_bytes(path.read_bytes().replace(b"before", b"behind"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert listed(tmp_path).rows[0].model == "behind"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Create three sessions and a damaged file, all indexed."""
    for number in range(3):
        write(tmp_path / "runs", f"s{number}", session(f"needle {number}"))
    write(tmp_path / "runs", "bad", "{")
    assert_right(tmp_path)
    return tmp_path / "runs"


def assert_right(place: Path, known: SessionFinder | None = None) -> None:
    """Assert that list, search and damage reports match the files below `place`."""
    if known is None:
        with catalog(place) as known:
            return assert_right(place, known)
    runs = place / "runs"
    found = known.find(runs, Filters(), "name")
    assert (names(found.rows), names(found.damaged)) == (["s0.json", "s1.json", "s2.json"], ["bad.json"])
    assert names(known.find(runs, Filters(), contains="EEDLE 1").rows) == ["s1.json"]
    assert known.search(runs, "eedle 2", Filters()) == grep(runs, "eedle 2") != []


def spoil(index: Path, how: str) -> None:
    data = index.read_bytes()
    if how == "deleted":
        index.unlink()
    elif how == "random":
        index.write_bytes(os.urandom(4096))
    elif how == "other version":
        with closing(sqlite3.connect(index)) as db:
            db.execute("PRAGMA user_version = 99")
    else:
        index.write_bytes(data[: {"empty": 0, "truncated": len(data) // 2, "cut": 100}[how]])


@pytest.mark.parametrize("how", ["deleted", "empty", "truncated", "cut", "random", "other version"])
def test_a_damaged_index_is_rebuilt(runs: Path, how: str) -> None:
    place = runs.parent / "cache"
    index = place / "index.db"
    spoil(index, how)
    assert_right(runs.parent)
    assert_right(runs.parent)
    with closing(sqlite3.connect(index)) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (4,)
    kept = how in ("truncated", "cut", "random")
    assert [path.name for path in place.glob("*.corrupt")] == ["index.db.corrupt"] * kept


def test_an_index_that_is_spoilt_while_it_is_open_does_no_harm(runs: Path) -> None:
    with catalog(runs.parent) as known:
        assert_right(runs.parent, known)
        for beside in ("", "-wal", "-shm"):
            path = runs.parent / "cache" / f"index.db{beside}"
            if path.exists():
                path.write_bytes(os.urandom(path.stat().st_size))
        write(runs, "s1", session("needle 1 again"))
        assert_right(runs.parent, known)
    assert_right(runs.parent)


def test_an_index_that_is_held_is_waited_for_a_second(runs: Path) -> None:
    write(runs, "s1", session("needle 1 again"))
    with closing(sqlite3.connect(runs.parent / "cache" / "index.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        found = listed(runs.parent, contains="again")
        assert 0.9 < time.monotonic() - began < 3
    assert names(found.rows) == ["s1.json"]


@pytest.mark.parametrize("place", ["/proc/nowhere", "file", "link"])
def test_where_no_index_can_be_the_files_are_read(tmp_path: Path, runs: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "index.db").symlink_to(tmp_path / "target")
    known = SessionFinder(Index(tmp_path / place / "index.db", time.time_ns), quiet, always)
    assert_right(tmp_path, known)
    assert not (tmp_path / "target").exists()


def test_the_index_is_private(runs: Path) -> None:
    place = runs.parent / "cache"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    with catalog(runs.parent) as known:
        write(runs, "s3", session())
        known.find(runs, Filters(), contains="x")
        assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}


def test_what_cannot_be_read_hides_nothing(runs: Path) -> None:
    os.mkfifo(runs / "fifo.json")
    (runs / "directory.json").mkdir()
    (runs / "loop.json").symlink_to("loop.json")
    (runs / "out.json").symlink_to("/etc/passwd")
    (runs / ".hidden.json").write_text("{}")
    for number in range(300):
        (runs / f".s0.json.{number:012x}.tmp").write_text("{")
        (runs / f"bad{number}.json").write_bytes(b"\xff" * number)
    (runs / os.fsdecode(b"\xff\xfe.json")).write_text("{")
    found = listed(runs.parent)
    assert names(found.rows) == ["s0.json", "s1.json", "s2.json"]
    assert len(found.damaged) == 306


def test_an_interrupted_update_goes_on_where_it_was(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        os.utime(write(runs, f"more{number:02}", session(f"text {number}")), (10**9, 10**9))
    monkeypatch.setattr("llmrepl.sessions.index.index.BATCH", 4)
    calls = itertools.count()

    def interrupting(what: str, done: int, total: int) -> None:
        if next(calls) % 5 == 3:
            raise KeyboardInterrupt

    known = SessionFinder(Index(runs.parent / "cache" / "index.db", time.time_ns), interrupting, always)
    interrupted = 0
    while True:
        try:
            found = known.find(runs, Filters(), contains="text 2")
            break
        except KeyboardInterrupt:
            interrupted += 1
            assert interrupted < 30
    assert interrupted > 1
    assert sorted(names(found.rows)) == ["more02.json", *(f"more2{n}.json" for n in range(10))]


def test_several_shells_share_one_index(runs: Path) -> None:
    wrong: list[object] = []

    def listing_often() -> None:
        with catalog(runs.parent) as known:
            for number in range(15):
                write(runs, f"{threading.get_ident()}-{number}", session("shared text"))
                found = names(known.find(runs, Filters(), contains="shared").rows)
                own = [name for name in found if name.startswith(f"{threading.get_ident()}-")]
                if len(own) != number + 1:
                    wrong.append(own)

    threads = [threading.Thread(target=listing_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(listed(runs.parent).rows) == 48
    assert not list((runs.parent / "cache").glob("*.corrupt"))


def test_texts_of_rows_that_are_gone_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrepl.sessions.index.full_text.SPARE_TEXTS", 5)
    with catalog(tmp_path) as known:
        for number in range(20):
            write(tmp_path / "runs", "one", session(f"version {number}"))
            assert len(known.search(tmp_path / "runs", f"version {number}", Filters())) == 2
    with closing(sqlite3.connect(tmp_path / "cache" / "index.db")) as db:
        assert db.execute("SELECT texts FROM filled").fetchone()[0] < 10


def test_a_large_directory_is_not_checked_before_every_search(tmp_path: Path) -> None:
    clock = itertools.count(step=1)  # each look at the clock takes a second
    known = SessionFinder(Index(tmp_path / "index.db", time.time_ns), quiet, lambda: float(next(clock)))
    runs, path = tmp_path / "runs", write(tmp_path / "runs", "one", session("first"))
    assert len(known.search(runs, "first", Filters())) == 2
    path.write_text(json.dumps(session("second")))
    assert known.search(runs, "second", Filters()) == []
    assert known.search(runs, "first", Filters()) == []  # what is shown is always what the file says
    write(runs, "two", session("second"))
    assert {hit.name for hit in known.search(runs, "second", Filters())} == {"one.json", "two.json"}
    path.write_text(json.dumps(session("the third")))
    assert known.search(runs, "third", Filters()) == []
    for _ in range(30):
        next(clock)
    assert len(known.search(runs, "third", Filters())) == 2


def test_a_directory_that_vanishes_is_empty(runs: Path) -> None:
    for path in runs.iterdir():
        path.unlink()
    runs.rmdir()
    with catalog(runs.parent) as known:
        assert known.find(runs, Filters()) == FoundSessions([], [])
        assert known.search(runs, "needle", Filters()) == []


_WORDS = st.text('ab "é漢', min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(st.lists(_WORDS, min_size=1, max_size=12), _WORDS)
def test_a_search_finds_what_a_look_into_every_message_finds(texts: list[str], wanted: str) -> None:
    with TemporaryDirectory() as top, catalog(Path(top)) as known:
        for number, text in enumerate(texts):
            write(Path(top) / "runs", f"s{number}", session(text))
        found = {hit.name for hit in known.search(Path(top) / "runs", wanted, Filters())}
        assert found == {f"s{n}.json" for n, text in enumerate(texts) if any(find_hits("", session(text), wanted))}
