"""A conversation through an independent fake server, and the guide's programs on the result."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_runner import CliRunner

GUIDE = Path(__file__).resolve().parent / "guide"


@pytest.fixture(scope="module")
def llmock() -> Iterator[str]:
    """Run PyPI's llmock on a free port; return its base URL."""
    program = Path(sys.executable).with_name("llmock")
    if not program.exists():
        pytest.skip("the package llmock is not installed: pip install -e '.[dev]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port), "--response-style", "echo"]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/v1/models", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize(
    ("model", "variables"),
    [
        ("openai/gpt-4o-mini", {"OPENAI_BASE_URL": "/v1", "OPENAI_API_KEY": "sk-x"}),
        ("anthropic/claude-haiku-4-5", {"ANTHROPIC_BASE_URL": "/anthropic", "ANTHROPIC_API_KEY": "sk-x"}),
        ("gemini/gemini-2.5-flash", {"GOOGLE_GEMINI_BASE_URL": "/gemini", "GEMINI_API_KEY": "sk-x"}),
    ],
    ids=["openai", "anthropic", "gemini"],
)
def test_a_conversation_is_streamed_counted_and_kept(
    cli: CliRunner, llmock: str, model: str, variables: dict[str, str]
) -> None:
    environ = {name: llmock + value if name.endswith("URL") else value for name, value in variables.items()}
    typed = "hello there\n:save talk\nand once more\n:cost\n"
    ran = cli.llm("chat", "-m", model, "--json", typed=typed, **environ)
    assert ran.code == 0, ran.err
    replies = [event for event in ran.events if event["event"] == "reply"]
    assert [reply["turn"] for reply in replies] == [1, 2]
    assert all(reply["finish_reason"] == "stop" and reply["text"] for reply in replies)
    assert all(reply["usage"]["total_tokens"] > 0 and not reply["usage"]["estimated"] for reply in replies)
    session = json.loads((cli.cwd / "runs" / "talk.json").read_text())
    said = [[message["content"] for message in turn["messages"]] for turn in session["turns"]]
    assert said == [["hello there", replies[0]["text"]], ["and once more", replies[1]["text"]]]
    program = [sys.executable, str(GUIDE / "analyze_sessions.py")]
    analysis = subprocess.run(program, cwd=cli.cwd, capture_output=True, text=True, check=True)
    total = sum(reply["usage"]["total_tokens"] for reply in replies)
    assert f"Total Tokens: {total:,}" in analysis.stdout
    assert f"🤖 {model}" in analysis.stdout
