"""Which parts of an input are highlighted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from llmrepl.commands.registry import PROMPT
from llmrepl.commands.table import all_commands
from llmrepl.prompt.highlight import CODE, COMMAND, COMMENT, MOST, OPTION, UNKNOWN, InputLexer

TABLE = all_commands()


def coloured(text: str) -> list[tuple[str, str]]:
    """Return the styled parts of an input."""
    return [part for line in styled(text) for part in line if part[0] and part[1].strip()]


def styled(text: str, *, learned: bool = True) -> list[list[tuple[str, str]]]:
    lexer = InputLexer()
    if learned:
        lexer.set_commands(TABLE, PROMPT)
    document = Document(text)
    line_of = lexer.lex_document(document)
    return [[(part[0], part[1]) for part in line_of(number)] for number in range(len(document.lines))]


INPUTS = {
    ":history 5": [(COMMAND, ":history")],
    ": history 5": [(COMMAND, "history")],
    "  :help": [(COMMAND, ":help")],
    ":sessions list --sort date": [(COMMAND, ":sessions"), (COMMAND, "list"), (OPTION, "--sort")],
    ":sessions list --sort=date": [(COMMAND, ":sessions"), (COMMAND, "list"), (OPTION, "--sort=date")],
    ":sessions list --nonsense": [(COMMAND, ":sessions"), (COMMAND, "list")],
    ":system --clear": [(COMMAND, ":system"), (OPTION, "--clear")],
    ":system use --clear in your text": [(COMMAND, ":system")],
    ":load -- --help": [(COMMAND, ":load")],
    ":hist": [],
    ":": [],
    ":sessions li": [],
    ":hist ": [(UNKNOWN, ":hist ")],
    ":hisx": [(UNKNOWN, ":hisx")],
    ":# a `note`": [(COMMENT, ":# a `note`")],
    "::history": [],
    "what is :history": [],
    "say `ls -l` and ``a`b``": [(CODE, "`ls -l`"), (CODE, "``a`b``")],
    "one ` alone": [],
    ":history\nin a paste": [],
    "see\n```python\nx = 1\n```\nthere": [(CODE, "```python"), (CODE, "x = 1"), (CODE, "```")],
    "~~~\n```\n~~~\nout": [(CODE, "~~~"), (CODE, "```"), (CODE, "~~~")],
    "```\nstill open": [(CODE, "```"), (CODE, "still open")],
}


@pytest.mark.parametrize("text", INPUTS)
def test_what_is_coloured(text: str) -> None:
    assert coloured(text) == INPUTS[text]


@pytest.mark.parametrize("name", TABLE.spellings(PROMPT))
def test_no_command_is_marked_as_unknown_while_it_is_typed(name: str) -> None:
    for end in range(1, len(name) + 1):
        typed = f":{name[:end]}"
        if not typed[-1].isspace():
            assert UNKNOWN not in [style for style, _ in coloured(typed)], typed
    assert [style for style, _ in coloured(f":{name}")] == [COMMAND] * len(name.split())


@given(st.text(st.sampled_from(":`~ \n-ab#\u65e5")) | st.text())
def test_colours_never_change_a_text(text: str) -> None:
    assert "\n".join("".join(part for _, part in line) for line in styled(text)) == text


def test_nothing_is_coloured_before_the_commands_are_known() -> None:
    assert styled(":help", learned=False) == [[("", ":help")]]
    lexer = InputLexer()
    before = lexer.invalidation_hash()
    lexer.set_commands(TABLE, PROMPT)
    assert lexer.invalidation_hash() != before


def test_a_long_paste_is_left_alone_and_costs_nothing() -> None:
    lexer = InputLexer()
    lexer.set_commands(TABLE, PROMPT)
    document = Document("```\n" * (10_000_000 // 4))
    assert len(document.text) > MOST
    assert document.lines
    begun = time.process_time()
    line_of = lexer.lex_document(document)
    assert line_of(1) == [("", "```")]
    assert time.process_time() - begun < 0.005
