"""What the readers are built on: YAML as programs write it, databases that are in use, edits of a canvas."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.sessions.importing.canvas import Canvas, literal
from llmrepl.sessions.importing.database import apply_wal
from llmrepl.system import plain_yaml

# --- YAML ---

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40)
TEXTS = WORDS | st.sampled_from(
    ["", " ", "null", "- a", "a: b", "|", "a\nb", "a\n\nb\n\n", "\n", "  a\nb", "it's", "#", "---"]
)


def _scalar(text: str, indent: int) -> str:
    """A text as a literal block if it has several lines, as a plain word, or quoted in one of both ways."""
    if not text.replace("\n", "").isprintable():
        return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'
    if "\n" in text.strip("\n"):
        chomping = "-" if not text.endswith("\n") else "+"
        body = text if chomping == "-" else text[:-1]
        lines = "\n".join(f"{' ' * (indent + 2)}{line}" if line else "" for line in body.split("\n"))
        return f"|2{chomping}\n{lines}"
    if text.isalpha() and text != "null":
        return text
    if "\n" in text or len(text) % 2:
        return json.dumps(text, ensure_ascii=False)
    return "'" + text.replace("'", "''") + "'"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_yaml_of_a_session_is_read_as_it_was_written(messages: list[tuple[str, str]]) -> None:
    items = "".join(f"- role: {_scalar(role, 2)}\n  content: {_scalar(text, 2)}\n" for role, text in messages)
    document = f"---\nmodel: m\nmessages:\n{items}after:\n  - x\n"
    found = plain_yaml.load(document, as_text=True)
    assert [(one["role"], one["content"]) for one in found["messages"] or []] == messages
    assert found["after"] == ["x"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x 1\nb: *x\n", 2),
        ("a:\n  b: 1\n c: 2\n", 3),
        ("model: m\nmessages:\n- role: user\n  content: 'half", 4),
        ('a: "\\q"\n', 1),
        ("a: [b\n", 2),
        ("- " * 5000 + "a", None),
    ],
)
def test_wrong_yaml_is_an_error_with_its_line(text: str, line: int | None) -> None:
    with pytest.raises(plain_yaml.PlainYAMLError) as raised:
        plain_yaml.load(text, as_text=True)
    assert raised.value.line == line


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with suppress(plain_yaml.PlainYAMLError):
        plain_yaml.load(f"a: !!python/object/apply:os.mkdir [{made}]\n")
    assert not made.exists()


@pytest.mark.parametrize("piece", ["'", '"', "a: ", "- ", " ", "\\", "|\n"])
def test_yaml_takes_no_longer_than_its_length_asks(piece: str) -> None:
    began = time.monotonic()
    with suppress(plain_yaml.PlainYAMLError):
        plain_yaml.load("a: 1\nb" + piece * 50_000 + "\nx", as_text=True)
    assert time.monotonic() - began < 5


# --- databases in use ---


def _rows(raw: bytes) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(raw[:18] + b"\1\1" + raw[20:])
        return db.execute("SELECT * FROM t ORDER BY 1").fetchall()


def _in_use(path: Path, transactions: int) -> tuple[bytes, bytes, list[tuple[int, list[tuple[Any, ...]]]]]:
    """A database and its log, and the size of the log and the rows after each transaction that is in the log."""
    states = []
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(transactions):
            db.execute("INSERT INTO t VALUES (?, ?)", (number, str(number) * 30_000))
            db.commit()
            size = Path(f"{path}-wal").stat().st_size
            states.append((size, db.execute("SELECT * FROM t ORDER BY 1").fetchall()))
        return path.read_bytes(), Path(f"{path}-wal").read_bytes(), states


def test_the_log_of_a_database_is_applied(tmp_path: Path) -> None:
    raw, log, states = _in_use(tmp_path / "a.db", 5)
    assert _rows(raw) == []
    assert _rows(apply_wal(raw, log)) == states[-1][1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_of_a_torn_log_each_finished_transaction_is_there(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw, log, states = _in_use(tmp_path_factory.mktemp("db") / "a.db", 4)
    cut = data.draw(st.integers(0, len(log)))
    damaged = log[:cut] + bytes(data.draw(st.integers(0, 64)))
    finished = [rows for size, rows in states if size <= cut]
    assert _rows(apply_wal(raw, damaged)) == (finished[-1] if finished else [])


# --- the canvas of ChatGPT ---


def test_edits_of_a_canvas_are_applied() -> None:
    canvas = Canvas()
    assert canvas.take({"name": "a", "type": "document", "content": "one two\none three\n"}) == "one two\none three\n"
    edit = {"updates": [{"pattern": r"two\none", "multiple": False, "replacement": r"2\n1"}]}
    assert canvas.take(edit) == "one 2\\n1 three\n"
    assert canvas.take({"updates": [{"pattern": "e", "multiple": True, "replacement": "E"}]}) == "onE 2\\n1 thrEE\n"
    assert canvas.take({"updates": [{"pattern": ".*", "multiple": False, "replacement": "new"}]}) == "new"
    assert canvas.take({"comments": [{"pattern": "new", "comment": "too short"}]}) == "too short"


def test_an_edit_that_cannot_be_applied_shows_its_text() -> None:
    canvas = Canvas()
    canvas.take({"content": "a" * 40})
    began = time.monotonic()
    assert canvas.take({"updates": [{"pattern": "(a+)+$b", "replacement": "x"}]}) == "x"
    assert canvas.take({"updates": [{"pattern": "absent", "replacement": "y"}]}) == "y"
    assert time.monotonic() - began < 1
    assert canvas.take({}) == ""


@given(st.text())
def test_an_escaped_text_is_literal(text: str) -> None:
    assert literal(re.escape(text)) == text
