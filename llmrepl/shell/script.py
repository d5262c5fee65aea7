"""The script interface: each line of standard input is an input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from llmrepl.commands import line
from llmrepl.errors import UsageError, most_severe
from llmrepl.shell.runner import Shell
from llmrepl.system.limits import MAX_INPUT_CHARACTERS

PIPED = "each line that is piped in is one input; 'llm ask' takes the whole text as one question"
"""Shown when a user pipes text in, which other programs treat as one prompt."""


def run(shell: Shell, *, keep_going: bool, allow_shell: bool) -> int:
    """Run the inputs on stdin as they arrive; return the exit code."""
    environment = shell.workspace.environment
    shell.workspace.stdin_is_input = True
    shell.workspace.allow_shell = allow_shell
    if environment.stderr.isatty() and not environment.stdin.isatty():
        shell.output.note(PIPED)
    code = shell.inputs(line.inputs(read_lines(environment.stdin)), keep_going=keep_going)
    return most_severe((code, shell.close()))


def read_lines(stream: TextIO) -> Iterator[str]:
    """Yield lines as they come. Raises UsageError for one that does not end within MAX_INPUT_CHARACTERS."""
    while text := stream.readline(MAX_INPUT_CHARACTERS + 1):
        if len(text) > MAX_INPUT_CHARACTERS:
            raise UsageError(
                f"A line on standard input is longer than {MAX_INPUT_CHARACTERS >> 20} million characters.",
                "'llm ask' takes a long text as one prompt: llm ask … < FILE",
            )
        yield text
