"""Replies in the bytes of each protocol, in parts that can be omitted, changed or repeated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PIECES = ("The quick ", "brown fox ", "jumps over ", "the lazy ", "dog.")
TEXT = "".join(PIECES)
PROMPT, COMPLETION = 11, 9

REASONS = {
    "openai": {"stop": "stop", "length": "length", "content_filter": "content_filter"},
    "responses": {"length": "max_output_tokens", "content_filter": "content_filter"},
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"},
    "ollama": {"stop": "stop", "length": "length"},
}
"""What each calls the ways in which a reply ends."""

ENVIRON = {
    "openai": ("together", "TOGETHER_BASE_URL", "/v1", "TOGETHER_API_KEY"),
    "responses": ("openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY"),
    "anthropic": ("anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY"),
    "gemini": ("gemini", "GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY"),
    "ollama": ("ollama", "OLLAMA_HOST", "", ""),
}
"""A provider that speaks each, and how its base URL is set, what ends the address, and its key."""

NO_USAGE = object()


@dataclass(frozen=True)
class Dialect:
    """A protocol. Every method returns the bytes of a frame."""

    name: str

    @property
    def sse(self) -> bool:
        """Whether it streams server-sent events instead of newline-delimited JSON."""
        return self.name != "ollama"

    def frame(self, data: Any, event: str = "") -> bytes:
        """Return an event."""
        text = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if not self.sse:
            return text + b"\n"
        named = f"event: {event}\n".encode() if event and self.name in ("anthropic", "responses") else b""
        return named + b"data: " + text + b"\n\n"

    def start(self, prompt: Any = PROMPT) -> bytes:
        """Return the events before the text."""
        if self.name == "openai":
            return self.frame({"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]})
        if self.name == "responses":
            begun: dict[str, Any] = {
                "object": "response",
                "status": "in_progress",
                "output": [],
                "usage": None,
                "error": None,
            }
            return self.frame({"type": "response.created", "response": begun}, "response.created")
        if self.name == "anthropic":
            usage = {} if prompt is NO_USAGE else {"usage": {"input_tokens": prompt, "output_tokens": 1}}
            message = {"type": "message", "role": "assistant", "content": [], "model": "m", **usage}
            block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            start = self.frame({"type": "message_start", "message": message}, "message_start")
            return start + self.frame(block, "content_block_start")
        return b""

    def delta(self, text: str, *, thinking: bool = False, index: int = 0) -> bytes:
        """Return a delta of the text or of the reasoning; `index` is that of the choice."""
        if self.name == "openai":
            delta = {"reasoning_content" if thinking else "content": text}
            return self.frame({"choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        if self.name == "responses":
            kind = f"response.{'reasoning_summary' if thinking else 'output'}_text.delta"
            where = {"output_index": index, "content_index": 0, "summary_index": 0}
            return self.frame({"type": kind, "delta": text, **where}, kind)
        if self.name == "anthropic":
            kind = "thinking" if thinking else "text"
            delta = {"type": f"{kind}_delta", kind: text}
            return self.frame({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
        if self.name == "gemini":
            part = {"text": text} | ({"thought": True} if thinking else {})
            return self.frame({"candidates": [{"index": index, "content": {"parts": [part], "role": "model"}}]})
        message = {"role": "assistant", "thinking" if thinking else "content": text}
        return self.frame({"message": message, "done": False})

    def end(self, reason: str | None = "stop", prompt: Any = PROMPT, completion: Any = COMPLETION) -> bytes:
        """Return the finish reason and the usage, without the events after them."""
        word = REASONS[self.name].get(reason or "", reason)
        counted = prompt is not NO_USAGE
        if self.name == "openai":
            usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": 20}
            end = self.frame({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}) if reason else b""
            return end + (self.frame({"choices": [], "usage": usage}) if counted else b"")
        if self.name == "responses":
            counts = {"input_tokens": prompt, "output_tokens": completion, "total_tokens": 20}
            status = "completed" if reason == "stop" else "incomplete"
            details = None if reason == "stop" else {"reason": word}
            ended = {"object": "response", "status": status, "incomplete_details": details}
            ended |= {"usage": counts if counted else None}
            kind = f"response.{status}"
            return self.frame({"type": kind, "response": ended}, kind) if reason else b""
        if self.name == "anthropic":
            more = {"usage": {"output_tokens": completion}} if counted else {}
            stop = self.frame({"type": "content_block_stop", "index": 0}, "content_block_stop")
            return stop + self.frame({"type": "message_delta", "delta": {"stop_reason": word}, **more}, "message_delta")
        if self.name == "gemini":
            usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion, "totalTokenCount": 20}
            candidate: dict[str, Any] = {"index": 0, "content": {"parts": [{"text": ""}], "role": "model"}}
            candidate |= {"finishReason": word} if reason else {}
            return self.frame({"candidates": [candidate], **({"usageMetadata": usage} if counted else {})})
        counts = {"prompt_eval_count": prompt, "eval_count": completion} if counted else {}
        ended = {"done_reason": word} if reason else {}
        return self.frame({"message": {"role": "assistant", "content": ""}, "done": True, **ended, **counts})

    @property
    def done(self) -> bytes:
        """Return the events after the usage."""
        if self.name == "openai":
            return b"data: [DONE]\n\n"
        return self.frame({"type": "message_stop"}, "message_stop") if self.name == "anthropic" else b""

    def reply(self, *pieces: str, **end: Any) -> bytes:
        """Return a complete reply."""
        prompt = end.get("prompt", PROMPT)
        return self.start(prompt) + b"".join(map(self.delta, pieces or PIECES)) + self.end(**end) + self.done

    def part(self, count: int) -> bytes:
        """Return the start of a reply, with the first `count` deltas of its text."""
        return self.start() + b"".join(map(self.delta, PIECES[:count]))

    def error(self, message: str, code: str = "overloaded_error") -> bytes:
        """Return an error inside a stream."""
        if self.name == "ollama":
            return self.frame({"error": message})
        return self.frame({"type": "error", "error": {"type": code, "code": code, "message": message}}, "error")

    def whole(self, text: str) -> bytes:
        """Return the body of a response without streaming."""
        if self.name == "openai":
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION, "total_tokens": 20}
            return json.dumps({"choices": [choice], "usage": usage}).encode()
        if self.name == "responses":
            usage = {"input_tokens": PROMPT, "output_tokens": COMPLETION, "total_tokens": 20}
            message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
            made = {"object": "response", "status": "completed", "output": [message], "usage": usage}
            return json.dumps(made).encode()
        if self.name == "anthropic":
            usage = {"input_tokens": PROMPT, "output_tokens": COMPLETION}
            message = {"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
            return json.dumps({**message, "usage": usage}).encode()
        if self.name == "gemini":
            usage = {"promptTokenCount": PROMPT, "candidatesTokenCount": COMPLETION, "totalTokenCount": 20}
            candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP"}
            return json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode()
        return json.dumps(
            {
                "message": {"role": "assistant", "content": text},
                "done": True,
                "done_reason": "stop",
                "prompt_eval_count": PROMPT,
                "eval_count": COMPLETION,
            }
        ).encode()


DIALECTS = tuple(Dialect(name) for name in ENVIRON)
