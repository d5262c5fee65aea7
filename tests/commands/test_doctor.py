"""`llm doctor`: no false alarms, faults injected by preloaded libraries, and no leftover files."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from llmrepl.system.disk_probe import probe
from tests.cli_runner import CHAT, CliRunner

SHIM = """
#include <sys/types.h>
int fsync(int fd) { return 0; }
int flock(int fd, int how) { return 0; }
"""


def test_no_false_alarm_and_nothing_is_left(cli: CliRunner) -> None:
    cli.script("hello", words=(*CHAT, "--name", "talk"))
    before = cli.files("..")
    done = cli.process("doctor", "--json")
    assert done.code == 0, done.out
    checks = json.loads(done.out)
    assert {"locks", "renames", "exclusive creation", "fsync accepted", "configuration"} <= {c["check"] for c in checks}
    assert not [check for check in checks if check["holds"] is False]
    assert cli.files("..") == before


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no tmpfs")
def test_no_false_alarm_on_tmpfs() -> None:
    assert not [check for check in probe(Path("/dev/shm")) if check.holds is False]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_library_that_lies_is_named(cli: CliRunner) -> None:
    (cli.cwd / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "shim.so", "shim.c"], cwd=cli.cwd, check=True)
    done = cli.process("doctor", "--json", LD_PRELOAD=str(cli.cwd / "shim.so"))
    assert done.code == 1
    lies = {check["check"]: check["seen"] for check in json.loads(done.out) if check["holds"] is False}
    assert lies["fsync"] == lies["flock"] == "shim.so stands in for the C library and may not do it"
    assert lies["locks"] == "a second process got a lock that this one holds"


def test_saved_keys_that_cannot_be_read_are_named(cli: CliRunner) -> None:
    keys = cli.home / ".config/llm/keys.json"
    keys.parent.mkdir(parents=True)
    keys.symlink_to(cli.cwd / "elsewhere.json")
    done = cli.llm("doctor", "--json")
    assert done.code == 1
    [failed] = [check for check in json.loads(done.out) if check["holds"] is False]
    assert failed["check"] == "saved keys"
    assert "it is a symbolic link" in failed["seen"]


def test_a_directory_that_does_not_exist_is_named(cli: CliRunner) -> None:
    done = cli.llm("doctor", "--json", "--dir", "nowhere")
    assert done.code == 1
    [failed] = [check for check in json.loads(done.out) if check["holds"] is False]
    assert (failed["place"], failed["check"]) == (str(cli.cwd / "nowhere"), "directory")


def test_a_broken_configuration_is_named(cli: CliRunner) -> None:
    config = cli.home / ".config/llm/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("nonsense = 1\n")
    done = cli.llm("doctor")
    assert done.code == 1
    assert "nonsense" in done.out
