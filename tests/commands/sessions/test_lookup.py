"""Sessions in other directories, compressed ones, and names with spaces, wherever a session is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli_runner import CliRunner


@pytest.fixture
def elsewhere(cli: CliRunner) -> Path:
    """Keep a session `my talk` in another directory that was used before; return its path."""
    cli.llm("chat", "-m", "offline/echo", "--save-dir", "other", typed='hello\n:save "my talk"\n')
    return cli.cwd / "other" / "my talk.json"


def test_a_session_of_another_directory_is_offered_with_its_path(cli: CliRunner, elsewhere: Path) -> None:
    assert elsewhere.exists()
    for words in (("sessions", "show", "my talk"), ("chat", "-r", "my talk"), ("sessions", "resume", "my t")):
        ran = cli.llm(*words)
        assert ran.code == 2
        assert "'./other/my talk.json'" in ran.err
        assert "--all" in ran.err


def test_all_looks_in_every_directory(cli: CliRunner, elsewhere: Path) -> None:
    assert "hello" in cli.llm("sessions", "show", "my talk", "--all").out
    assert cli.llm("chat", "-r", "my talk", "--all", typed="again\n").code == 0
    assert cli.llm("chat", "-m", "offline/echo", typed=':load --all "my talk"\nthird\n').code == 0
    turns = json.loads(elsewhere.read_bytes())["turns"]
    assert [turn["messages"][0]["content"] for turn in turns] == ["hello", "again", "third"]


def test_a_name_in_two_other_directories_lists_both(cli: CliRunner, elsewhere: Path) -> None:
    cli.llm("chat", "-m", "offline/echo", "--save-dir", "third", typed='hello\n:save "my talk"\n')
    ran = cli.llm("sessions", "show", "my talk", "--all")
    assert ran.code == 2
    assert "'./other/my talk.json', './third/my talk.json'" in ran.err
    assert elsewhere.exists()


def test_all_without_a_session_is_refused(cli: CliRunner) -> None:
    assert cli.llm("chat", "--all").code == 2


def test_a_compressed_session_is_decompressed_and_resumed(cli: CliRunner) -> None:
    cli.llm("chat", "-m", "offline/echo", typed='hello\n:save "my talk"\n')
    plain = cli.cwd / "runs" / "my talk.json"
    packed = plain.with_name("my talk.json.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    ran = cli.llm("chat", "-r", "my talk", "--no-save", typed="unsaved\n")
    assert (ran.code, packed.exists()) == (0, True)
    ran = cli.llm("chat", "-r", "my talk", typed="again\n")
    assert ran.code == 0, ran.err
    assert "my talk.json.gz was compressed. It is my talk.json now." in ran.out + ran.err
    assert not packed.exists()
    assert [prompt for prompt, _ in cli.said("my talk")] == ["hello", "again"]
