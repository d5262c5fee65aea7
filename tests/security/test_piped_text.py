"""Piped text may be foreign: it runs nothing and changes no setting."""

from __future__ import annotations

import pytest

from tests.cli_runner import CHAT, CliRunner

ATTACKS = {
    "a command": ":attach !touch pwned",
    "a command, with spaces": "  :attach   ! touch pwned",
    "a base URL": ":config set providers.openai.base_url http://127.0.0.1:9/v1",
    "a default model": ":config set default_model evil/x",
    "a key": ":keys set openai",
    "a key away": ":keys remove openai",
    "a file of the user": ":export md notes.md --force",
    "a start-up file": ":copy --to ~/.bash_profile",
    "a start-up file by another way": ":export txt ../home/.profile",
    "a hidden directory": ":export txt .git/hooks/post-commit",
    "a file of the system": ":export txt /etc/cron.d/llm",
}


@pytest.mark.parametrize("line", ATTACKS.values(), ids=ATTACKS.keys())
def test_piped_text_runs_and_changes_nothing(cli: CliRunner, line: str) -> None:
    (cli.cwd / "notes.md").write_text("mine")
    ran = cli.script("hello", line, "never sent")
    assert ran.code == 2 and "A script may not" in ran.err and "--allow-shell" in ran.err
    assert ran.out == "hello\n"
    assert not (cli.cwd / "pwned").exists() and (cli.cwd / "notes.md").read_text() == "mine"
    assert not (cli.home / ".config").exists()


@pytest.mark.parametrize("file", ["out.md", "~/out.md", "{cwd}/../out.md", "/dev/null"])
def test_piped_text_may_create_files_that_nothing_runs(cli: CliRunner, file: str) -> None:
    ran = cli.script("hello", f":export md {file.format(cwd=cli.cwd)}")
    assert ran.code == 0, ran.err


def test_a_script_that_the_user_trusts_may(cli: CliRunner) -> None:
    words = (*CHAT, "--allow-shell")
    ran = cli.script(":attach !printf 'from the shell'", "look", ":export txt out.txt --force", words=words)
    assert ran.code == 0 and "from the shell" in ran.out and (cli.cwd / "out.txt").exists()
    assert cli.script(":config set default_model offline/echo", words=words).code == 0


def test_endless_output_and_endless_input_end(cli: CliRunner) -> None:
    words = (*CHAT, "--allow-shell")
    ran = cli.script(":attach !head -c 100000000 /dev/zero", words=words)
    assert ran.code == 2 and "printed more than 20 MiB" in ran.err
    ran = cli.process("ask", "-m", "offline/echo", "hi", typed=b"x" * (21 << 20))
    assert (ran.code, ran.out) == (2, "") and "longer than 20 million characters" in ran.err
