"""Cost of a reply over the network: `llm ask` against a bare httpx script and a bare socket reader."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from json import dumps
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench import Figure, cli, llm
from tests.bench.renderer import WHOLE, tokens

ROUNDS = 11

HTTPX = """
import json, os, sys, httpx
question = {"model": sys.argv[1], "stream": True, "messages": [{"role": "user", "content": "hello"}]}
with httpx.Client(trust_env=False) as client, client.stream("POST", os.environ["URL"], json=question) as reply:
    for line in reply.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            for choice in json.loads(line[6:])["choices"]:
                sys.stdout.write(choice["delta"].get("content") or "")
                sys.stdout.flush()
"""
"""What a person writes who wants one reply and no more."""

SOCKET = """
import json, os, socket, sys, urllib.parse
url = urllib.parse.urlsplit(os.environ["URL"])
body = json.dumps({"model": sys.argv[1], "stream": True}).encode()
with socket.create_connection((url.hostname, url.port)) as connection, connection.makefile("rb") as reply:
    connection.sendall(b"POST %s HTTP/1.0\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (url.path.encode(), len(body), body))
    for line in reply:
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                sys.stdout.write(choice["delta"].get("content") or "")
                sys.stdout.flush()
"""
"""The least that can read a stream."""


def measure() -> list[Figure]:
    """Measure the first token, a one-token run, the CPU per token, and a long Markdown reply at a terminal."""
    environ = cli()
    with TemporaryDirectory(prefix="llmrepl-bench-") as cwd, serving() as url:
        environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-bench", "URL": f"{url}/chat/completions"}
        sources = {"httpx": HTTPX, "socket": SOCKET}
        bench = _Bench(environ, cwd, {name: _script(Path(cwd, f"by_{name}.py"), sources[name]) for name in sources})
        figures = [bench.first_token(), bench.one_token(), bench.cpu(), bench.long_reply()]
    shutil.rmtree(environ["HOME"], ignore_errors=True)
    return figures


class _Bench:
    """The program and the baseline scripts, which send requests to the same server for `N-wait` or `N-tokens`."""

    def __init__(self, environ: dict[str, str], cwd: str, scripts: dict[str, list[str]]) -> None:
        self._environ, self._cwd, self._scripts = environ, cwd, scripts

    def first_token(self) -> Figure:
        ours, bare = self._both("httpx", "1-wait", self._until_first_byte)
        return _figure("exec to first token / bare httpx", 1.15, ours, bare)

    def one_token(self) -> Figure:
        ours, bare = self._both("httpx", "1-tokens", self._until_ended)
        return _figure("llm ask, one token / bare httpx", 1.25, ours, bare)

    def cpu(self) -> Figure:
        """Return the CPU seconds per token: a long reply minus a short one."""
        long = self._both("httpx", f"{WHOLE}-tokens", self._cpu_of, 3)
        short = self._both("httpx", "1-tokens", self._cpu_of, 3)
        ours, bare = ((one - other) / WHOLE for one, other in zip(long, short, strict=True))
        return Figure("CPU for each token / bare httpx", ours / bare, 2.0, f"{ours * 1e6:.0f} us / {bare * 1e6:.0f} us")

    def long_reply(self) -> Figure:
        ours, bare = self._both("socket", f"{WHOLE}-tokens", self._at_terminal, 3)
        return _figure(f"{WHOLE:,} tokens of Markdown / bare socket reader", 4.0, ours, bare)

    def _both(self, script: str, model: str, work: _Work, rounds: int = ROUNDS) -> tuple[float, float]:
        """Return the medians of the program and a script, interleaved, after one warm-up round."""
        ours = [*llm(), "ask", "-m", f"openai/{model}", "hello"]
        bare = [*self._scripts[script], model]
        pairs = [(work(ours), work(bare)) for _ in range(rounds + 1)][1:]
        return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)

    def _until_first_byte(self, command: list[str]) -> float:
        began = time.perf_counter()
        with self._process(command) as process:
            assert process.stdout
            os.read(process.stdout.fileno(), 1)
            taken = time.perf_counter() - began
            process.stdout.read()
        _check(process)
        return taken

    def _until_ended(self, command: list[str]) -> float:
        began = time.perf_counter()
        with self._process(command) as process:
            process.communicate()
        _check(process)
        return time.perf_counter() - began

    def _cpu_of(self, command: list[str]) -> float:
        with self._process(command) as process:
            assert process.stdout
            while os.read(process.stdout.fileno(), 1 << 16):
                pass
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        _check(process)
        return usage.ru_utime + usage.ru_stime

    def _at_terminal(self, command: list[str]) -> float:
        """Return the seconds from exec to exit at a terminal, draining all output at once."""
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 100))
        began = time.perf_counter()
        with subprocess.Popen(
            command, env=self._environ, cwd=self._cwd, stdin=slave, stdout=slave, stderr=slave
        ) as process:
            os.close(slave)
            try:
                while os.read(master, 1 << 16):
                    pass
            except OSError:  # how Linux says that nobody has the other side any more
                pass
        os.close(master)
        _check(process)
        return time.perf_counter() - began

    def _process(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=self._environ,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )


_Work = Callable[[list[str]], float]
"""Runs a command; seconds."""


def _figure(name: str, limit: float, ours: float, bare: float) -> Figure:
    return Figure(name, ours / bare, limit, f"{ours * 1000:.0f} ms / {bare * 1000:.0f} ms")


def _check(process: subprocess.Popen[bytes]) -> None:
    if process.returncode:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")


def _script(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [sys.executable, str(path)]


@contextmanager
def serving() -> Iterator[str]:
    """Run an OpenAI-compatible server with the models `N-tokens` and `N-wait` (slow), and yield its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the benchmark is over
            return
        with connection, suppress(OSError):
            _answer(connection)


def _answer(connection: socket.socket) -> None:
    """Send a reply with one event, and if the reader keeps up one packet, per token."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while not (found := re.search(rb'"model": ?"(\d+)-(\w+)"', request)):
        request += connection.recv(65536)
    count, kind = int(found[1]), found[2]
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    for token in tokens(count) if count > 1 else ["Hello"]:
        connection.sendall(_event({"content": token}))
    if kind == b"wait":
        time.sleep(0.3)
    connection.sendall(_event({}, "stop"))
    usage = {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": count + 9}
    connection.sendall(b"data: %s\n\ndata: [DONE]\n\n" % dumps({"choices": [], "usage": usage}).encode())


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return b"data: %s\n\n" % dumps(event).encode()
