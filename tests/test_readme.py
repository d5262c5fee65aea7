"""The transcript in README.md matches the program."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli_runner import LLM, CliRunner
from tests.terminal import Terminal

README = Path(__file__).resolve().parent.parent / "README.md"
MOMENTS = re.compile(r"\d{8}_\d{6}|\d{4}-\d\d-\d\d \d\d:\d\d|\d+\.\d s")


def test_the_screen_in_the_readme_is_that_of_the_running_program(cli: CliRunner) -> None:
    shown = README.read_text("utf-8").partition("\n```\n$ llm\n")[2].partition("\n```")[0]
    typed = [line.removeprefix("You: ") for line in shown.splitlines() if line.startswith("You: ")]
    environ = cli.environ | {"TERM": "xterm-256color"}
    with Terminal(LLM, cwd=cli.cwd, environ=environ, rows=60, columns=90) as terminal:
        for number, line in enumerate([*typed, ""], 1):
            terminal.wait_until(lambda screen, number=number: screen.count("You:") >= number, line)  # type: ignore[misc]
            terminal.send(f"{line}\r" if line else "")
        screen = "\n".join(line.rstrip() for line in terminal.screen).partition("\n\nYou:\n")[0]
        terminal.send("\x04")
        assert terminal.ends() == 0
    assert len(typed) == 4
    assert MOMENTS.sub("…", screen) == MOMENTS.sub("…", shown), f"the screen is now:\n{screen}"
