"""Every attempt of a request has a row in the ledger: free if the server refused it, else a high estimate."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler

import pytest

from llmrepl.billing.ledger import Ledger
from llmrepl.billing.pricing import LedgerEntry
from tests.cli_runner import CliRunner, Ran
from tests.providers.loopback import KEY, hang_up, serving, sse, status, stream

Answer = Callable[[BaseHTTPRequestHandler], None]
PRICE = '[prices."openai/m"]\ninput = 10.0\noutput = 20.0\n'
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
HELLO = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
REPLY = stream(sse(HELLO, {"choices": [], "usage": COUNTS}, "[DONE]"))
REFUSED = status(429, {"error": "slow down"}, Retry_After="0.01")


def talk(cli: CliRunner, *answers: Answer, words: tuple[str, ...] = ()) -> tuple[Ran, list[LedgerEntry]]:
    """Send a prompt to a server with these answers; return the result and the ledger's rows."""
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(PRICE)
    with serving(*answers) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY, "LLM_MAX_RETRIES": "1"}
        ran = cli.llm("chat", "-m", "openai/m", *words, typed="hi there\n", **environ)
    return ran, list(Ledger(cli.home / ".local/state/llm/ledger.db").entries())


@pytest.mark.parametrize(
    ("answers", "kinds", "paid"),
    [
        ((REFUSED, REPLY), ["retried", "reply"], [False, True]),
        ((hang_up, REPLY), ["retried", "reply"], [True, True]),
        ((hang_up,), ["retried", "failed"], [True, True]),
        ((REFUSED,), ["retried", "failed"], [False, False]),
        ((status(401, {"error": "no"}),), ["failed"], [False]),
        ((status(200), REPLY), ["retried", "reply"], [False, True]),
    ],
    ids=("refused", "dropped", "dropped twice", "refused twice", "not allowed", "empty"),
)
def test_each_attempt_is_a_row_and_costs_something_if_the_server_may_have_worked(
    cli: CliRunner, answers: tuple[Answer, ...], kinds: list[str], paid: list[bool]
) -> None:
    _, rows = talk(cli, *answers)
    assert [row.kind for row in rows] == kinds
    assert [bool(row.cost) for row in rows] == paid
    assert all(row.estimated for row in rows if row.kind != "reply" and row.cost)


def test_a_prompt_that_cannot_be_saved_reserves_nothing(cli: CliRunner) -> None:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(PRICE)

    def lines() -> Iterator[str]:
        yield "hi there\n"
        cli.runs.rename(cli.cwd / "away")
        cli.runs.write_text("in the way")
        yield "again\n"

    with serving(REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY, "LLM_DAILY_BUDGET": "1"}
        ran = cli.llm("chat", "-m", "openai/m", typed=lines(), **environ)
        assert len([seen for seen in server.seen if seen.body]) == 1
    assert ran.code == 4
    with closing(sqlite3.connect(cli.home / ".local/state/llm/ledger.db")) as ledger:
        assert ledger.execute("SELECT kind FROM requests").fetchall() == [("reply",)]


def test_a_budget_pays_for_no_second_try_that_it_cannot(cli: CliRunner) -> None:
    ran, rows = talk(cli, hang_up, REPLY, words=("-b", "0.00015"))
    assert ran.code == 5
    assert "too little left for another attempt" in ran.err
    assert [row.kind for row in rows] == ["retried", "failed"]
