"""Endless responses take bounded memory and time; a session file cannot raise a budget."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from tests.cli_runner import LLM, CliRunner
from tests.memory import launched, peak_bytes
from tests.providers.loopback import serving
from tests.security.attack import KEY

MIB = 1 << 20
MEMORY, SECONDS = 400 * MIB, 8.0

Answer = Callable[[BaseHTTPRequestHandler], None]


def without_end(status: int, first: bytes, more: bytes, **headers: str) -> Answer:
    """Send an answer until the client disconnects, or for 2 GiB."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(first)
        for _ in range(2048 * MIB // len(more)):
            handler.wfile.write(more)

    return answer


def headers_without_end(handler: BaseHTTPRequestHandler) -> None:
    """Send a status, then endless headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(2048):
        handler.wfile.write(b"X-Filler: " + b"x" * MIB + b"\r\n")


TEXT = b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 60_000}}]}).encode() + b"\n\n"
BOMB = gzip.compress(TEXT * 4000, 9)

ANSWERS: dict[str, Answer] = {
    "a line": without_end(200, b"data: ", b"x" * MIB),
    "a packed text": without_end(200, b"", BOMB, Content_Encoding="gzip"),
    "an error": without_end(500, b'{"error": {"message": "', b"x" * MIB),
    "headers": headers_without_end,
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_server_without_end_is_left(cli: CliRunner, case: str) -> None:
    words = ("chat", "-m", "openai/x", "--name", "talk")
    with serving(ANSWERS[case]) as server:
        environ = {
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": server.url,
            "LLM_MAX_RETRIES": "0",
            "LLM_FIRST_TOKEN_TIMEOUT": "0.4",
            "LLM_IDLE_TIMEOUT": "0.4",
        }
        code, most, seconds = measured(cli, *words, **environ)
    assert code == 1
    assert most < MEMORY, f"{most / MIB:.0f} MiB"
    assert seconds < SECONDS
    assert cli.said("talk")[0][0] == "hello"


def test_a_list_of_models_without_end_is_left(cli: CliRunner) -> None:
    with serving(without_end(200, b'{"data": [', b'{"id": "m"},' * 100_000)) as server:
        words = ("models", "list", "--provider", "openai", "--refresh")
        _, most, seconds = measured(cli, *words, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert most < MEMORY, f"{most / MIB:.0f} MiB"
    assert seconds < SECONDS


def measured(cli: CliRunner, *words: str, **environ: str) -> tuple[int, int, float]:
    """Run `llm WORDS` with a prompt piped in; return exit code, peak memory in bytes, and seconds."""
    begun, report = time.monotonic(), cli.home / "peak"
    with subprocess.Popen(
        launched([*LLM, *words], report),
        cwd=cli.cwd,
        env=cli.environ | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        process.stdin.write(b"hello\n")
        process.stdin.close()
    return process.returncode, peak_bytes(report), time.monotonic() - begun


@pytest.mark.parametrize("cost", [-1000.0, -1e308, -0.0])
def test_a_session_cannot_give_money_back(cli: CliRunner, cost: float) -> None:
    cli.runs.mkdir()
    turns = [{"messages": [{"role": "user", "content": "x"}], "cost_estimate": each} for each in (0.05, cost)]
    data = {"model": "mine/x", "turns": turns, "usage_totals": {"total_tokens": -(10**9)}, "budget": 1e9}
    (cli.runs / "talk.json").write_text(json.dumps(data))
    config = cli.home / ".config" / "llm" / "config.toml"
    config.parent.mkdir(parents=True)
    with serving(without_end(200, b"", TEXT)) as server:
        config.write_text(
            f'prices = {{"mine/x" = {{input = 1.0, output = 1.0}}}}\n[providers.mine]\nbase_url = "{server.url}"\n'
        )
        ran = cli.script(":load talk", "more", words=("chat", "-b", "0.05"))
        assert server.seen == []
    assert ran.code == 5
    assert "Budget reached: $0.0500 of $0.0500 spent." in ran.err
