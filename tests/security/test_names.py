"""Names cannot lead elsewhere: session names, planted links, temporary files, shell quoting."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

import pytest

from llmrepl.prompt.editor import edit_text
from llmrepl.rendering.pager import page
from llmrepl.system import files
from tests.cli_runner import CHAT, LLM, CliRunner
from tests.faults.hostile_names import REFUSED
from tests.security.attack import KEY, tree
from tests.terminal import Terminal
from tests.test_architecture import ROOT
from tests.test_journeys import ENTER, SlowServer, slow

__all__ = ["slow"]

TYPED = [name for name in REFUSED if name.strip() and name.isprintable() and name.isascii() and len(name) < 300]


def test_no_name_writes_outside_of_the_directory(cli: CliRunner) -> None:
    """Each refused name wherever a name is accepted; the fault suite has every spelling."""
    (cli.home / "x").write_text("precious")
    before = tree(cli.home.parent)
    lines = [f":{command} -- '{name}'" for name in TYPED for command in ("save", "fork")]
    ran = cli.script("hello", *lines, words=(*CHAT, "--keep-going"))
    assert ran.err.count("\nerror: ") + 1 == len(lines)
    for name in TYPED:
        assert cli.llm(*CHAT, f"--name={name}", typed="hello\n").code == 2, name
    own = ("home/.", "work/runs")
    assert {name: held for name, held in tree(cli.home.parent).items() if not name.startswith(own)} == before


def test_a_planted_temporary_file_is_not_used(tmp_path: Path) -> None:
    target, seen = tmp_path / "talk.json", set[str]()
    victim = tmp_path / "victim"
    for name in (".talk.json.tmp", "talk.json.tmp", ".talk.tmp", "talk.tmp"):
        (tmp_path / name).symlink_to(victim)
    planted = set(os.listdir(tmp_path))

    def watch(_path: Path) -> bool:
        seen.update(os.listdir(tmp_path))
        return True

    for number in range(20):
        files.replace(target, b"%d" % number, is_known=watch)
    assert not victim.exists() and target.read_bytes() == b"19"
    assert len(seen - planted - {"talk.json"}) == 19, "the first one replaces nothing"


def test_a_directory_that_becomes_a_link_during_a_write_gets_nothing(tmp_path: Path) -> None:
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    runs.mkdir()
    elsewhere.mkdir()

    (runs / "talk.json").write_bytes(b"{}")

    def swap(_path: Path) -> bool:
        runs.rename(tmp_path / "before")
        runs.symlink_to(elsewhere)
        return True

    with pytest.raises(OSError, match="No such file"):
        files.replace(runs / "talk.json", b"secret", is_known=swap)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_directory_that_is_a_link_of_another_user_is_not_written_to(cli: CliRunner, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cli.runs.symlink_to(elsewhere)
    ran = cli.script("hello")
    assert ran.code == 0 and len(list(elsewhere.iterdir())) == 1, "a link of one's own is as good as the directory"
    os.chown(cli.runs, 12345, 12345, follow_symlinks=False)
    before = tree(elsewhere)
    name = next(elsewhere.iterdir()).stem
    for words in (CHAT, (*CHAT, "-r", name), (*CHAT, "--name", "talk")):
        ran = cli.llm(*words, typed="hello\n")
        assert (ran.code, ran.out) == (4, "")
        assert "is a link of another user" in ran.err
    for command in (f"delete {name}", f"rename {name} other", "archive --older-than 0d", f"recover {name}"):
        cli.llm("sessions", *command.split())
    with pytest.raises(OSError, match="is a link of another user"):
        files.create(cli.runs / "talk.json", b"{}")
    assert tree(elsewhere) == before


def test_everything_is_private_at_every_moment(cli: CliRunner, slow: SlowServer) -> None:
    """With umask 0, during a reply and after it. Nothing calls chmod, so files were private from the start."""
    llm = " ".join(LLM)
    script = f"umask 0; {llm} keys set openai < key; exec {llm} chat -m openai/slow --name talk"
    (cli.home / "key").write_text(KEY)
    (cli.cwd / "key").symlink_to(cli.home / "key")
    environ = cli.environ | slow.environ | {"LLM_DAILY_BUDGET": "5"}
    with Terminal(["sh", "-c", script], cwd=cli.cwd, environ=environ) as terminal:
        terminal.wait_for("You:")
        terminal.send("go on" + ENTER)
        terminal.wait_for("word2")
        during = modes(cli)
        terminal.process.kill()
        terminal.process.wait()
    before = os.umask(0)
    try:
        lines = (":load talk", ":model offline/echo", "more", ":export html out.html", ":fork other", "and more")
        ran = [cli.script(*lines)]
        for command in (
            "sessions list",
            "sessions search word",
            "sessions backup copy",
            "sessions delete other",
            "sessions archive --older-than 0d",
            "config set default_model offline/echo",
        ):
            ran.append(cli.llm(*command.split()))
    finally:
        os.umask(before)
    assert [one.err for one in ran if one.code] == []
    after = modes(cli)
    made = [{Path(name).name for name in found} for found in (during, after)]
    assert {".talk.journal", "history", "keys.json"} <= made[0]
    assert {"index.db", "ledger.db", "config.toml", "out.html", "archive", "copy", ".trash"} <= made[1]
    wrong = {name: oct(mode) for name, mode in (during | after).items() if mode not in (0o600, 0o40700)}
    assert not wrong
    assert not [source for source in ROOT.rglob("*.py") if re.search(r"\bf?l?chmod\(", source.read_text("utf-8"))]


def modes(cli: CliRunner) -> dict[str, int]:
    """Return the permissions of everything the program created, with 0o40000 for directories."""
    tops = (cli.home / ".config", cli.home / ".local", cli.home / ".cache", cli.cwd)
    paths = [path for top in tops for path in top.rglob("*") if not path.is_symlink()]
    return {str(path): stat.S_IMODE(path.stat().st_mode) | path.is_dir() * 0o40000 for path in paths}


def test_an_editor_and_a_pager_are_run_without_a_shell(tmp_path: Path) -> None:
    program, said = tmp_path / "program.py", tmp_path / "said"
    program.write_text(
        "import os, stat, sys\n"
        f"file = open({str(said)!r}, 'a')\n"
        "mode = stat.S_IMODE(os.stat(sys.argv[-1]).st_mode) if os.path.exists(sys.argv[-1]) else 0\n"
        "print(sys.argv[1:-1], oct(mode), file=file)\n"
    )
    command = f"{sys.executable} {program} $(touch planted) `touch planted` ; touch planted > planted"
    environ = {"EDITOR": command, "PAGER": f"{command} end"}
    assert edit_text("text", environ) == "text"
    assert page("text", environ)
    words = ["$(touch", "planted)", "`touch", "planted`", ";", "touch", "planted", ">", "planted"]
    assert said.read_text() == f"{words} 0o600\n{words} 0o0\n"
    assert not Path("planted").exists()
