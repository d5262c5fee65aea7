"""The programs that go with the guide's sister pages, rewritten from their description, run on our output."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cli_runner import CliRunner

QUESTIONS = ("what is rust", "what is a monad", "why is the sky blue", "who was Ada")


def ask(cli: CliRunner, question: str, model: str = "offline/echo") -> dict[str, Any]:
    """Ask in a process of its own, and parse its only line."""
    ran = cli.process("ask", "-m", model, "--json", question)
    [answer] = ran.events
    assert isinstance(answer, dict)
    return answer


def test_batch_questions_in_parallel(cli: CliRunner) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda question: ask(cli, question), QUESTIONS))
    assert [answer["response"] for answer in answers] == list(QUESTIONS)
    tokens = sum(answer["usage"]["total_tokens"] for answer in answers)
    [row] = json.loads(cli.llm("usage", "--breakdown-by", "model", "--json").out)[:1]
    assert str(tokens) in json.dumps(row), "the ledger of all processes has every request"


def test_a_comparison_of_models(cli: CliRunner) -> None:
    models = ("offline/echo", "offline/guide", "offline/none")
    answers = {model: ask(cli, "how do I quit?", model) for model in models}
    table = [(model, a["latency_ms"], a["estimated_cost_usd"]) for model, a in answers.items() if "error" not in a]
    assert [row[0] for row in table] == ["offline/echo", "offline/guide"]
    assert all(latency >= 0 and cost == 0 for _, latency, cost in table)
    assert answers["offline/none"]["error"]["code"] == 2


def sessions(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(directory.glob("*.json"))]


def test_spending_return_and_sessions(cli: CliRunner) -> None:
    cli.script("one", "two", words=("chat", "-m", "offline/echo", "--name", "first"))
    cli.script("three", words=("chat", "-m", "offline/echo", "--name", "second"))
    by_model: dict[str, float] = {}
    for session in sessions(cli.runs):
        spent = sum(turn.get("cost_estimate", 0.0) for turn in session["turns"])
        by_model[session["model"]] = by_model.get(session["model"], 0.0) + spent
    assert by_model == {"offline/echo": 0.0}
    saved_hours = 0.25 * sum(len(session["turns"]) for session in sessions(cli.runs))
    assert saved_hours * 50 - sum(by_model.values()) == 37.5
    lengths = [turn["usage"]["total_tokens"] for session in sessions(cli.runs) for turn in session["turns"]]
    assert len(lengths) == 3 and all(length > 0 for length in lengths)
