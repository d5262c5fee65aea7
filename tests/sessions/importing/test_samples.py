"""Each source: its files are recognized by no other reader, and everything that they say arrives, once."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmrepl.commands.table import all_commands
from llmrepl.sessions.importing import SOURCES
from llmrepl.sessions.importing.source_file import SourceFile
from tests.cli_runner import CliRunner
from tests.sessions.importing import samples

USAGE = {"prompt_tokens": 36, "completion_tokens": 14, "total_tokens": 50, "cached_tokens": 10}
"""The usage of both turns of a sample, for programs that record it with the cache."""

EXPECTED: dict[str, dict[str, Any]] = {
    "session.jsonl": {"model": "anthropic/claude-opus-4-8", "usage": USAGE, "title": "Sorting"},
    "rollout.jsonl": {"model": "openai/gpt-5.4", "usage": USAGE},
    "session-1.jsonl": {"model": "gemini/gemini-2.5-flash", "usage": USAGE},
    "session-1.json": {"model": "gemini/gemini-2.5-flash", "usage": USAGE},
    "chatgpt/conversations.json": {"model": "openai/gpt-4o", "title": "Sorting"},
    "claude/conversations.json": {"model": "unknown", "title": "Sorting"},
    "sorting.yaml": {"model": "openai/gpt-4o-mini", "title": "sorting", "system": "Answer: briefly", "dated": False},
    ".aider.chat.history.md": {
        "model": "openai/gpt-4o-mini",
        "usage": {"prompt_tokens": 1370, "completion_tokens": 81, "total_tokens": 1451, "cached_tokens": 100},
        "cost": 0.000239,
        "local": True,
    },
    "sorting/conversation.jsonl": {
        "model": "openai/gpt-4o-mini",
        "usage": USAGE,
        "cost": 0.001,
        "title": "sorting",
        "local": True,
    },
    "1767348000000.conversation.json": {
        "model": "lmstudio/qwen3-8b",
        "usage": {"prompt_tokens": 36, "completion_tokens": 14, "total_tokens": 50},
        "title": "Sorting",
        "system": "Answer: briefly",
        "latency": 3000,
    },
    "chat-export.json": {"model": "llama3.2", "usage": USAGE, "title": "Sorting", "system": "Answer: briefly"},
    "webui.db": {"model": "llama3.2", "usage": USAGE, "title": "Sorting", "system": "Answer: briefly"},
    "export.md": {"model": "openai/gpt-4o"},
    "sharegpt.json": {"model": "unknown", "dated": False},
    "tuning.jsonl": {"model": "unknown", "dated": False},
    "elia.sqlite": {"model": "gpt-4o-mini"},
    "logs.db": {
        "model": "gpt-4o-mini",
        "usage": {"prompt_tokens": 36, "completion_tokens": 14, "total_tokens": 50},
        "title": "Sorting",
        "latency": 1500,
    },
}
"""What arrives beside the texts; messages.md, which holds no talk of two turns, is tested below."""

LEFT_OUT = {
    "session.jsonl": {"tool call": 1, "tool message": 1},
    "rollout.jsonl": {"tool call": 1, "tool message": 1},
    "session-1.jsonl": {"tool call": 1},
    "session-1.json": {"notice": 1, "tool call": 1},
    "chatgpt/conversations.json": {"other version": 1},
    "sorting.yaml": {"non-text part": 1, "tool message": 1},
    ".aider.chat.history.md": {"command": 2},
    "sorting/conversation.jsonl": {"attachment": 1, "hidden message": 1, "tool message": 1},
    "1767348000000.conversation.json": {"other version": 1, "tool call": 2},
    "chat-export.json": {"other version": 1},
    "webui.db": {"other version": 1},
}


@pytest.mark.parametrize("name", samples.SAMPLES)
@pytest.mark.parametrize("source", SOURCES)
def test_each_file_is_recognized_by_its_source_alone(tmp_path: Path, name: str, source: str) -> None:
    path = samples.write(tmp_path, name)
    assert SOURCES[source].detect(SourceFile(path)) is (source == samples.SAMPLES[name][0])


def test_every_source_can_be_named_and_has_a_sample() -> None:
    [command] = [one for one in all_commands().commands if one.name == "sessions import"]
    [choices] = [one.choices for one in command.arguments if "--from" in one.flags]
    assert set(choices) == set(SOURCES) == {source for source, _ in samples.SAMPLES.values()}


def imported(cli: CliRunner, path: Path, *options: str) -> tuple[list[dict[str, Any]], dict[str, int], str]:
    """Import a file with the command line: the new sessions, what was left out by kind, and stderr."""
    before = path.read_bytes() if path.is_file() else b""
    ran = cli.process("sessions", "import", str(path), *options, TZ="UTC")
    assert ran.code == 0, ran.err
    assert not path.is_file() or path.read_bytes() == before
    rows = [re.match(r"(.+?) +(\d+) ", line) for line in ran.out.splitlines()]
    kinds = {row[1]: int(row[2]) for row in rows if row and not row[1].endswith(".json")}
    return [json.loads(file.read_bytes()) for file in sorted(cli.runs.glob("*.json"))], kinds, ran.err


@pytest.mark.parametrize("name", EXPECTED)
def test_counts_texts_model_usage_and_dates_arrive(cli: CliRunner, name: str) -> None:
    path = samples.write(cli.cwd / "theirs", name)
    [session], left_out, _ = imported(cli, path)
    expected = EXPECTED[name]
    assert [(m["role"], m["content"]) for turn in session["turns"] for m in turn["messages"]] == samples.TALK
    assert [len(turn["messages"]) for turn in session["turns"]] == [2, 2]
    assert session["model"] == expected["model"]
    assert session["system"] == expected.get("system")
    assert session["meta"]["title"] == expected.get("title", samples.FIRST)
    assert session["meta"]["origin"]["source"] == samples.SAMPLES[name][0]
    counted = Counter[str]()
    for turn in session["turns"]:
        counted.update({key: value for key, value in turn.get("usage", {}).items() if key in USAGE})
    assert counted == expected.get("usage", {})
    costs = [turn["cost_estimate"] for turn in session["turns"] if "cost_estimate" in turn]
    assert sum(costs) == pytest.approx(expected.get("cost", 0))
    assert sum(turn.get("latency_ms", 0) for turn in session["turns"]) == expected.get("latency", 0)
    if expected.get("dated", True):
        assert session["created_at"][:19] == samples.AT
    assert left_out == LEFT_OUT.get(name, {})


def test_each_exchange_of_messages_md_is_a_conversation(cli: CliRunner) -> None:
    sessions, left_out, _ = imported(cli, samples.write(cli.cwd, "messages.md"))
    said = [[(m["role"], m["content"]) for turn in one["turns"] for m in turn["messages"]] for one in sessions]
    assert sorted(said) == sorted([samples.TALK[:2], samples.TALK[2:]])
    assert {one["meta"]["title"] for one in sessions} == {"How do I sort", "And in reverse"}
    assert {one["created_at"][:19] for one in sessions} == {samples.AT}
    assert left_out == {"tool call": 1}


def test_a_directory_is_imported_with_all_that_is_in_it(cli: CliRunner) -> None:
    theirs = cli.cwd / "theirs"
    for name in samples.SAMPLES:
        samples.write(theirs, name)
    (theirs / "notes.md").write_text("# Notes\n")
    (theirs / "half.json").write_text('[{"mapping": {')
    (theirs / "picture.png").write_bytes(b"\x89PNG")
    outside = cli.cwd / "outside.json"
    outside.write_text(json.dumps({"messages": [{"role": "user", "content": "of somebody else"}]}))
    (theirs / "link.json").symlink_to(outside)
    sessions, left_out, err = imported(cli, theirs)
    by_source = [one["meta"]["origin"]["source"] for one in sessions]
    assert sorted(set(by_source)) == sorted(SOURCES)
    assert len(sessions) == len(samples.SAMPLES) - 1  # messages.md has two, and two samples each are the same talk
    assert left_out["its format is not known"] == 1
    assert left_out["it is not JSON"] == 1
    assert "imported" in err


def test_only_one_source_of_a_directory_is_imported(cli: CliRunner) -> None:
    for name in samples.SAMPLES:
        samples.write(cli.cwd / "theirs", name)
    sessions, _, _ = imported(cli, cli.cwd / "theirs", "--source", "aider")
    assert [one["meta"]["origin"]["source"] for one in sessions] == ["aider"]


def test_a_zip_is_imported_like_a_directory(cli: CliRunner) -> None:
    with zipfile.ZipFile(cli.cwd / "all.zip", "w") as archive:
        for name in ("session.jsonl", "logs.db", ".aider.chat.history.md", "sorting.yaml"):
            archive.write(samples.write(cli.cwd / "theirs", name), f"backup/{name}")
    sessions, _, _ = imported(cli, cli.cwd / "all.zip")
    assert sorted(one["meta"]["origin"]["source"] for one in sessions) == ["aichat", "aider", "claude-code", "llm"]


@pytest.mark.parametrize("source", ["chatgpt", "claude"])
def test_the_archive_as_downloaded_is_recognized(cli: CliRunner, source: str) -> None:
    path = samples.write(cli.cwd / "theirs", f"{source}/conversations.json")
    with zipfile.ZipFile(cli.cwd / "data.zip", "w") as archive:
        archive.write(path, "conversations.json")
        archive.writestr("users.json", '[{"uuid": "a", "full_name": "A"}]')
        archive.writestr("projects.json", '[{"uuid": "p", "docs": []}]')
        archive.writestr("chat.html", "<html></html>")
    [session], left_out, _ = imported(cli, cli.cwd / "data.zip")
    assert session["meta"]["origin"]["source"].startswith(source)
    assert left_out == LEFT_OUT.get(f"{source}/conversations.json", {})


def test_a_dry_run_shows_what_would_come_and_writes_nothing(cli: CliRunner) -> None:
    samples.write(cli.cwd / "theirs", "logs.db")
    before = cli.files()
    ran = cli.llm("sessions", "import", "theirs", "--dry-run")
    assert "Sorting" in ran.out and "1 conversation would be imported" in ran.err
    assert cli.files() == before


def test_a_conversation_that_went_on_is_imported_beside_the_first(cli: CliRunner) -> None:
    path = samples.write(cli.cwd / "theirs", "session.jsonl")
    complete = path.read_bytes()
    path.write_bytes(b"".join(complete.splitlines(keepends=True)[:8]))
    assert len(imported(cli, path)[0]) == 1
    assert len(imported(cli, path)[0]) == 1
    path.write_bytes(complete)
    assert len(imported(cli, path)[0]) == 2
    sessions, _, err = imported(cli, path)
    assert sorted(len(session["turns"]) for session in sessions) == [1, 2]
    assert ", 1 imported before" in err
