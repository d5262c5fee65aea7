"""The guide's programs and one-liners run unchanged on our session files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_runner import CHAT, LLM, CliRunner

GUIDE = Path(__file__).resolve().parent / "guide"

TOTAL = """
import json, glob
total = sum(
    sum(turn.get('cost_estimate', 0) for turn in json.load(open(f)).get('turns', []))
    for f in glob.glob('./runs/*.json')
)
print(f'Total spent: ${total:.4f}')
"""

VALID = """
import json
with open('./runs/talk.json') as f:
    session = json.load(f)
assert 'model' in session
assert 'turns' in session
print('Session file is valid')
"""


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> CliRunner:
    """A user with sessions of two models, a failed turn, and another program's session with costs."""
    cli = CliRunner.at(tmp_path_factory.mktemp("talked"))
    cli.script(
        "hello there", ":system You are a programming assistant", "naïve 日本語 🙂", ":undo", "and again", ":retry",
        ":switch offline/guide", "how do I save?", ":switch offline/echo", "one more", words=(*CHAT, "--name", "talk"),
    )  # fmt: skip
    cli.script("only one", words=(*CHAT, "-s", "Answer in French", "--name", "short"))
    nobody = {"OLLAMA_HOST": "http://127.0.0.1:9", "LLM_MAX_RETRIES": "0"}
    cli.script("fails", words=("chat", "-m", "ollama/nobody", "--name", "failed"), **nobody)
    turn = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "usage": {"prompt_tokens": 25, "completion_tokens": 187, "total_tokens": 212},
        "latency_ms": 1450.2,
        "cost_estimate": 0.0034,
    }
    theirs = {"model": "openai/gpt-4o-mini", "system": "x", "created_at": "2024-01-08T14:30:22.123456", "turns": [turn]}
    (cli.runs / "theirs.json").write_text(json.dumps(theirs))
    cli.script("more", words=("chat", "-r", "theirs", "-m", "offline/echo"))
    return cli


@pytest.fixture
def talked(conversations: CliRunner, cli: CliRunner) -> CliRunner:
    """Copy those conversations."""
    shutil.copytree(conversations.runs, cli.runs)
    return cli


def run(cli: CliRunner, *argv: str) -> str:
    """Run a program that must succeed and return its output."""
    done = subprocess.run(argv, cwd=cli.cwd, env=cli.environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def guide(cli: CliRunner, program: str, *arguments: str) -> str:
    return run(cli, sys.executable, str(GUIDE / f"{program}.py"), *arguments)


def test_the_analysis_counts_every_session_turn_and_cost(talked: CliRunner) -> None:
    output = guide(talked, "analyze_sessions")
    assert "Error" not in output
    assert "Total Cost: $0.0034" in output
    sessions = [json.loads(path.read_bytes()) for path in talked.runs.glob("*.json")]
    tokens = sum(session["usage_totals"]["total_tokens"] for session in sessions)
    assert f"Total Tokens: {tokens:,}" in output
    echoes = [session for session in sessions if session["model"] == "offline/echo"]
    assert f"🤖 offline/echo\n  Sessions: {len(echoes)}\n" in output
    for session in sessions:
        counted = sum(turn.get("usage", {}).get("total_tokens", 0) for turn in session["turns"])
        assert session["usage_totals"]["total_tokens"] == counted


def test_the_total_cost(talked: CliRunner) -> None:
    assert run(talked, sys.executable, "-c", TOTAL) == "Total spent: $0.0034\n"


@pytest.mark.parametrize("form", ["txt", "md"])
def test_the_export(talked: CliRunner, form: str) -> None:
    for path in sorted(talked.runs.glob("*.json")):
        output = guide(talked, "export_session", str(path), "--format", form)
        assert "Export failed" not in output
        for turn in json.loads(path.read_bytes())["turns"]:
            assert all(message["content"] in output for message in turn["messages"])
    output = guide(talked, "export_session", "runs/talk.json", "--format", form, "--output", "out")
    assert output == "Exported to out\n"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", ["failed", "short", "talk", "theirs"]),
        ("--model echo", ["short", "talk", "theirs"]),
        ("--since 2024-06-01", ["failed", "short", "talk"]),
        ("--min-turns 3", ["talk"]),
        ("--min-cost 0.001", ["theirs"]),
        ("--max-cost 0.001", ["failed", "short", "talk"]),
        ("--min-turns 2 --model offline --since 2024-06-01", ["talk"]),
    ],
)
@pytest.mark.parametrize("form", ["list", "table", "json"])
def test_the_filter(talked: CliRunner, options: str, found: list[str], form: str) -> None:
    output = guide(talked, "filter_sessions", *options.split(), "--format", form)
    assert "Error" not in output
    assert [name for name in ("failed", "short", "talk", "theirs") if f"{name}.json" in output] == found


def test_the_filter_by_system_prompt(talked: CliRunner) -> None:
    """The guide's filter fails on sessions without a system prompt, which is a fault of the guide."""
    (talked.runs / "failed.json").unlink()
    output = guide(talked, "filter_sessions", "--system-contains", "programming")
    assert "Found 1 matching sessions:\n  talk.json" in output


def test_the_validation(talked: CliRunner) -> None:
    assert guide(talked, "validate_sessions") == "✅ 4 valid session files\n"
    assert run(talked, sys.executable, "-c", VALID) == "Session file is valid\n"


def test_the_recovery_finds_nothing_to_do_and_what_it_writes_is_a_session(talked: CliRunner) -> None:
    path = talked.runs / "talk.json"
    before = json.loads(path.read_bytes())
    with path.open("a") as file:
        file.write('{"turns": [')
    assert talked.llm("sessions", "show", "talk").code == 3
    assert "Recovered session saved to" in guide(talked, "recover_session", "runs/talk.json")
    assert json.loads(path.read_bytes()) == before
    assert talked.script("goes on", words=("chat", "-r", "talk")).code == 0
    assert talked.said("talk")[-1] == ("goes on", "goes on")


def test_models_are_counted_by_line(talked: CliRunner) -> None:
    output = run(talked, "sh", "-c", "grep -h '\"model\"' ./runs/*.json | sort | uniq -c")
    assert [line.split(maxsplit=1) for line in output.splitlines()] == [
        ["3", '"model": "offline/echo",'],
        ["1", '"model": "ollama/nobody",'],
    ]


def test_every_file_is_json_with_two_spaces_and_the_characters_as_they_are(talked: CliRunner) -> None:
    for path in talked.runs.glob("*.json"):
        output = run(talked, sys.executable, "-m", "json.tool", "--no-ensure-ascii", "--indent", "2", str(path))
        assert json.loads(output) == json.loads(path.read_bytes())
        assert output == path.read_text("utf-8")
    assert "日本語 🙂" in (talked.runs / "talk.json").read_text("utf-8")


def test_a_failed_prompt_is_a_turn_of_its_own_without_a_reply(talked: CliRunner) -> None:
    [turn] = talked.session("failed")["turns"]
    assert [message["role"] for message in turn["messages"]] == ["user"]
    assert turn["finish_reason"] == "error"
    assert "cost_estimate" not in turn


def test_the_list_sorts_by_cost(talked: CliRunner) -> None:
    llm = " ".join(LLM)
    output = run(talked, "sh", "-c", f"{llm} sessions list | sort -k6 -nr")
    rows = [line.split() for line in output.splitlines()]
    assert rows[0][0] == "theirs.json"
    assert {len(row) for row in rows} == {6}
    assert sorted(row[0] for row in rows) == ["failed.json", "short.json", "talk.json", "theirs.json"]
    assert all(row[1][10:11] == "T" and len(row[1]) == 16 for row in rows)


def test_the_shells_own_export_says_what_the_guides_says(talked: CliRunner) -> None:
    """The guide's Markdown; the shell may add to it."""
    ours = talked.llm("sessions", "export", "md", "--session", "short").out
    theirs = guide(talked, "export_session", "runs/short.json", "--format", "md")
    said = [line for line in theirs.splitlines() if line.startswith(("# ", "## ", "**", "👤", "🤖"))]
    assert [line for line in said if line not in ours] == []
