"""Concurrent commands, each in a process of its own, lose no change."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from llmrepl.system.files import ChangedError
from llmrepl.system.locked_file import LockedFile, change_private, hold_lock
from tests.cli_runner import CliRunner

PROVIDERS = ("openrouter", "openai", "anthropic", "gemini", "groq", "mistral")


def at_once(cli: CliRunner, commands: list[list[str]], typed: bytes = b"") -> list[int]:
    running = [cli.start(*words) for words in commands]
    for process in running:
        assert process.stdin
        process.stdin.write(typed)
        process.stdin.close()
    codes = [process.wait(60) for process in running]
    for process in running:
        assert process.stdout and process.stderr
        assert b"Traceback" not in process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    return codes


def test_keys(cli: CliRunner) -> None:
    codes = at_once(cli, [["keys", "set", name] for name in PROVIDERS], b"sk-0123456789abcdef\n")
    folder = cli.home / ".config" / "llm"
    assert codes == [0] * len(PROVIDERS) and set(json.loads((folder / "keys.json").read_text())) == set(PROVIDERS)
    assert [path.name for path in folder.iterdir()] == ["keys.json"]


def test_settings(cli: CliRunner) -> None:
    values = {"max_retries": 1, "connect_timeout": 5, "idle_timeout": 9, "temperature": 0.5, "reasoning": "hide"}
    assert at_once(cli, [["config", "set", key, str(value)] for key, value in values.items()]) == [0] * len(values)
    assert tomllib.loads((cli.home / ".config" / "llm" / "config.toml").read_text()) == values


def test_imports(cli: CliRunner) -> None:
    lines = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]} for n in range(9)
    ]
    (cli.cwd / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert at_once(cli, [["sessions", "import", "all.jsonl"]] * 3) == [0] * 3
    assert len(list(cli.runs.iterdir())) == 9


def test_tags(cli: CliRunner) -> None:
    cli.script("hello", words=("chat", "-m", "offline/echo", "--name", "talk"))
    assert at_once(cli, [["sessions", "tag", "talk", f"+t{number}"] for number in range(6)]) == [0] * 6
    session = json.loads((cli.runs / "talk.json").read_text())
    assert sorted(session["meta"]["tags"]) == [f"t{number}" for number in range(6)]


def test_archive_and_restore(cli: CliRunner) -> None:
    cli.runs.mkdir()
    for number in range(6):
        turn = {"messages": [{"role": "user", "content": f"words {number}"}]}
        (cli.runs / f"s{number}.json").write_text(json.dumps({"model": "m", "turns": [turn]}))
    before = {path.name: path.read_bytes() for path in cli.runs.iterdir()}
    assert at_once(cli, [["sessions", "archive", "--older-than", "0d", "--compress"]] * 3) == [0] * 3
    names = [f"s{number}" for number in range(6)]
    codes = at_once(cli, [["sessions", "restore", *names]] * 3)
    assert set(codes) <= {0, 2}
    for name in names:  # those that a process that was late did not come to
        cli.llm("sessions", "restore", name)
    assert {path.name: path.read_bytes() for path in cli.runs.glob("*.json")} == before


def test_a_change_of_another_program_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("a = 1\n")
    with pytest.raises(ChangedError), change_private(path) as write:
        path.write_text("a = 2\n# mine\n")
        write(b"a = 3\n")
    assert path.read_text() == "a = 2\n# mine\n" and len(list(tmp_path.iterdir())) == 1


def test_a_lock_is_waited_for_and_given_back(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock"):
        with pytest.raises(BlockingIOError):
            LockedFile.open(tmp_path / "lock", lambda _fd, seconds: seconds < 0.05)
        with pytest.raises(BlockingIOError):
            LockedFile.open(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []
    LockedFile.open(tmp_path / "lock").remove()
