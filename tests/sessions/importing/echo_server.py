"""A server that echoes the last prompt in the dialects of other programs, to let them write their histories."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def reply_to(prompt: str) -> str:
    """What the server answers: the end of the prompt, and Markdown."""
    return f"You said: {prompt[-80:].strip()}\n\n- häßlich 👋\n\n```python\nprint(1)\n```\nend"


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or [] if isinstance(part, dict))


def _last_prompt(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    texts = [_text(one.get("content", one.get("parts"))) for one in messages if one.get("role") == "user"]
    return next((text for text in reversed(texts) if text.strip()), "")


def _events(events: list[dict[str, Any]]) -> str:
    named = [(f"event: {event['type']}\n" if "type" in event else "", json.dumps(event)) for event in events]
    return "".join(f"{name}data: {data}\n\n" for name, data in named)


def chat(body: dict[str, Any]) -> str:
    """Chat completions."""
    text, model = reply_to(_last_prompt(body["messages"])), body["model"]
    if not body.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        about = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
        return json.dumps({**about, "choices": [choice], "usage": USAGE})
    about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
    deltas = [({"role": "assistant", "content": text[:9]}, None), ({"content": text[9:]}, None), ({}, "stop")]
    chunks = [{**about, "choices": [{"index": 0, "delta": one, "finish_reason": end}]} for one, end in deltas]
    return _events([*chunks[:2], {**chunks[2], "usage": USAGE}]) + "data: [DONE]\n\n"


def responses(body: dict[str, Any]) -> str:
    """OpenAI's Responses."""
    content = [{"type": "output_text", "text": reply_to(_last_prompt(body["input"])), "annotations": []}]
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    details = {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 0}}
    about = {"id": "r", "object": "response", "created_at": 1, "model": body["model"], "output": [item]}
    done = {**about, "status": "completed", "usage": {**usage, **details}}
    return _events(
        [
            {"type": "response.created", "response": {**about, "status": "in_progress", "output": []}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done},
        ]
    )


def messages(body: dict[str, Any]) -> str:
    """Anthropic's messages."""
    text = reply_to(_last_prompt(body["messages"]))
    usage = {"input_tokens": 11, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 7}
    about = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
    if not body.get("stream"):
        content = [{"type": "text", "text": text}]
        return json.dumps({**about, "content": content, "stop_reason": "end_turn", "usage": usage})
    start = {**about, "content": [], "stop_reason": None, "usage": usage}
    return _events(
        [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ]
    )


def generate(body: dict[str, Any]) -> dict[str, Any]:
    """Gemini's content."""
    parts = [{"text": reply_to(_last_prompt(body["contents"]))}]
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def answer(path: str, body: dict[str, Any]) -> str:
    """The body of the response to a request."""
    if path.endswith("/chat/completions"):
        return chat(body)
    if path.endswith("/responses"):
        return responses(body)
    if path.endswith("/messages"):
        return messages(body)
    if path.endswith(":streamGenerateContent"):
        return f"data: {json.dumps(generate(body))}\n\n"
    return (
        json.dumps(generate(body)) if path.endswith(":generateContent") else '{"input_tokens": 11, "totalTokens": 11}'
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, text: str) -> None:
        raw = text.encode()
        streams = text.startswith(("data:", "event:"))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streams else "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        """List one model."""
        self._send('{"object": "list", "data": [{"id": "fake-model", "object": "model"}]}')

    def do_POST(self) -> None:
        """Answer."""
        raw = self._body()
        self._send(answer(self.path.partition("?")[0], json.loads(raw) if raw.startswith(b"{") else {}))


@contextmanager
def echoing() -> Iterator[str]:
    """Run the server; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
