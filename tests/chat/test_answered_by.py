"""A turn keeps its model: switching, resuming and forking do not change it, and all totals agree."""

from __future__ import annotations

import json
from typing import Any

from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, serving, sse, stream

OLD = {
    "model": "openai/gpt-4o",
    "system": None,
    "created_at": "2025-03-04T10:00:00.000000",
    "turns": [
        {
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
            "cost_estimate": 0.25,
        }
    ],
    "usage_totals": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    "meta": {},
}


def answerers(cli: CliRunner, name: str) -> list[str | None]:
    return [turn.get("answered_by") for turn in cli.session(name)["turns"]]


def stats(cli: CliRunner) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in json.loads(cli.llm("sessions", "stats", "--json").out)}


def test_every_answered_turn_says_who_answered(cli: CliRunner) -> None:
    cli.script("one", ":model offline/guide", "how do I quit?", ":model offline/echo", ":save talk")
    assert answerers(cli, "talk") == ["offline/echo", "offline/guide"]
    assert cli.session("talk")["model"] == "offline/echo"


def test_a_file_from_before_keeps_the_model_it_was_found_with(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.runs / "old.json").write_text(json.dumps(OLD))
    cli.script(":load old", ":model offline/echo", "two")
    assert answerers(cli, "old") == ["openai/gpt-4o", "offline/echo"]
    assert cli.session("old")["model"] == "offline/echo"
    found = stats(cli)
    assert (found["openai/gpt-4o"]["tokens"], found["openai/gpt-4o"]["cost"], found["openai/gpt-4o"]["turns"]) == (
        10,
        0.25,
        1,
    )
    assert (found["offline/echo"]["sessions"], found["offline/echo"]["turns"]) == (1, 1)
    rows = cli.llm("export", "csv", "--session", "old").out.splitlines()
    assert [row.split(",")[4] for row in rows[1:]] == ['"openai/gpt-4o"'] * 2 + ['"offline/echo"'] * 2
    assert "answered by openai/gpt-4o" in cli.llm("export", "txt", "--session", "old").out


def test_a_switch_that_only_reached_the_journal_keeps_it_too(cli: CliRunner) -> None:
    cli.runs.mkdir()
    (cli.runs / "old.json").write_text(json.dumps(OLD))
    with cli.start("chat", "-r", "old") as shell:
        assert shell.stdin and shell.stdout
        shell.stdin.write(b":model offline/echo\n:model\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"offline/echo\n"
        shell.kill()
        shell.communicate()
    assert cli.llm("sessions", "list").code == 0
    assert (answerers(cli, "old"), cli.session("old")["model"]) == (["openai/gpt-4o"], "offline/echo")


def test_a_saved_question_is_a_session_of_its_model(cli: CliRunner) -> None:
    cli.llm("ask", "--name", "q", "-m", "offline/echo", "-s", "Be brief.", "hello", LLM_MODEL="offline/guide")
    session = cli.session("q")
    assert (session["model"], session["system"]) == ("offline/echo", "Be brief.")
    assert answerers(cli, "q") == ["offline/echo"]


def test_turns_that_a_fork_copied_are_counted_once(cli: CliRunner) -> None:
    cli.script("one", "two", ":save trunk", ":fork branch --at 1", "three")
    assert [turn.get("copied") for turn in cli.session("branch")["turns"]] == [True, None]
    found = stats(cli)["offline/echo"]
    assert (found["sessions"], found["turns"]) == (2, 3)
    tokens = [turn["usage"]["total_tokens"] for turn in cli.session("trunk")["turns"]]
    tokens.append(cli.session("branch")["turns"][1]["usage"]["total_tokens"])
    assert found["tokens"] == sum(tokens)
    cli.llm("sessions", "delete", "trunk")
    assert stats(cli)["offline/echo"]["turns"] == 2, "of a session that is gone the copies count"


def test_a_summary_is_in_the_cost_of_the_session(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[prices."openai/m"]\ninput = 10.0\noutput = 20.0\n')
    counts = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    hello = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    with serving(stream(sse(hello, {"choices": [], "usage": counts}, "[DONE]"))) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY, "LLM_MODEL": "openai/m"}
        cli.script("one", ":compact", ":save talk", words=("chat",), **environ)
        spent = cli.script(":load talk", ":budget 1", words=("chat",), **environ).out
    session = cli.session("talk")
    assert session["turns"][0]["cost_estimate"] == 0.02
    assert session["meta"]["other_requests"] == {"requests": 1, "total_tokens": 1500, "cost_estimate": 0.02}
    assert json.loads(cli.llm("sessions", "list", "--format", "json").out)[0]["cost"] == 0.04
    assert stats(cli)["openai/m"]["cost"] == 0.04
    assert "Estimated cost: $0.0400" in cli.llm("sessions", "show", "talk").out
    assert "Session: $0.0400 of $1.00" in spent


def test_a_failed_turn_costs_the_same_in_list_and_show(cli: CliRunner) -> None:
    failed = {"messages": [{"role": "user", "content": "x"}], "finish_reason": "error", "cost_estimate": 0.5}
    cli.runs.mkdir()
    (cli.runs / "old.json").write_text(json.dumps(OLD | {"turns": [*OLD["turns"], failed]}))  # type: ignore[misc]
    assert json.loads(cli.llm("sessions", "list", "--format", "json").out)[0]["cost"] == 0.75
    assert "Estimated cost: $0.7500" in cli.llm("sessions", "show", "old").out
