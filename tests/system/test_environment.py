"""Started in any environment: one true message and the right exit code, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from llmrepl.system.paths import Paths
from tests.cli_runner import LLM, CliRunner, Ran

FULL = Path("/dev/full")


def started(cli: CliRunner, script: str, **environ: str) -> Ran:
    """Run a line of sh in which `llm` is the program."""
    llm = " ".join(LLM)
    done = subprocess.run(
        ["/bin/sh", "-c", script.replace("llm", llm, 1)],
        cwd=cli.cwd,
        env=cli.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr and "went wrong inside" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("words", ["--help", "--version", "sessions list", "config path", "ask -m offline/echo hi"])
def test_a_working_directory_that_was_removed(cli: CliRunner, words: str) -> None:
    ran = started(cli, f"mkdir gone && cd gone && rmdir ../gone && exec llm {words}")
    assert ran.code == 0 and not (cli.cwd / "gone").exists()


def test_nothing_is_saved_in_a_directory_that_was_removed(cli: CliRunner) -> None:
    ran = started(cli, "mkdir gone && cd gone && rmdir ../gone && echo hi | llm chat -m offline/echo")
    assert ran.code == 4 and "the working directory was removed" in ran.err
    assert not (cli.cwd / "gone").exists()
    runs = cli.cwd / "elsewhere"
    ran = started(
        cli, f"mkdir gone && cd gone && rmdir ../gone && echo hi | llm chat -m offline/echo --save-dir {runs}"
    )
    assert (ran.code, ran.out) == (0, "hi\n") and list(runs.glob("*.json"))


def test_a_user_without_an_entry_in_the_password_database_has_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert Paths.find({}).home == Path("/")
    assert Paths.find({"HOME": "/home/me"}).config_dir == Path("/home/me/.config/llm")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["--version", "--help", "sessions list --help", "ask -m offline/echo hi"])
def test_a_full_disk_below_standard_output(cli: CliRunner, words: str) -> None:
    ran = started(cli, f"llm {words} > /dev/full")
    assert ran.code == 1
    assert ran.err == "error: the output cannot be written: no space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_where_the_conversation_is_when_the_output_is_full(cli: CliRunner) -> None:
    ran = started(cli, "echo hi | llm chat -m offline/echo --name talk > /dev/full")
    assert ran.code == 1
    assert ran.err == (
        "error: the output cannot be written: no space left on device; the conversation is saved in talk.json\n"
    )
    assert (cli.runs / "talk.json").exists()
    ran = started(cli, "echo hi | llm chat -m offline/echo --no-save > /dev/full")
    assert ran.code == 1 and "saved in" not in ran.err


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_full_standard_error_costs_nothing(cli: CliRunner) -> None:
    ran = started(cli, "printf 'hi\\n:nosuch\\n' | llm chat -m offline/echo --name talk 2> /dev/full")
    assert (ran.code, ran.out) == (2, "hi\n") and (cli.runs / "talk.json").exists()


def test_a_reader_that_went_away_is_no_failure(cli: CliRunner) -> None:
    ran = started(cli, "sh -c 'llm --help; echo code $? >&2' | true")
    assert re.fullmatch(r"code (141|0)\n", ran.err)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_missing_stream_is_empty_and_takes_everything(cli: CliRunner, streams: str) -> None:
    for words in ("ask -m offline/echo hi", "--version", "--help"):
        assert started(cli, f"llm {words} {streams}").code == 0


def test_a_directory_that_cannot_be_looked_into_is_not_the_output(cli: CliRunner) -> None:
    (cli.cwd / "closed").mkdir(mode=0)
    # Root may look everywhere until it gives up the two capabilities that let it.
    obeying = "setpriv --bounding-set=-dac_override,-dac_read_search " if os.geteuid() == 0 else ""
    ran = started(
        cli, f"echo hi | {obeying}llm chat -m offline/echo", LLM_SESSIONS_DIR=str(cli.cwd / "closed" / "runs")
    )
    assert ran.code == 4 and "permission denied" in ran.err and "output" not in ran.err
