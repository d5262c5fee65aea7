"""Search in the histories of other programs where they are on this machine, and sessions made of its hits."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from llmrepl.sessions.importing import elsewhere
from llmrepl.sessions.index.query import Filters
from tests.cli_runner import CliRunner
from tests.sessions.importing import samples

PLACES = {
    ".claude/projects/-work/0a1b.jsonl": "session.jsonl",
    ".codex/sessions/2026/01/02/rollout-2026-01-02T10-00-00-s.jsonl": "rollout.jsonl",
    ".gemini/tmp/work/chats/session-2026-01-02T10-00-s.jsonl": "session-1.jsonl",
    ".config/io.datasette.llm/logs.db": "logs.db",
    ".config/aichat/sessions/sorting.yaml": "sorting.yaml",
    ".config/aichat/messages.md": "messages.md",
}


def fill(home: Path) -> None:
    for place, name in PLACES.items():
        path = home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(samples.SAMPLES[name][1])


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def theirs(home: Path) -> dict[str, bytes]:
    """The files of the other programs, and whatever was written beside them."""
    ours = (".config/llm/", ".cache/llm/", ".local/state/llm/")
    return {name: raw for name, raw in tree(home).items() if not name.startswith(ours)}


def test_each_program_is_searched_and_nothing_is_written(cli: CliRunner) -> None:
    fill(cli.home)
    before = theirs(cli.home)
    ran = cli.llm("search", "--all", "--elsewhere", "REVERSE=true")
    assert ran.code == 0, ran.err
    found = re.findall(r"^([a-z-]+):[0-9a-f]{8} +(\d+) +assistant", ran.out, re.M)
    assert sorted(found) == sorted(
        [("claude-code", "2"), ("codex", "2"), ("gemini-cli", "2"), ("llm", "2"), ("aichat", "2"), ("aichat", "1")]
    )
    assert theirs(cli.home) == before


def test_nothing_of_others_is_read_without_the_option(cli: CliRunner) -> None:
    fill(cli.home)
    ran = cli.llm("search", "--all", "reverse=True")
    assert "claude-code" not in ran.out + ran.err


def test_a_hit_becomes_a_session_once(cli: CliRunner) -> None:
    fill(cli.home)
    hits = cli.script(":search --elsewhere reverse=True").out
    for program in elsewhere.PROGRAMS:
        [name, *_] = re.findall(rf"{program}:[0-9a-f]{{8}}", hits)
        for _ in range(2):
            ran = cli.script(f":fork {name}", ":model offline/echo", "and now?")
            assert ran.code == 0, ran.err
            assert "Resuming session" in ran.err + ran.out
    sources = sorted(cli.session(path.stem)["meta"]["origin"]["source"] for path in cli.runs.glob("*.json"))
    assert sources == sorted(elsewhere.PROGRAMS)
    turns = [len(cli.session(path.stem)["turns"]) for path in cli.runs.glob("*.json")]
    assert turns == [4] * len(elsewhere.PROGRAMS)


def test_a_hit_is_forked_at_a_turn(cli: CliRunner) -> None:
    fill(cli.home)
    [name] = re.findall(r"codex:[0-9a-f]{8}", cli.llm("search", "--elsewhere", "reverse=True").out)
    ran = cli.script(f":fork {name} --at 1", ":model offline/echo", "and now?")
    assert ran.code == 0 and "after turn 1" in ran.err + ran.out
    assert sorted(len(cli.session(path.stem)["turns"]) for path in cli.runs.glob("*.json")) == [2, 2]


def test_a_reference_to_nothing_is_a_usage_error(cli: CliRunner) -> None:
    fill(cli.home)
    ran = cli.script(":fork codex:00000000")
    assert ran.code == 2 and "There is no conversation codex:00000000 on this machine." in ran.err


def test_damaged_histories_are_named_and_do_not_stop_the_search(cli: CliRunner) -> None:
    fill(cli.home)
    (cli.home / ".config/io.datasette.llm/logs.db").write_bytes(samples.SAMPLES["logs.db"][1][:5000])
    (cli.home / ".config/aichat/sessions/half.yaml").write_text(
        "model: m\nmessages:\n- role: user\n  content: 'reverse\n"
    )
    (cli.home / ".claude/projects/-work/empty.jsonl").write_text("")
    (cli.home / ".claude/projects/-work/later.jsonl").write_text('{"type": "reverse", "sessionId": "x"}\n')
    ran = cli.llm("search", "--elsewhere", "reverse=True")
    assert ran.code == 0
    assert "logs.db was not searched: the database is damaged" in ran.err + ran.out
    assert "half.yaml was not searched: line 5: found unexpected end" in ran.err + ran.out
    assert "codex:" in ran.out and "claude-code:" in ran.out
    assert "empty.jsonl" not in ran.err and "later.jsonl" not in ran.err


def test_transactions_in_a_write_ahead_log_are_found(cli: CliRunner) -> None:
    fill(cli.home)
    path = cli.home / ".config/io.datasette.llm/logs.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE responses SET response = 'only in the log'")
        db.commit()
        before = theirs(cli.home)
        ran = cli.llm("search", "--elsewhere", "only in the log")
        assert ran.out.count("llm:") == 2
        assert theirs(cli.home) == before


def test_filters_hold_elsewhere(cli: CliRunner) -> None:
    fill(cli.home)
    ran = cli.llm("search", "--elsewhere", "--model", "claude", "reverse=True")
    assert set(re.findall(r"([a-z-]+):[0-9a-f]{8} ", ran.out)) == {"claude-code"}
    assert not re.findall(r":[0-9a-f]{8} ", cli.llm("search", "--elsewhere", "--tag", "work", "reverse=True").out)
    assert not re.findall(
        r":[0-9a-f]{8} ", cli.llm("search", "--elsewhere", "--until", "2025-01-01", "reverse=True").out
    )


@pytest.mark.parametrize(
    ("variable", "place", "name"),
    [
        ("CLAUDE_CONFIG_DIR", "projects/x/a.jsonl", "session.jsonl"),
        ("CODEX_HOME", "sessions/2026/01/02/rollout-a.jsonl", "rollout.jsonl"),
        ("LLM_USER_PATH", "logs.db", "logs.db"),
        ("AICHAT_CONFIG_DIR", "sessions/a.yaml", "sorting.yaml"),
        ("AICHAT_CONFIG_DIR", "agents/coder/messages.md", "messages.md"),
        ("AICHAT_SESSIONS_DIR", "a.yaml", "sorting.yaml"),
        ("XDG_CONFIG_HOME", "aichat/sessions/a.yaml", "sorting.yaml"),
    ],
)
def test_the_variables_of_the_programs_say_where(cli: CliRunner, variable: str, place: str, name: str) -> None:
    path = cli.cwd / "other" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(samples.SAMPLES[name][1])
    ran = cli.llm("search", "--elsewhere", "reverse=True", **{variable: str(cli.cwd / "other")})
    assert re.search(rf"^{samples.SAMPLES[name][0]}:[0-9a-f]{{8}}", ran.out, re.M)


def test_the_search_ends_in_time_and_says_what_it_left(tmp_path: Path) -> None:
    fill(tmp_path)
    files = elsewhere.history_files({}, tmp_path)
    assert len(files) == len(PLACES)

    def clock() -> Iterator[float]:
        yield from (0.0, 1.0, 1.0, 1.0)
        while True:
            yield elsewhere.MAX_SECONDS + 1

    ticks = clock()
    found = elsewhere.search(files, "reverse", Filters(), 9, datetime(2026, 1, 2), lambda: next(ticks))
    assert found.files == len(PLACES) and 0 < found.unread < found.files
    assert found.hits


@pytest.mark.parametrize("text", ["in REVERSE", "reverse=True. schöne", "schöne grü", "👋", "d.items())\n```"])
def test_no_file_with_the_text_is_passed_over(tmp_path: Path, text: str) -> None:
    fill(tmp_path)
    files = elsewhere.history_files({}, tmp_path)
    found = elsewhere.search(files, text, Filters(), 9, datetime(2026, 1, 2), lambda: 0.0)
    assert {hit.name.partition(":")[0] for hit in found.hits} == set(elsewhere.PROGRAMS)


def test_a_hit_is_forked_in_a_terminal_and_refused_in_incognito_mode(cli: CliRunner) -> None:
    fill(cli.home)
    [name] = re.findall(r"codex:[0-9a-f]{8}", cli.llm("search", "--elsewhere", "reverse=True").out)
    ran = cli.script(":incognito on", f":fork {name}")
    assert ran.code != 0 and "Nothing is imported in incognito mode." in ran.err
    assert not list(cli.runs.glob("*.json"))
    ran = cli.llm("sessions", "fork", name, typed=":model offline/echo\nand now?\n")
    assert ran.code == 0, ran.err
    [path] = cli.runs.glob("*.json")
    assert len(cli.session(path.stem)["turns"]) == 3
