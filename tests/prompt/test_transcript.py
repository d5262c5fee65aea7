"""The transcript at a true terminal: what stands there while one waits, and what is left of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from prompt_toolkit.utils import get_cwidth

from llmrepl.prompt.display.recap import recap
from llmrepl.sessions.model import MessageRecord, Session, Turn
from tests.cli_runner import LLM, CliRunner
from tests.scripted_server import CUT, ScriptedServer, scripted_server
from tests.terminal import Terminal
from tests.test_journeys import CTRL_C, ENTER

WIDTHS = (40, 80, 120)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@contextmanager
def shell(cli: CliRunner, environ: dict[str, str], *words: str, columns: int = 100) -> Iterator[Terminal]:
    """`llm WORDS` in a terminal of that width, its first prompt there."""
    with Terminal([*LLM, *words], cwd=cli.cwd, environ=cli.environ | environ, columns=columns) as terminal:
        terminal.wait_for("You:")
        yield terminal


def idle(terminal: Terminal, prompts: int) -> str:
    """Wait until the prompt is there for the nth time."""
    return terminal.wait_until(lambda screen: screen.count("You:") == prompts, f"prompt {prompts}")


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_waiting_line_is_replaced_in_place_and_goes_with_the_first_word(
    cli: CliRunner, server: ScriptedServer, columns: int
) -> None:
    server.replies = [[3.3, "hello"]]
    with shell(cli, server.environ, columns=columns) as terminal:
        terminal.send("hi" + ENTER)
        begun = time.monotonic()
        terminal.wait_for("waiting for")
        assert 0.25 < time.monotonic() - begun < 2.5
        shown = terminal.wait_for(" · 2 s").splitlines()
        hint = " · Ctrl-C stops" if columns >= 80 else ""
        assert [line for line in shown if "waiting" in line] == [f"waiting for openai/gpt-5-mini · 2 s{hint}"]
        screen = idle(terminal, 2).splitlines()
        assert not [line for line in screen if "waiting" in line]
        at = screen.index("You: hi")
        assert screen[at + 1] == "hello", "no empty line is left of it"


def test_a_quick_reply_has_no_waiting_line(cli: CliRunner, server: ScriptedServer) -> None:
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        idle(terminal, 2)
        assert b"waiting" not in terminal.raw


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"ACCESSIBLE": "1"}])
def test_nothing_is_redrawn_for_a_screen_reader(
    cli: CliRunner, server: ScriptedServer, environ: dict[str, str]
) -> None:
    server.replies = [[1.6, "hello"]]
    with shell(cli, server.environ | environ) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("hello")
        between = terminal.raw.partition(b"waiting")[2].partition(b"hello")[0]
        assert between == b" for openai/gpt-5-mini \xc2\xb7 Ctrl-C stops\r\n"


def test_hidden_reasoning_is_counted(cli: CliRunner, server: ScriptedServer) -> None:
    server.replies = [[*[{"reasoning_content": "hmm, let me think. " * 20}] * 10, 1.2, "hello"]]
    with shell(cli, server.environ | {"LLM_REASONING": "hide"}, "chat") as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("thinking · 1,267 tokens · 1 s · Ctrl-C stops")
        screen = idle(terminal, 2)
        assert "hmm" not in screen and "thinking" not in screen


def test_reasoning_ends_with_a_line_end_and_is_not_in_a_pipe_when_hidden(
    cli: CliRunner, server: ScriptedServer
) -> None:
    server.replies = [[{"reasoning_content": "let me think"}, "hello"]]
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        screen = idle(terminal, 2).splitlines()
        assert screen[screen.index("let me think") + 1 :][:2] == ["", "hello"]
    cli.environ |= server.environ
    run = cli.process("ask", "hi")
    assert (run.out, run.err) == ("hello\n", "let me think\n")
    cli.environ["LLM_REASONING"] = "hide"
    run = cli.process("ask", "hi")
    assert (run.out, run.err) == ("hello\n", "")


def test_ctrl_c_before_and_after_the_first_word(cli: CliRunner, server: ScriptedServer) -> None:
    server.replies = [[5.0, "never"], ["first ", 5.0, "never"]]
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("waiting for")
        terminal.send(CTRL_C)
        screen = idle(terminal, 2)
        assert "stopped before a reply came; :retry asks again" in screen
        assert "waiting" not in screen
        terminal.send(":retry" + ENTER)
        terminal.wait_for("first")
        terminal.send(CTRL_C)
        screen = idle(terminal, 3)
        assert screen.count("stopped") == 2
        assert "stopped; the part that came is kept" in screen


def test_a_cut_by_the_server_is_said_once(cli: CliRunner, server: ScriptedServer) -> None:
    server.replies = [["half of ", "it", CUT]]
    with shell(cli, server.environ) as terminal:
        terminal.send("hi" + ENTER)
        screen = idle(terminal, 2)
        assert "\nhalf of it\nerror: " in screen
        assert screen.count("cut off") == screen.count("kept") == screen.count(":retry") == 1


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_retry_is_counted_down_on_the_same_line(cli: CliRunner, server: ScriptedServer, columns: int) -> None:
    server.replies = [[429], ["hello"]]
    with shell(cli, server.environ, columns=columns) as terminal:
        terminal.send("hi" + ENTER)
        terminal.wait_for("retrying in 1 s")
        screen = idle(terminal, 2)
        assert "retrying" not in screen and "slow down" not in screen
        lines = screen.splitlines()
        assert lines[lines.index("You: hi") + 1] == "hello"


TALK = {
    "model": "offline/echo",
    "turns": [
        {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": reply}]}
        for n, reply in ((1, "yes"), (2, "\n".join(f"row {row} of a long reply 日本語" for row in range(9))))
    ],
}


@pytest.fixture
def talk(cli: CliRunner) -> CliRunner:
    """A session of two turns, the last with a long reply."""
    cli.runs.mkdir()
    (cli.runs / "talk.json").write_text(json.dumps(TALK))
    return cli


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize(
    "words", [("-c",), ("chat", "-r", "talk"), (":load talk",), (":load talk", ":fork other --at 2")]
)
def test_the_last_exchange_is_shown_dim_where_one_goes_on(
    talk: CliRunner, words: tuple[str, ...], columns: int
) -> None:
    typed = [word for word in words if word[0] == ":"]
    with shell(talk, {}, *([] if typed else words), columns=columns) as terminal:
        for number, line in enumerate(typed, 2):
            terminal.send(line + ENTER)
            idle(terminal, number)
        screen = terminal.wait_for("[Previous conversation context is", ":history shows all 2 turns")
        lines = screen.splitlines()
        at = len(lines) - 1 - lines[::-1].index("> question 2")
        rows = [f"row {row} of a long reply 日本語" for row in range(3, 9)]
        assert lines[at : at + 9] == ["> question 2", "… " + rows[0], *rows[1:], ":history shows all 2 turns", ""]
        assert b"\x1b[2m> question 2" in terminal.raw, "dim"


def test_a_recap_of_any_text_fits(cli: CliRunner) -> None:
    session = Session.start("m", None, datetime(2026, 1, 2))
    for text in ("", "a" * 1000, "日本語" * 300, "e\u0301" * 200, "\x1b[2J\t\n\n\nx", "👩‍👩‍👧 " * 90):
        session.turns = [Turn(messages=[MessageRecord(role=role, content=text) for role in ("user", "assistant")])]
        for width in (20, 40, 80):
            rows = recap(session, width)
            assert len(rows) <= 8 and rows[-1] == ":history shows it in full"
            assert all(get_cwidth(row) <= width for row in rows[:-1])
            assert "\x1b" not in "".join(rows)


def test_notices_at_the_start_do_not_break_inside_words(cli: CliRunner) -> None:
    with shell(cli, {}, columns=40) as terminal:
        lines = terminal.text.splitlines()
        assert lines[0] == "There is no key yet, so the guide"
        assert lines[1] == "answers. ':keys set openrouter' saves"


def test_the_title_names_the_session_and_is_restored(talk: CliRunner) -> None:
    with shell(talk, {}, "chat", "-r", "talk") as terminal:
        assert b"\x1b[22;0t\x1b]0;llm: talk\x1b\\" in terminal.raw
        terminal.send(":save other" + ENTER)
        idle(terminal, 2)
        assert b"\x1b]0;llm: other\x1b\\" in terminal.raw
        terminal.send(":exit" + ENTER)
        assert terminal.ends() == 0
        assert terminal.raw.count(b"\x1b[22;0t") == terminal.raw.count(b"\x1b[23;0t") == 1
    for environ in ({"TERM": "dumb"}, {"ACCESSIBLE": "1"}, {"TERM": "linux"}):
        with shell(talk, environ, "chat", "-r", "talk") as terminal:
            assert b"\x1b]0;" not in terminal.raw


def test_deleting_the_open_session_asks_and_begins_another(talk: CliRunner) -> None:
    with shell(talk, {}, "chat", "-r", "talk") as terminal:
        terminal.send(":delete talk" + ENTER)
        terminal.wait_for("talk.json is the current session, with 2 turns. Delete it and begin a new one? [y/N]")
        terminal.send(ENTER)
        idle(terminal, 2)
        assert "talk.json" in talk.files("runs")
        terminal.send(":delete talk" + ENTER)
        terminal.wait_until(lambda screen: screen.count("[y/N]") == 2)
        terminal.send("y" + ENTER)
        terminal.wait_for("1 session moved to the trash", "Starting chat with offline/echo")
        idle(terminal, 3)
        terminal.send("fresh" + ENTER)
        terminal.wait_until(lambda screen: screen.count("fresh") == 2)
    assert "talk.json" not in talk.files("runs")


def test_an_edited_prompt_is_shown_as_it_is_sent(talk: CliRunner, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf 'another\\nquestion' > \"$1\"\n")
    editor.chmod(0o755)
    with shell(talk, {"VISUAL": str(editor)}, "chat", "-r", "talk") as terminal:
        terminal.send(":edit 1" + ENTER)
        terminal.wait_for("You: :edit 1\n\nYou: another\n     question\nanother\nquestion\n")


def test_history_is_drawn_as_the_transcript_and_a_pager_begins_at_its_end(talk: CliRunner, tmp_path: Path) -> None:
    with shell(talk, {}, "chat", "-r", "talk") as terminal:
        terminal.send(":history" + ENTER)
        screen = terminal.wait_for("[2]\nYou: question 2\nrow 0 of a long reply")
        assert "[1]\nYou: question 1\nyes\n\n[2]" in screen
        assert b"\x1b[1;36mYou: \x1b[0mquestion 2" in terminal.raw
    less = tmp_path / "less"
    less.write_text('#!/bin/sh\ncat > /dev/null\necho "arguments: $*."\n')
    less.chmod(0o755)
    for page, words in ((f"{less} -R", "-R +G"), (str(less), "+G")):
        with Terminal(
            [*LLM, "chat", "-r", "talk"], cwd=talk.cwd, environ=talk.environ | {"PAGER": page}, rows=9
        ) as terminal:
            terminal.wait_for("You:")
            terminal.send(":history" + ENTER)
            terminal.wait_for(f"arguments: {words}.")


def test_who_answered_is_said_where_it_was_another_model(talk: CliRunner) -> None:
    data = json.loads((talk.runs / "talk.json").read_text())
    data["turns"][0]["answered_by"] = "openai/gpt-4o"
    (talk.runs / "talk.json").write_text(json.dumps(data))
    assert "[1] (answered by openai/gpt-4o)\n" in talk.script(":history", words=("chat", "-r", "talk")).out
    assert "[1] (answered by openai/gpt-4o)\n" in talk.llm("show", "talk", "--full").out
    assert "First Exchange (answered by openai/gpt-4o)" in talk.llm("show", "talk").out


@pytest.mark.parametrize("columns", WIDTHS)
def test_the_picker_has_columns_ages_a_count_and_its_keys(talk: CliRunner, columns: int) -> None:
    session = TALK | {"meta": {"title": "A long title about 日本語 and more", "tags": ["pinned"]}}
    (talk.runs / "a_very_long_name_of_a_session_日本語_👩‍👩‍👧.json").write_text(json.dumps(session))
    with shell(talk, {}, columns=columns) as terminal:
        terminal.send(":load" + ENTER)
        terminal.wait_for("Search:", "1 of 2 · ↑ ↓ move · Enter selects")
        rows = [line for line in terminal.screen if "just now" in line]
        assert len(rows) == 2 and rows[0].startswith("> ★ a_very") and rows[1].startswith("  talk ")
        places = [get_cwidth(row[: row.index("just now")]) for row in rows]
        assert places[0] == places[1], "the columns are aligned"
        terminal.send("talk")
        terminal.wait_for("1 of 1 · ↑ ↓ move")
        terminal.send(ENTER)
        terminal.wait_for("Resuming session: talk.json")
