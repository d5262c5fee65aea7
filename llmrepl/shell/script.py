"""The face for programs: each line of standard input is an input, answered as it comes."""

from __future__ import annotations

from llmrepl.commands import line
from llmrepl.errors import gravest
from llmrepl.shell.runner import Shell

PIPED = "each line that is piped in is one input; 'llm ask' takes the whole text as one question"
"""Said once when a person pipes a text in, since other programs take it as one prompt."""


def run(shell: Shell, *, keep_going: bool) -> int:
    """Run the inputs on stdin as they come; the exit code."""
    world = shell.workspace.world
    shell.workspace.stdin_is_input = True
    if world.stderr.isatty() and not world.stdin.isatty():
        shell.output.note(PIPED)
    code = shell.inputs(line.inputs(world.stdin), keep_going=keep_going)
    return gravest((code, shell.close()))
