"""Reading many session files: the second process reads what this one does, and is replaced if it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmrepl.sessions.index.fingerprints import journal_names
from llmrepl.sessions.index.readers import Files, SecondReader, read_batches, read_entries
from llmrepl.sessions.index.sql import to_bytes


def batch(directory: Path, *, texts: bool) -> Files:
    """Return all files of a directory as a batch."""
    names = sorted(to_bytes(path.name) for path in directory.iterdir())
    return Files(directory, names, journal_names(directory), texts)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Create valid, odd and damaged session files."""
    turn = {"messages": [{"role": "user", "content": "Größe \U0001f600 \ud800"}], "cost_estimate": 0.25}
    session = {"model": "m/x", "created_at": "2024-01-08T14:30:00", "turns": [turn]}
    contents = {
        "one.json": json.dumps(session),
        "two ü.json": json.dumps({**session, "turns": [{**turn, "answered_by": "m/y"}], "system": "\udc80"}),
        "bom.json": "\ufeff" + json.dumps(session),
        "nan.json": json.dumps({**session, "meta": {"x": float("nan")}}),
        "undated.json": json.dumps({"model": "m", "turns": []}),
        "damaged.json": json.dumps(session)[:-9],
        "list.json": "[]",
    }
    for name, text in contents.items():
        (tmp_path / name).write_bytes(text.encode("utf-8"))
    (tmp_path / "directory.json").mkdir()
    (tmp_path / "link.json").symlink_to("one.json")
    return tmp_path


@pytest.mark.parametrize("texts", [False, True])
def test_the_second_process_reads_the_same(runs: Path, texts: bool) -> None:
    files = batch(runs, texts=texts)
    with SecondReader.started() as second:
        assert second
        for number in range(2):
            second.submit(number, files)
            assert second.result() == (number, read_entries(files))
        assert second.running
    assert sum(entry.damaged for entry in read_entries(files)) == 4
    assert any(entry.text and "größe" in entry.text for entry in read_entries(files)) == texts


def test_a_second_process_that_ends_costs_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrepl.sessions.index.readers._COMMAND", ("-c", "pass"))
    monkeypatch.setattr("llmrepl.sessions.index.readers.MIN_FILES", 1)
    batches = [batch(runs, texts=True)] * 3
    assert sorted(read_batches(batches)) == [(number, read_entries(batches[0])) for number in range(3)]


def test_every_batch_is_read_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrepl.sessions.index.readers.MIN_FILES", 1)
    for texts in (False, True):
        batches = [batch(runs, texts=texts)] * 5
        assert sorted(number for number, _ in read_batches(batches)) == [0, 1, 2, 3, 4]
