"""Conversations with npm's @copilotkit/aimock, an independent fake server, in each of its dialects.

`AIMOCK` names its dist/cli.js; `.ci/run` installs it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cli_runner import CliRunner, Ran

USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 34,
    "total_tokens": 1234,
    "input_tokens": 1200,
    "output_tokens": 34,
    "promptTokenCount": 1200,
    "candidatesTokenCount": 34,
    "totalTokenCount": 1234,
}
STORY = "Once upon a time there was a shell. 🐚 It kept every word, also “those” ones.\n\n```py\nprint('x')\n```\n"
FIXTURES = [
    {"match": {"userMessage": "tell me"}, "response": {"content": STORY, "usage": USAGE}, "chunkSize": 3},
    {
        "match": {"userMessage": "think"},
        "response": {"content": "The answer.", "reasoning": "Let me see.", "usage": USAGE},
    },
    {
        "match": {"userMessage": "break"},
        "response": {"content": STORY},
        "chunkSize": 4,
        "truncateAfterChunks": 6,
        "latency": 20,
    },
    {
        "match": {"userMessage": "limit"},
        "response": {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}, "status": 429},
    },
    {
        "match": {"userMessage": "overloaded"},
        "response": {"error": {"message": "Try again later", "type": "server_error"}, "status": 503},
    },
    {
        "match": {"userMessage": "wrong"},
        "response": {"error": {"message": "No such thing", "type": "invalid_request_error"}, "status": 400},
    },
]
DIALECTS = {
    "openrouter": ("openrouter/openai/gpt-4o-mini", "OPENROUTER_BASE_URL", "/v1", "OPENROUTER_API_KEY"),
    "openai": ("openai/gpt-4o-mini", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "anthropic": ("anthropic/claude-haiku-4-5", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    "gemini": ("gemini/gemini-2.5-flash", "GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY"),
    "ollama": ("ollama/llama3.2", "OLLAMA_HOST", "", ""),
}


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run aimock with our fixtures on a free port; return its base URL."""
    program = os.environ.get("AIMOCK", "")
    if not program or not shutil.which("node"):
        pytest.skip("needs node, and AIMOCK=…/node_modules/@copilotkit/aimock/dist/cli.js")
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["node", program, "--port", str(port), "--fixtures", str(fixtures), "--log-level", "silent"]
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


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest, cli: CliRunner, aimock: str) -> str:
    """Set a base URL and a key for each dialect."""
    name = str(request.param)
    _, address, path, key = DIALECTS[name]
    cli.environ |= {address: aimock + path, "LLM_MAX_RETRIES": "0"} | ({key: "sk-x"} if key else {})
    return name


def talk(cli: CliRunner, dialect: str, *prompts: str) -> Ran:
    words = ("chat", "-m", DIALECTS[dialect][0], "--json", "--name", "talk", "--keep-going")
    return cli.script(*prompts, words=words)


def test_a_conversation_is_streamed_counted_and_kept(cli: CliRunner, dialect: str) -> None:
    ran = talk(cli, dialect, "tell me a story", "think about it")
    replies = [event for event in ran.events if event["event"] == "reply"]
    assert [reply["text"] for reply in replies] == [STORY, "The answer."], ran.err
    assert cli.said("talk") == [("tell me a story", STORY), ("think about it", "The answer.")]
    for reply in replies:
        usage = reply["usage"]
        if dialect != "ollama":  # of which aimock's own counts are zero, and nothing is what it cannot have been
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (1200, 34)
            assert not usage.get("estimated")
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert ran.code == 0


def test_a_stream_that_breaks_is_kept_as_a_part(cli: CliRunner, dialect: str) -> None:
    ran = talk(cli, dialect, "break off")
    (turn,) = cli.session("talk")["turns"]
    assert turn["finish_reason"] == "interrupted", ran.err
    ((_, kept),) = cli.said("talk")
    assert kept and STORY.startswith(kept) and kept != STORY
    assert ran.code == 1 and "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("prompt", "said"), [("limit", "Rate limit reached"), ("overloaded", "Try again later"), ("wrong", "No such thing")]
)
def test_a_refusal_is_shown_in_the_server_s_words_and_the_prompt_kept(
    cli: CliRunner, dialect: str, prompt: str, said: str
) -> None:
    ran = talk(cli, dialect, prompt)
    assert said in ran.err and ran.code == 1
    (turn,) = cli.session("talk")["turns"]
    assert turn["finish_reason"] == "error" and cli.said("talk") == [(prompt, "")]
