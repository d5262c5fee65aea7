"""The screen at 40, 80 and 120 columns: the three voices, tables, charts and the bottom line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from tests.cli_runner import LLM, CliRunner
from tests.scripted_server import ScriptedServer, scripted_server
from tests.terminal import Terminal

WIDTHS = (40, 80, 120)
REPLY = "`x` borrows `y`.\n\n```rust\nlet x = &y;\nprintln!();\n```\n\nRoses,\nviolets. \\(a_1 * b\\)\n"
NAMES = (
    "研究ノート_二〇二六年十一月の会議",
    "🚀launch👍🏽plan_of_the_week",
    "a_name_that_is_long_part_one",
    "a_name_that_is_long_part_two",
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.replies = [[REPLY]]
        yield server


def prompts(terminal: Terminal, number: int) -> str:
    return terminal.wait_until(lambda screen: screen.count("You:") == number, f"prompt {number}")


@pytest.mark.parametrize("columns", WIDTHS)
def test_three_voices(cli: CliRunner, server: ScriptedServer, columns: int) -> None:
    environ = cli.environ | server.environ | {"LLM_SESSION_BUDGET": "1"}
    with Terminal(LLM, cwd=cli.cwd, environ=environ, columns=columns, rows=50) as terminal:
        prompts(terminal, 1)
        terminal.send("why not?\x1b\rlet x = &y;\r")
        prompts(terminal, 2)
        terminal.send(":model offline/echo\r")
        prompts(terminal, 3)
        terminal.send(":sevae\r")
        prompts(terminal, 4)
        terminal.read(0.3)
        lines, styled = terminal.screen, terminal.styled()
        terminal.send("\x04")
        assert terminal.ends() == 0
    at = lines.index("You: why not?")
    assert lines[at - 1] == "" and lines[at + 1] == "     let x = &y;", "further lines are indented"
    assert lines[at + 2 : at + 11] == [
        *(
            "x borrows y.",
            "",
            "rust",
            "let x = &y;",
            "println!();",
            "",
            "Roses,",
            "violets. \\(a_1 * b\\)",
            lines[at + 10],
        )
    ]
    assert re.match(r"\d+→\d+ \(\d+ tokens\) · \d+\.\d s", lines[at + 10])
    assert ("$1.0000 left" in lines[at + 10] or "$0.9999 left" in lines[at + 10]) if columns > 40 else True

    def style(text: str) -> tuple[str, bool, bool]:
        return next(
            (color, bold, dim) for row in styled for run, color, bold, dim in row if run.strip() == text.strip()
        )

    assert style("You:") == ("cyan", True, False)
    assert style("rust") == ("default", False, True)
    assert style("error:") == ("red", True, False)
    assert all(lines[n - 1] == "" for n, line in enumerate(lines) if line.startswith("You:"))
    assert any(line.startswith("🤖 Model: offline/echo") for line in lines)


@pytest.fixture
def talks(cli: CliRunner) -> CliRunner:
    cli.runs.mkdir()
    usage = {"prompt_tokens": 1000, "completion_tokens": 234, "total_tokens": 1234}
    for number, name in enumerate(NAMES):
        messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
        turn = {"messages": messages, "usage": usage, "cost_estimate": 0.1 + 0.2}
        meta = {"title": "会議 about 🚀"} | ({"tags": ["pinned"]} if number == 3 else {})
        session = {"model": "anthropic/claude-sonnet-5", "turns": [turn] * 3, "usage_totals": usage, "meta": meta}
        session["created_at"] = f"2026-03-0{number + 1}T10:00:00"
        (cli.runs / f"{name}.json").write_text(json.dumps(session))
    return cli


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_a_list_of_sessions(talks: CliRunner, columns: int) -> None:
    argv = [*LLM, "sessions", "list"]
    with Terminal(argv, cwd=talks.cwd, environ=talks.environ, columns=columns, rows=40) as terminal:
        assert terminal.ends() == 0
        text = terminal.text
    assert text.count("$0.9000") == 4 and text.count("2026-03-0") == 4, "no figure and no date is broken"
    first = [line for line in text.splitlines() if "…" in line or "part" in line or "研究" in line or "🚀l" in line]
    assert len(set(first)) == len(first) == 4, "names differ, a row each"
    assert "★" in first[0] and "two" in first[0], "pinned first"
    assert [line for line in first[1:] if "one" in line] == [first[1]], "then the newest"
    assert all(cell_len(line) <= columns for line in text.splitlines())
    if columns not in (100, 120):  # there it depends on the length of the names
        assert ("会議 a" in text) == (columns in (40, 200))


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_chart_follows_its_breakdown_and_fits(talks: CliRunner, server: ScriptedServer, columns: int) -> None:
    talks.environ |= server.environ
    assert talks.process("ask", "hi").code == 0
    argv = [*LLM, "usage", "--chart", "--breakdown-by", "model"]
    with Terminal(argv, cwd=talks.cwd, environ=talks.environ, columns=columns) as terminal:
        assert terminal.ends() == 0
        [row, total] = terminal.text.splitlines()
    assert row.startswith("openai/gpt-5-mini" if columns > 40 else "openai/g") and "$" in row and row.endswith("█")
    assert total.startswith("Total: ")


def test_sums_have_no_binary_fractions(talks: CliRunner) -> None:
    rows = talks.llm("sessions", "list", "--format", "csv").out.splitlines()
    assert all(",0.9," in row for row in rows[1:])
    assert {row["cost"] for row in json.loads(talks.llm("sessions", "list", "--format", "json").out)} == {0.9}
