"""An OpenAI-compatible server on this machine whose replies come as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUT = "\0"
"""A step that ends the reply without its end."""

Step = float | str | Mapping[str, str] | int
"""Seconds to pause, text of the reply, another delta, or (first) the status of an error."""


class ScriptedServer(ThreadingHTTPServer):
    """Each request takes the next of `replies`, the last of them again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Scripted)
        self.replies: list[Sequence[Step]] = [["hello"]]
        self.asked: list[str] = []

    @property
    def environ(self) -> dict[str, str]:
        """Variables that make this server OpenAI's, with a cheap model as default."""
        url = f"http://127.0.0.1:{self.server_port}/v1"
        return {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k", "LLM_MODEL": "openai/gpt-5-mini"}


class _Scripted(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self._fail(404)
            return
        self.server.asked.append(asked["messages"][-1]["content"])
        replies = self.server.replies
        steps = list(replies.pop(0) if len(replies) > 1 else replies[0])
        if isinstance(steps[0], int):
            self._fail(steps[0])
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for step in steps:
                if step == CUT:
                    return
                if isinstance(step, float):
                    time.sleep(step)
                elif not isinstance(step, int):
                    self._send({"delta": {"content": step} if isinstance(step, str) else step})
            self._send({"delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass

    def _send(self, choice: Mapping[str, object]) -> None:
        data = {"model": "m", "choices": [{"index": 0, **choice}]}
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _fail(self, status: int) -> None:
        body = json.dumps({"error": {"message": "slow down " * 60}}).encode()
        self.send_response(status)
        self.send_header("Retry-After", "2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Run a server within the block."""
    server = ScriptedServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
