"""Imports of files written by the other program itself where it can be installed, and of untrusted files."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrepl.errors import LLMError, UsageError
from llmrepl.sessions.export import export
from llmrepl.sessions.importing import SOURCES, read
from llmrepl.sessions.importing.found import FoundConversation, Skipped, origin_of, skip_known
from llmrepl.sessions.model import Session
from llmrepl.sessions.storage import session_file

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
QUICK = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def found(path: Path, source: str | None = None) -> list[FoundConversation]:
    """Return all conversations of a file without skips."""
    items = list(read(path, NOW, source))
    assert not [item for item in items if isinstance(item, Skipped)]
    return [item for item in items if isinstance(item, FoundConversation)]


def said(session: Session) -> list[list[tuple[str, str]]]:
    return [[(message.role, message.text) for message in turn.messages] for turn in session.turns]


def spoken(session: Session) -> list[tuple[str, str]]:
    return [message for turn in said(session) for message in turn]


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


# --- simonw's llm ---

WRITER = """
import sys
import llm, sqlite_utils
from llm.migrations import migrate

class Echo(llm.Model):
    model_id = "echo"
    can_stream = False
    attachment_types = {"image/png"}
    def execute(self, prompt, stream, response, conversation):
        response.set_usage(input=3, output=4)
        yield "echo: " + (prompt.prompt or "")

def ask(place, *args, **more):
    response = place.prompt(*args, **more)
    response.text()
    response.log_to_db(db)

db = sqlite_utils.Database(sys.argv[1])
migrate(db)
model = Echo()
talk = model.conversation()
ask(talk, "hello", system="be nice")
ask(talk, "again", fragments=["one\\n", "two"])
ask(talk, "look", attachments=[llm.Attachment(type="image/png", content=b"x")])
ask(model, "häßlich 👋\\n\\nzwei")
"""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a logs.db with simonw's llm in a virtual environment of its own, since its command has our name."""
    python = os.environ.get("LLMREPL_PYTHON_WITH_LLM")
    if python is None:
        pytest.skip("LLMREPL_PYTHON_WITH_LLM names no Python that has the package llm")
    directory = tmp_path_factory.mktemp("llm")
    path = directory / "logs.db"
    environ = {**os.environ, "LLM_USER_PATH": str(directory)}
    subprocess.run([python, "-c", WRITER, str(path)], check=True, env=environ, cwd=directory)
    return path


def test_what_llm_wrote_is_found(logs: Path) -> None:
    long, short = found(logs)
    fragments = "one\n\ntwo\nagain"
    assert said(long.session) == [
        [("user", "hello"), ("assistant", "echo: hello")],
        [("user", fragments), ("assistant", f"echo: {fragments}")],
        [("user", "look"), ("assistant", "echo: look")],
    ]
    assert long.session.system == "be nice"
    assert long.session.model == "echo"
    assert long.notes == ("1 attachment left out",)
    assert long.session.usage_totals is not None
    assert long.session.usage_totals.total_tokens == 21
    assert all(turn.cost_estimate is None and turn.created_at for turn in long.session.turns)
    assert said(short.session) == [[("user", "häßlich 👋\n\nzwei"), ("assistant", "echo: häßlich 👋\n\nzwei")]]
    assert short.title.startswith("häßlich 👋")


OLDER = """
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, options_json TEXT,
  response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT);
CREATE TABLE fragments (id INTEGER PRIMARY KEY, content TEXT);
CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE system_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT);
INSERT INTO conversations VALUES ('c1', 'A talk', 'gpt-4o'), ('c2', NULL, 'gpt-4o');
INSERT INTO responses VALUES
  ('r2', 'claude', 'second', 'be nice', NULL, NULL, 'two', NULL, 'c1', 1500, '2024-01-02T10:01:00'),
  ('r1', 'gpt-4o', 'first', 'be nice', NULL, NULL, 'one', NULL, 'c1', 20, '2024-01-02T10:00:00.5'),
  ('r3', 'gpt-4o', 'other', NULL, NULL, NULL, 'three', NULL, 'c2', NULL, 'yesterday'),
  ('r4', 'gpt-4o', 'alone', NULL, NULL, NULL, 'four', NULL, NULL, -5, NULL);
INSERT INTO fragments VALUES (1, 'a file'), (2, 'a rule');
INSERT INTO prompt_fragments VALUES ('r2', 1, 0);
INSERT INTO system_fragments VALUES ('r3', 2, 0);
INSERT INTO prompt_attachments VALUES ('r1', 'a'), ('r1', 'b');
"""


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)
    return path


def test_the_older_tables_of_llm_are_read(tmp_path: Path) -> None:
    first, second, alone = found(database(tmp_path / "logs.db", OLDER))
    assert said(first.session) == [
        [("user", "first"), ("assistant", "one")],
        [("user", "a file\nsecond"), ("assistant", "two")],
    ]
    assert (first.title, first.source_id, first.session.system) == ("A talk", "c1", "be nice")
    assert first.session.model == "claude"
    assert [turn.answered_by for turn in first.session.turns] == ["gpt-4o", None]
    assert [turn.latency_ms for turn in first.session.turns] == [20, 1500]
    assert first.session.created_at == "2024-01-02T10:00:00.500000"
    assert first.notes == ("2 attachments left out",)
    assert second.session.system == "a rule"
    assert second.session.created_at == "2026-03-04T05:06:07.000000"
    assert alone.source_id == "r4"
    assert alone.session.turns[0].latency_ms is None


def test_a_thread_stands_for_the_older_conversation_that_it_goes_on_with(logs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "logs.db"
    copy.write_bytes(logs.read_bytes())
    (thread,) = [item for item in found(logs) if len(item.session.turns) == 3]
    with closing(sqlite3.connect(copy)) as db, db:
        for id in (thread.source_id, "older"):
            db.execute("INSERT INTO conversations VALUES (?, 'x', 'm')", (id,))
            row = (f"r-{id}", "m", "p", "r", id)
            db.execute(
                "INSERT INTO responses (id, model, prompt, response, conversation_id) VALUES (?, ?, ?, ?, ?)", row
            )
    ids = [item.source_id for item in found(copy)]
    assert len(ids) == len(set(ids)) == 3
    assert "older" in ids


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE other (x)",
        "CREATE TABLE conversations (x); CREATE TABLE responses (x)",
        "CREATE VIEW conversations AS SELECT 1; CREATE VIEW responses AS SELECT 1",
    ],
)
def test_another_database_is_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(LLMError):
        list(read(database(tmp_path / "logs.db", script), NOW))


HOSTILE_THREADS = """
CREATE TABLE threads (id TEXT, name TEXT, tip_message_hash TEXT);
CREATE TABLE turns (thread_id TEXT, tip_message_hash TEXT, model TEXT, duration_ms, datetime_utc, input_tokens,
  output_tokens);
CREATE TABLE messages (hash TEXT, parent_hash TEXT, role TEXT);
CREATE TABLE parts (message_hash TEXT, position, type TEXT, text, payload);
CREATE TABLE fragments (id INTEGER PRIMARY KEY, content TEXT);
"""


def test_a_chain_that_bites_its_tail_and_values_of_wrong_types_end(tmp_path: Path) -> None:
    script = f"""{HOSTILE_THREADS}
    INSERT INTO threads VALUES ('t', x'ff', 'a'), ('empty', 'nothing', NULL);
    INSERT INTO messages VALUES ('a', 'b', 'assistant'), ('b', 'a', 'user');
    INSERT INTO turns VALUES ('t', 'a', 7, 'long', 1e300, -1, 99999999999999999999);
    INSERT INTO parts VALUES ('a', 'x', 'text', NULL, '{{"text_ref": [{{"fragment": 99999999999999999999}}, 5]}}'),
      ('b', 0, 'text', 'hello', '[['), ('a', 1, 'text', cast(x'ff41' AS TEXT), NULL);
    """
    items = list(read(database(tmp_path / "logs.db", script), NOW))
    assert isinstance(items[0], Skipped)
    assert isinstance(items[1], FoundConversation)
    assert said(items[1].session) == [[("user", "hello"), ("assistant", "\ufffdA")]]
    assert items[1].session.turns[0].usage is None


def test_few_fragments_cannot_make_a_text_without_end(tmp_path: Path) -> None:
    refs = json.dumps({"text_ref": [{"fragment": 1}] * 200})
    script = f"""{HOSTILE_THREADS}
    INSERT INTO threads VALUES ('t', 'x', 'a');
    INSERT INTO messages VALUES ('a', NULL, 'user');
    INSERT INTO fragments VALUES (1, printf('%.*c', 1000000, 'x'));
    INSERT INTO parts VALUES ('a', 0, 'text', NULL, '{refs}');
    """
    with pytest.raises(LLMError):
        list(read(database(tmp_path / "logs.db", script), NOW))


# --- ChatGPT ---


def node(id: str, parent: str | None, role: str, *parts: object, **more: Any) -> dict[str, Any]:
    kind = "text" if all(isinstance(part, str) for part in parts) else "multimodal_text"
    message: dict[str, Any] = {
        "author": {"role": role},
        "create_time": 1704724222.5,
        "content": {"content_type": kind, "parts": list(parts)},
        "recipient": "all",
        "metadata": {},
    }
    return {"id": id, "parent": parent, "children": [], "message": {**message, **more}}


def conversation(*nodes: dict[str, Any], current: str, **more: Any) -> dict[str, Any]:
    return {
        "title": "Python help",
        "create_time": 1704724221.25,
        "conversation_id": "abc-1",
        "default_model_slug": "auto",
        "current_node": current,
        "mapping": {one["id"]: one for one in nodes},
        **more,
    }


TALK = conversation(
    {"id": "root", "parent": None, "children": ["s"], "message": None},
    node("s", "root", "system", ""),
    node("u1", "s", "user", "How?", {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}),
    node("a0", "u1", "assistant", "a reply that was regenerated"),
    node("t1", "u1", "assistant", "", content={"content_type": "code", "text": "1+1"}, recipient="python"),
    node("t2", "t1", "tool", "2"),
    node("a1", "t2", "assistant", "Like so.", metadata={"model_slug": "gpt-4o"}),
    node("u2", "a1", "user", "And \ud83d\ude00 now\ud800?"),
    node("th", "u2", "assistant", content={"content_type": "thoughts", "thoughts": []}),
    node("a2", "th", "assistant", "Part one.", metadata={"model_slug": "o3"}),
    node("a3", "a2", "assistant", "Part two.", metadata={"model_slug": "o3"}),
    current="a3",
)


def check_talk(item: FoundConversation) -> None:
    assert said(item.session) == [
        [("user", "How?"), ("assistant", "Like so.")],
        [("user", "And 😀 now\ufffd?"), ("assistant", "Part one."), ("assistant", "Part two.")],
    ]
    assert item.session.model == "openai/o3"
    assert [turn.answered_by for turn in item.session.turns] == ["openai/gpt-4o", None]
    assert item.session.created_at == "2024-01-08T14:30:21.250000"
    assert item.session.turns[0].created_at == "2024-01-08T14:30:22.500000"
    assert item.session.system is None
    assert item.title == item.session.title == "Python help"
    assert origin_of(item.session) == ("chatgpt", "abc-1")
    assert item.notes == ("1 non-text part left out", "1 other version left out", "2 tool messages left out")
    assert session_file.load(session_file.dump(item.session)) == item.session


def test_the_path_that_was_seen_is_found_in_the_tree(tmp_path: Path) -> None:
    (item,) = found(written(tmp_path / "conversations.json", [TALK]))
    check_talk(item)


@pytest.mark.parametrize("name", ["conversations.json", "export/conversations.json", "conversations-000.json"])
def test_the_zip_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>")
        archive.writestr(name, json.dumps([TALK]))
    (item,) = found(path)
    check_talk(item)


def test_skipped_conversations_are_reported_and_hide_no_other(tmp_path: Path) -> None:
    loop = conversation(node("a", "b", "user", "x"), node("b", "a", "assistant", "y"), current="a", conversation_id="l")
    odd = conversation(node("a", "b", "user", "x"), current="gone", conversation_id=5, title=[], create_time="soon")
    odd["mapping"]["b"] = 7
    empty = conversation(node("a", None, "system", "x"), current="a")
    path = written(tmp_path / "c.json", [1, {}, {"mapping": []}, empty, loop, odd, TALK])
    items = list(read(path, NOW))
    assert [type(item).__name__ for item in items] == ["Skipped"] * 4 + ["FoundConversation"] * 3
    assert isinstance(items[4], FoundConversation)
    assert said(items[4].session) == [[("assistant", "y")], [("user", "x")]]


@pytest.mark.parametrize(
    "raw",
    [
        b"[",
        b"[" * 100_000,
        b"[1" + b"0" * 10_000 + b"]",
        b"[\xff]",
        b'["\x00"]',
        b"PK\x05\x06" + bytes(18),
        b"PK not a zip",
        gzip.compress(b"[1", mtime=0)[:-4],
    ],
)
def test_a_file_that_cannot_be_read_is_a_failure_with_a_reason(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(raw)
    with pytest.raises(LLMError, match="nothing was imported"):
        list(read(path, NOW, "chatgpt"))


def test_an_archive_with_a_name_that_is_no_text_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conversations.json ü", "[]")  # a name that says that it is UTF-8
    path.write_bytes(path.read_bytes().replace("ü".encode(), b"\xb7\xb7"))
    with pytest.raises(LLMError, match="nothing was imported"):
        list(read(path, NOW, "chatgpt"))


@QUICK
@given(st.data())
def test_a_damaged_archive_is_a_failure(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([TALK]))
    raw = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        list(read(path, NOW, "chatgpt"))
    except LLMError:
        pass


@QUICK
@given(st.data())
def test_a_damaged_database_is_a_failure(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "logs.db"
    path.unlink(missing_ok=True)
    raw = bytearray(database(path, OLDER).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=8)):
        raw[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        list(read(path, NOW, "llm"))
    except LLMError:
        pass


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from(["user", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def twisted(draw: st.DrawFn, whole: Any) -> Any:
    """Replace any part of `whole` by anything."""
    if draw(st.integers(0, 12)) == 0:
        return draw(values)
    if isinstance(whole, dict):
        return {key: draw(twisted(value)) for key, value in whole.items()}
    if isinstance(whole, list):
        return [draw(twisted(value)) for value in whole]
    return whole


@QUICK
@given(twisted([TALK]))
def test_an_export_of_any_shape_is_found_skipped_or_a_failure(tmp_path: Path, document: object) -> None:
    path = written(tmp_path / "c.json", document)
    try:
        items = list(read(path, NOW, "chatgpt"))
    except LLMError:
        return
    for item in items:
        if isinstance(item, FoundConversation):
            session_file.load(session_file.dump(item.session))


# --- OpenAI's messages ---

LINE = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "5"},
        {"role": "assistant", "content": "Five."},
    ]
}


def test_each_line_is_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    batch = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o", **LINE}}
    path.write_text(f"{json.dumps(LINE)}\n\n{json.dumps(batch)}\r\n", encoding="utf-8")
    plain, other = found(path)
    for item in (plain, other):
        assert said(item.session) == [
            [("user", "Hi"), ("assistant", "Hello.")],
            [("user", "See"), ("assistant", "Five.")],
        ]
        assert item.session.system == "Be brief."
        assert item.notes == ("1 non-text part left out", "1 tool call left out", "1 tool message left out")
        assert item.session.created_at == "2026-03-04T05:06:07.000000"
    assert (plain.session.model, other.session.model) == ("unknown", "gpt-4o")


def test_bad_lines_are_reported_and_hide_no_other(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [b"{", b"[]", b'{"messages": 5}', b'{"messages": []}', b"\xff", b"[" * 100_000, json.dumps(LINE).encode()]
    path.write_bytes(b"\n".join(lines))
    items = list(read(path, NOW))
    assert [type(item).__name__ for item in items] == ["Skipped"] * 6 + ["FoundConversation"]
    assert [item.where for item in items if isinstance(item, Skipped)] == [f"line {n}" for n in range(1, 7)]


@QUICK
@given(twisted(LINE))
def test_a_line_of_any_shape_is_found_or_skipped(tmp_path: Path, document: object) -> None:
    (item,) = read(written(tmp_path / "data.jsonl", document), NOW, "openai")
    if isinstance(item, FoundConversation):
        session_file.load(session_file.dump(item.session))


# --- our own exports, and what all have in common ---


def test_our_own_exports_come_back(tmp_path: Path) -> None:
    (whole,) = found(written(tmp_path / "conversations.json", [TALK]))
    for format in ("jsonl", "txt", "md"):
        path = tmp_path / f"talk.{format}"
        path.write_bytes(export(whole.session, format, name="talk").encode())
        (back,) = found(path)
        assert spoken(back.session) == spoken(whole.session)
    assert back.session.created_at == whole.session.created_at
    assert back.session.turns[0].answered_by == "openai/gpt-4o"


def test_nothing_is_imported_twice(tmp_path: Path) -> None:
    other = {**TALK, "conversation_id": "abc-2"}
    path = written(tmp_path / "conversations.json", [TALK, other, TALK])
    first = found(path)[0]
    assert origin_of(first.session) == ("chatgpt", "abc-1")
    items = list(skip_known(read(path, NOW), {first.origin: first.messages}))
    assert [item.origin[1] if isinstance(item, FoundConversation) else item.why for item in items] == [
        "it was imported before",
        "abc-2",
        "it was imported before",
    ]


def test_ids_are_the_same_at_every_import(tmp_path: Path) -> None:
    paths = [
        database(tmp_path / "logs.db", OLDER),
        written(tmp_path / "c.json", [{**TALK, "conversation_id": None}]),
        written(tmp_path / "data.jsonl", LINE),
    ]
    for path in paths:
        origins = [item.origin for item in found(path)]
        assert origins == [item.origin for item in found(path)]
        assert all(source in SOURCES and id for source, id in origins)


def not_files(directory: Path) -> Iterator[Path]:
    yield directory / "missing"
    yield directory
    os.mkfifo(directory / "pipe")
    yield directory / "pipe"


@pytest.mark.parametrize("source", [None, *SOURCES])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, source: str | None) -> None:
    for path in not_files(tmp_path):
        with pytest.raises(LLMError):
            list(read(path, NOW, source))


def test_an_unknown_or_undetected_source_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hello")
    with pytest.raises(UsageError, match="logseq"):
        list(read(path, NOW, "logseq"))
    with pytest.raises(UsageError):
        list(read(path, NOW))
