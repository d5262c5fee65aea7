"""Files of versions that are not known, and files that were cut: what can be read arrives, and the rest is said."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from tests.cli_runner import CliRunner
from tests.sessions.importing import samples


def test_a_transcript_of_next_year_names_its_version(cli: CliRunner) -> None:
    (cli.cwd / "next.jsonl").write_text(
        json.dumps(
            {
                "timestamp": "2027-01-01T00:00:00Z",
                "type": "session_meta",
                "payload": {"id": "s", "cli_version": "9.1.0"},
            }
        )
        + "\n"
        + json.dumps({"type": "utterance", "payload": {"speaker": "human", "words": "hello"}})
        + "\n"
    )
    ran = cli.llm("sessions", "import", "next.jsonl")
    assert ran.code == 1
    assert "written by version 9.1.0" in ran.out
    assert "nothing in next.jsonl could be imported as transcript of Codex" in ran.err


@pytest.mark.parametrize("name", ["session.jsonl", "rollout.jsonl", "session-1.jsonl", "sorting/conversation.jsonl"])
def test_records_and_lines_that_are_not_known_are_counted(cli: CliRunner, name: str) -> None:
    path = samples.write(cli.cwd / "theirs", name)
    raw = path.read_bytes()
    later = {
        "type": "hologram",
        "role": "hologram",
        "sessionId": "s-1",
        "id": "m99",
        "timestamp": samples.AT,
        "content": "",
    }
    path.write_bytes(raw + json.dumps(later).encode() + b'\n{"type": "user", "mess')
    ran = cli.llm("sessions", "import", str(path))
    assert ran.code == 0
    assert "damaged line" in ran.out
    assert "unknown record 'hologram'" in ran.out or (name.startswith("sorting") and "other message" in ran.out)
    [session] = cli.runs.glob("*.json")
    assert len(cli.said(session.stem)) == 2


@pytest.mark.parametrize("name", samples.SAMPLES)
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_half_a_file_is_read_or_refused_and_never_changed(cli: CliRunner, name: str, part: float) -> None:
    source, raw = samples.SAMPLES[name]
    path = cli.cwd / "theirs" / name.rpartition("/")[2]
    path.parent.mkdir()
    path.write_bytes(raw[: int(len(raw) * part)])
    ran = cli.llm("sessions", "import", str(path), "--source", source)
    assert ran.code in (0, 1) and "Traceback" not in ran.err
    assert bool(list(cli.runs.glob("*.json"))) or ran.err
    assert path.read_bytes() == raw[: int(len(raw) * part)]


@pytest.mark.parametrize("name", ["elia.sqlite", "logs.db", "webui.db"])
def test_a_database_of_another_version_is_refused_by_name(cli: CliRunner, name: str) -> None:
    source, _ = samples.SAMPLES[name]
    path = samples.write(cli.cwd, name)
    with closing(sqlite3.connect(path)) as db:
        for table in ("chat", "message", "responses", "conversations"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
    ran = cli.llm("sessions", "import", name, "--source", source)
    assert ran.code == 1 and "or one of a version that is not known" in ran.err


def test_a_file_that_two_sources_recognize_is_not_guessed(cli: CliRunner) -> None:
    both = {"mapping": {}, "chat_messages": [], "uuid": "u"}
    (cli.cwd / "both.json").write_text(json.dumps([both]))
    ran = cli.llm("sessions", "import", "both.json")
    assert ran.code == 2 and "both.json could be of chatgpt or claude.ai" in ran.err


def test_a_history_of_aider_without_its_blanks_is_read(cli: CliRunner) -> None:
    raw = samples.SAMPLES[".aider.chat.history.md"][1].decode()
    (cli.cwd / "a.md").write_text(
        "\n".join(line.rstrip() for line in raw.split("\n")).replace("> quoted\n#### small heading", "")
    )
    assert cli.llm("sessions", "import", "a.md").code == 0
    assert [prompt for prompt, _ in cli.said("how_do_i_sort_a_dict")] == [samples.FIRST, samples.SECOND]
