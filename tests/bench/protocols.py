"""Time from exec to the first token in each protocol: `llm ask` against a bare httpx script with the same request."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import Figure, cli, llm

ROUNDS = 11
LIMIT = 1.15

SCRIPT = """
import json, os, sys, httpx

def text_of(value):
    for step in os.environ["TEXT_AT"].split():
        value = value[int(step)] if isinstance(value, list) else value.get(step) or {}
    return value if isinstance(value, str) else ""

headers = json.loads(os.environ["HEADERS"])
question = json.loads(os.environ["BODY"])
with httpx.Client(trust_env=False) as client:
    with client.stream("POST", os.environ["URL"], json=question, headers=headers) as reply:
        for line in reply.iter_lines():
            if line.startswith(("data: {", "{")):
                sys.stdout.write(text_of(json.loads(line.removeprefix("data: "))))
                sys.stdout.flush()
"""
"""What a person writes who wants one reply and no more. TEXT_AT is the place of the text in an event."""


@dataclass(frozen=True)
class Case:
    """A protocol: its path, a request, the place of the text, and the events of a reply of one token.

    `name` is the provider and `model` its model; `url` is the environment variable of its address, with `suffix` added.
    """

    name: str
    model: str
    url: str
    key: str
    path: str
    body: Mapping[str, object]
    text_at: str
    first: object
    rest: tuple[object, ...]
    suffix: str = ""
    lines: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, event: object) -> bytes:
        """Return an event as bytes: a line of JSON, or a server-sent event."""
        return json.dumps(event).encode() + b"\n" if self.lines else b"data: %s\n\n" % json.dumps(event).encode()


_ASKED = [{"role": "user", "content": "hello"}]
_CHAT = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}]}
_CHAT_END = (
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}},
)
CASES = (
    Case(
        "openai",
        "gpt-4o-mini",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "/v1/responses",
        {"model": "gpt-4o-mini", "input": _ASKED, "stream": True, "store": False},
        "delta",
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hello"},
        (
            {
                "type": "response.completed",
                "response": {"status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 1}},
            },
        ),
        "/v1",
    ),
    Case(
        "anthropic",
        "claude-haiku-4-5",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "/v1/messages",
        {"model": "claude-haiku-4-5", "messages": _ASKED, "max_tokens": 32000, "stream": True},
        "delta text",
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        (
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"input_tokens": 9, "output_tokens": 1},
            },
            {"type": "message_stop"},
        ),
    ),
    Case(
        "gemini",
        "gemini-2.5-flash",
        "GOOGLE_GEMINI_BASE_URL",
        "GEMINI_API_KEY",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
        "candidates 0 content parts 0 text",
        {"candidates": [{"content": {"parts": [{"text": "Hello"}]}}]},
        (
            {
                "candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1, "totalTokenCount": 10},
            },
        ),
    ),
    Case(
        "ollama",
        "llama3.2",
        "OLLAMA_HOST",
        "",
        "/api/chat",
        {"model": "llama3.2", "messages": _ASKED, "stream": True},
        "message content",
        {"message": {"role": "assistant", "content": "Hello"}, "done": False},
        ({"message": {"content": ""}, "done": True, "prompt_eval_count": 9, "eval_count": 1},),
        lines=True,
    ),
    Case(
        "together",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "TOGETHER_BASE_URL",
        "TOGETHER_API_KEY",
        "/v1/chat/completions",
        {"model": "meta-llama/Llama-3.3-70B-Instruct-Turbo", "messages": _ASKED, "stream": True},
        "choices 0 delta content",
        _CHAT,
        _CHAT_END,
        "/v1",
    ),
    Case(
        "openrouter",
        "openai/gpt-4o-mini",
        "OPENROUTER_BASE_URL",
        "OPENROUTER_API_KEY",
        "/v1/chat/completions",
        {"model": "openai/gpt-4o-mini", "messages": _ASKED, "stream": True, "usage": {"include": True}},
        "choices 0 delta content",
        _CHAT,
        _CHAT_END,
        "/v1",
    ),
)
"""OpenAI's Responses, Messages, generateContent, Ollama's chat, chat completions, and OpenRouter's dialect of these."""


def measure() -> list[Figure]:
    """Measure all protocols, one after the other."""
    environ = cli()
    with TemporaryDirectory(prefix="llmrepl-bench-") as cwd:
        script = Path(cwd, "bare.py")
        script.write_text(SCRIPT, encoding="utf-8")
        figures = [_measure(case, environ, cwd, script) for case in CASES]
    shutil.rmtree(environ["HOME"], ignore_errors=True)
    return figures


def _measure(case: Case, environ: Mapping[str, str], cwd: str, script: Path) -> Figure:
    with _serving(case) as url:
        env = {**environ, case.url: url + case.suffix, "URL": url + case.path, "TEXT_AT": case.text_at}
        env |= {"BODY": json.dumps(case.body), "HEADERS": json.dumps(dict(case.headers))}
        env |= {case.key: "sk-bench"} if case.key else {}
        ours = [*llm(), "ask", "-m", f"{case.name}/{case.model}", "hello"]
        bare = [sys.executable, str(script)]
        pairs = [(_first_byte(ours, env, cwd), _first_byte(bare, env, cwd)) for _ in range(ROUNDS + 1)][1:]
    mine, theirs = (min(seconds) for seconds in zip(*pairs, strict=True))  # whatever else runs only adds
    detail = f"{mine * 1000:.0f} ms / {theirs * 1000:.0f} ms"
    return Figure(f"{case.name}: exec to first token / bare httpx", mine / theirs, LIMIT, detail)


def _first_byte(command: list[str], environ: Mapping[str, str], cwd: str) -> float:
    """Return the seconds until a command writes its first byte. Raises RuntimeError if it fails."""
    began = time.perf_counter()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=dict(environ), cwd=cwd, **pipes) as process:  # type: ignore[call-overload]
        first = os.read(process.stdout.fileno(), 1)
        taken = time.perf_counter() - began
        _, err = process.communicate()
    if process.returncode or not first:
        raise RuntimeError(f"{command!r} ended with {process.returncode}: {err.decode(errors='replace')}")
    return taken


@contextmanager
def _serving(case: Case) -> Iterator[str]:
    """Answer each request with the first event at once and the rest 0.3 s later; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, case), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _serve(listener: socket.socket, case: Case) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the benchmark is over
            return
        with connection, suppress(OSError, ValueError):
            _answer(connection, case)


def _answer(connection: socket.socket, case: Case) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    kind = b"application/x-ndjson" if case.lines else b"text/event-stream"
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nconnection: close\r\n\r\n" % kind)
    connection.sendall(case.encode(case.first))
    time.sleep(0.3)
    connection.sendall(b"".join(case.encode(event) for event in case.rest))
