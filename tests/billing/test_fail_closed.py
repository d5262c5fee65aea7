"""A daily limit fails closed: no request leaves unrecorded, whatever happens to the ledger."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmrepl.billing.ledger import Ledger
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, serving, sse, stream

PRICE = '[prices."openai/m"]\ninput = 10.0\noutput = 20.0\n'
COUNTS = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
HELLO = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
REPLY = stream(sse(HELLO, {"choices": [], "usage": COUNTS}, "[DONE]"))
COST = 0.0005


@contextmanager
def provider(cli: CliRunner, *, daily: str = "1.00") -> Iterator[tuple[Server, dict[str, str]]]:
    """Run a server, and yield it with the variables that select it and set a daily limit."""
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(PRICE)
    with serving(REPLY) as server:
        environ = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY, "LLM_DAILY_BUDGET": daily}
        yield server, environ


def ledger(cli: CliRunner) -> Path:
    return cli.home / ".local/state/llm/ledger.db"


def test_a_busy_ledger_is_waited_for_and_the_request_is_recorded(cli: CliRunner) -> None:
    with provider(cli) as (server, environ):
        assert cli.llm("ask", "-m", "openai/m", "one", **environ).code == 0
        held = sqlite3.connect(ledger(cli), isolation_level=None, check_same_thread=False)
        held.execute("BEGIN EXCLUSIVE")

        def let_go() -> None:
            time.sleep(2.0)
            assert len(server.seen) == 1, "a request left while the ledger was busy"
            held.execute("ROLLBACK")

        other = threading.Thread(target=let_go)
        other.start()
        ran = cli.llm("ask", "-m", "openai/m", "two", **environ)
        other.join()
        held.close()
    assert ran.code == 0 and ran.out == "Hello\n"
    assert "waiting for the usage ledger" in ran.err
    assert [one.cost for one in Ledger(ledger(cli)).entries()] == [COST, COST]


def test_without_a_ledger_nothing_is_sent_until_the_limit_is_off(cli: CliRunner) -> None:
    ledger(cli).mkdir(parents=True)
    with provider(cli) as (server, environ):
        ran = cli.llm("chat", "-m", "openai/m", typed="one\n", **environ)
        assert ran.code == 5 and server.seen == []
        assert "Cannot check the daily budget" in ran.err and "nothing was sent" in ran.err
        ran = cli.llm("chat", "-m", "openai/m", typed=":budget off\none\n", **environ)
        assert ran.code == 0 and ran.out.endswith("Hello\n") and len(server.seen) == 1
        assert "Cannot open the usage ledger" in ran.err


def test_without_a_limit_an_unusable_ledger_blocks_no_request(cli: CliRunner) -> None:
    ledger(cli).mkdir(parents=True)
    with provider(cli) as (_, environ):
        environ.pop("LLM_DAILY_BUDGET")
        ran = cli.llm("chat", "-m", "openai/m", typed="one\ntwo\n", **environ)
    assert ran.code == 0
    assert ran.err.count("Cannot open the usage ledger") == 1


def test_what_could_not_be_recorded_is_recorded_before_the_next_request(cli: CliRunner) -> None:
    """Another program locks the ledger while the reply streams. The shell waits no longer than the reply takes."""
    with provider(cli) as (server, environ):
        ledger(cli).parent.mkdir(parents=True)
        hidden = ledger(cli).with_name("hidden")
        script = iter(["one\n", "two\n"])

        def typed() -> Iterator[str]:
            ledger(cli).mkdir()  # in the way of the first record
            yield next(script)
            ledger(cli).rename(hidden)
            yield next(script)

        environ.pop("LLM_DAILY_BUDGET")
        ran = cli.llm("chat", "-m", "openai/m", typed=typed(), **environ)
    assert ran.code == 0 and len(server.seen) == 2
    assert [one.cost for one in Ledger(ledger(cli)).entries()] == [COST, COST]


def test_many_shells_at_once_spend_no_more_than_the_day_allows(cli: CliRunner) -> None:
    """The limit covers four replies. Each of twelve shells may send a prompt without knowing of the others."""
    with provider(cli, daily="0.002") as (server, environ):
        shells = [
            cli.start("ask", "-m", "openai/m", f"question {n}", environ=environ, stdin=subprocess.DEVNULL)
            for n in range(12)
        ]
        for shell in shells:
            shell.communicate(timeout=60)
    spent = sum(one.cost or 0.0 for one in Ledger(ledger(cli)).entries())
    assert spent == pytest.approx(len(server.seen) * COST)
    assert len(server.seen) >= 1 and spent <= 0.002 + COST
    assert sorted({shell.returncode for shell in shells}) == [0, 5]
    caps = [one.body.get("max_output_tokens") for one in server.seen]
    assert all(isinstance(cap, int) and cap <= 100 for cap in caps), "each reply is capped by what is left"


@pytest.mark.parametrize(
    "words", [("-b", "-1"), ("-b", "nan"), ("-b", "inf"), ("--warn-at", "5"), ("--warn-at", "nan")]
)
def test_an_amount_that_is_none_is_refused(cli: CliRunner, words: tuple[str, ...]) -> None:
    ran = cli.llm("chat", "-m", "offline/echo", *words, typed="hello\n")
    assert (ran.code, ran.out) == (2, "")
    assert " takes a" in ran.err and "such as" in ran.err


def test_a_long_affordable_reply_is_capped_too(cli: CliRunner) -> None:
    """$1 buys 49,998 tokens at $20 per million. The server must get this cap: it alone sees hidden reasoning."""
    with provider(cli) as (server, environ):
        cli.llm("chat", "-m", "openai/m", "-b", "1.00", typed="hi\n", **environ)
    cap = server.seen[0].body.get("max_output_tokens")
    assert 49_000 < cap < 50_000
