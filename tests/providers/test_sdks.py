"""The official SDKs read the same bytes from the same server: text, usage and errors agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from llmrepl.errors import LLMError
from llmrepl.providers.base import TextDelta
from llmrepl.types import Usage
from tests.providers.loopback import KEY, ndjson, provider, question, serving, sse, stream
from tests.providers.recorded import REPLIES


class Reported(NamedTuple):
    """The text of a reply and its tokens (prompt, completion, cached)."""

    text: str
    prompt: int
    completion: int
    cached: int


def ours(url: str, dialect: str) -> Reported | None:
    """Return our reading, or None on an error."""
    text, usage = "", Usage(0, 0)
    try:
        for event in provider(url, dialect).stream(question()):
            if isinstance(event, TextDelta):
                text += event.text
            elif isinstance(event, Usage):
                usage = event
    except LLMError:
        return None
    assert not usage.estimated
    return Reported(text, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


def by_openai(url: str) -> Reported | None:
    sdk = pytest.importorskip("openai")
    text, usage = "", None
    try:
        with sdk.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
            for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    if choice.index == 0:
                        text += choice.delta.content or choice.delta.refusal or ""
    except sdk.APIError:
        return None
    assert usage is not None
    details = usage.prompt_tokens_details
    return Reported(text, usage.prompt_tokens, usage.completion_tokens, (details and details.cached_tokens) or 0)


def by_responses(url: str) -> Reported | None:
    sdk = pytest.importorskip("openai")
    text, usage = "", None
    try:
        with sdk.OpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
            for event in client.responses.create(model="m", input="hello", stream=True):
                if event.type in ("response.output_text.delta", "response.refusal.delta"):
                    text += event.delta
                elif event.type in ("response.completed", "response.incomplete"):
                    usage = event.response.usage
                elif event.type in ("response.failed", "error"):
                    return None
    except sdk.APIError:
        return None
    assert usage is not None
    return Reported(text, usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens)


def by_anthropic(url: str) -> Reported | None:
    sdk = pytest.importorskip("anthropic")
    try:
        client = sdk.Anthropic(api_key=KEY, base_url=url, max_retries=0)
        with client, client.messages.stream(model="m", max_tokens=9, messages=[]) as events:
            whole = events.get_final_message()
    except sdk.APIError:
        return None
    used = whole.usage
    cached, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
    text = "".join(block.text for block in whole.content if block.type == "text")
    return Reported(text, used.input_tokens + cached + written, used.output_tokens, cached)


def by_gemini(url: str) -> Reported | None:
    sdk = pytest.importorskip("google.genai")
    text, usage = "", None
    client = sdk.Client(api_key=KEY, vertexai=False, http_options={"base_url": url})
    try:
        for chunk in client.models.generate_content_stream(model="m", contents="hello"):
            usage = chunk.usage_metadata or usage
            for candidate in chunk.candidates or ():
                if candidate.index in (0, None) and candidate.content:
                    text += "".join(part.text or "" for part in candidate.content.parts or () if not part.thought)
    except sdk.errors.APIError:
        return None
    assert usage is not None
    completion = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Reported(text, usage.prompt_token_count, completion, usage.cached_content_token_count or 0)


def by_ollama(url: str) -> Reported | None:
    sdk = pytest.importorskip("ollama")
    text, last = "", None
    try:
        for last in sdk.Client(host=url).chat(model="m", messages=[], stream=True):
            text += last.message.content or ""
    except sdk.ResponseError:
        return None
    assert last is not None
    return Reported(text, last.prompt_eval_count, last.eval_count, 0)


SDKS: dict[str, Callable[[str], Reported | None]] = {
    "openai": by_openai,
    "responses": by_responses,
    "anthropic": by_anthropic,
    "gemini": by_gemini,
    "ollama": by_ollama,
}

Events = list[Any]
UNICODE = ["naïve ", "漢字 😀", " \u2028\u2029\u0085\x0b\x0c e\u0301"]


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def tokens(prompt: int = 9, completion: int = 4, **more: Any) -> dict[str, Any]:
    used = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": used}


HI = chunk({"role": "assistant", "content": "Hi "})
STOP = chunk({}, "stop")
CALL = {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
OPENAI: dict[str, Events] = {
    "text": [HI, chunk({"content": "you"}), STOP, tokens(), "[DONE]"],
    "unicode": [*(chunk({"content": piece}) for piece in UNICODE), STOP, tokens(), "[DONE]"],
    "reasoning": [chunk({"reasoning_content": "hm", "content": None}), HI, STOP, tokens(), "[DONE]"],
    "reasoning tokens": [HI, STOP, tokens(9, 40, completion_tokens_details={"reasoning_tokens": 36}), "[DONE]"],
    "cached tokens": [HI, STOP, tokens(2000, prompt_tokens_details={"cached_tokens": 1024}), "[DONE]"],
    "length": [HI, chunk({}, "length"), tokens(), "[DONE]"],
    "filter after text": [HI, chunk({}, "content_filter"), tokens(), "[DONE]"],
    "refusal": [chunk({"refusal": "I cannot."}), STOP, tokens(), "[DONE]"],
    "error event": [HI, {"error": {"message": "Overloaded", "type": "server_error", "code": 529}}],
    "error first": [{"error": {"message": "Overloaded", "type": "server_error"}}],
    "tool call": [HI, chunk(CALL), chunk({}, "tool_calls"), tokens(), "[DONE]"],
    "two choices": [HI, chunk({"content": "Ho "}, index=1), STOP, chunk({}, "stop", 1), tokens(), "[DONE]"],
    "usage on every chunk": [{**HI, "usage": tokens(9, 1)["usage"]}, {**STOP, "usage": tokens()["usage"]}, "[DONE]"],
    "no choices": [{**HI, "choices": []}, HI, chunk({"content": None}), STOP, tokens(), "[DONE]"],
    "unknown keys": [{**HI, "new": {"a": [1]}}, chunk({"content": "x", "annotations": []}), STOP, tokens(), "[DONE]"],
}


def response(kind: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    used = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
    }
    made = {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": [], "usage": used, "error": None}
    return {"type": f"response.{kind}", "sequence_number": 1, "response": {**made, "status": status, **more}}


def piece(kind: str, text: str, part: int = 0, index: int = 0) -> dict[str, Any]:
    where = {"item_id": "i", "output_index": index, "content_index": part, "summary_index": part}
    return {"type": f"response.{kind}.delta", "sequence_number": 1, "delta": text, **where}


WEB = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
RESPONSES: dict[str, Events] = {
    "text": [piece("output_text", "Hi "), piece("output_text", "you"), response("completed")],
    "unicode": [*(piece("output_text", one) for one in UNICODE), response("completed")],
    "summary": [
        piece("reasoning_summary_text", "hm"),
        piece("reasoning_summary_text", "so", 1),
        piece("output_text", "Hi", index=1),
        response("completed"),
    ],
    "reasoning": [piece("reasoning_text", "hm"), piece("output_text", "Hi", index=1), response("completed")],
    "refusal": [piece("refusal", "I cannot."), response("completed")],
    "incomplete": [
        piece("output_text", "Hi"),
        response("incomplete", "incomplete", incomplete_details={"reason": "max_output_tokens"}),
    ],
    "filter after text": [
        piece("output_text", "Hi"),
        response("incomplete", "incomplete", incomplete_details={"reason": "content_filter"}),
    ],
    "citation": [
        piece("output_text", "Hi"),
        {
            "type": "response.output_text.annotation.added",
            "sequence_number": 1,
            "item_id": "i",
            "output_index": 0,
            "content_index": 0,
            "annotation_index": 0,
            "annotation": WEB,
        },
        response("completed"),
    ],
    "error first": [response("failed", "failed", error={"code": "server_error", "message": "broken"})],
    "error event": [
        piece("output_text", "Hi"),
        {"type": "error", "sequence_number": 1, "code": "server_error", "message": "broken", "param": None},
    ],
    "error in the middle": [
        piece("output_text", "Hi"),
        response("failed", "failed", error={"code": "server_error", "message": "broken"}),
    ],
    "unknown kinds": [{"type": "response.new", "a": [1]}, piece("output_text", "Hi"), response("completed")],
}


def begin(**usage: Any) -> dict[str, Any]:
    used = {"input_tokens": 9, "output_tokens": 1, **usage}
    return {
        "type": "message_start",
        "message": {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": used,
        },
    }


def block(*deltas: dict[str, Any], index: int = 0, **kind: Any) -> Events:
    opened = kind or {"type": "text", "text": ""}
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def say(text: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": text}


def end(reason: str = "end_turn", **usage: Any) -> Events:
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 7, **usage},
        },
        {"type": "message_stop"},
    ]


THOUGHT = block(
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "x"},
    type="thinking",
    thinking="",
    signature="",
)
TOOL = block({"type": "input_json_delta", "partial_json": "{}"}, index=1, type="tool_use", id="t", name="f", input={})
ANTHROPIC: dict[str, Events] = {
    "text": [begin(), *block(say("Hi "), say("you")), *end()],
    "unicode": [begin(), *block(*map(say, UNICODE)), *end()],
    "thinking": [begin(), *THOUGHT, *block(say("Hi"), index=1), *end()],
    "cache read": [begin(cache_read_input_tokens=1000, cache_creation_input_tokens=0), *block(say("Hi")), *end()],
    "cache write": [begin(cache_creation_input_tokens=500), *block(say("Hi")), *end()],
    "cache both": [begin(cache_read_input_tokens=9, cache_creation_input_tokens=3), *block(say("Hi")), *end()],
    "length": [begin(), *block(say("Hi")), *end("max_tokens")],
    "stop sequence": [begin(), *block(say("Hi")), *end("stop_sequence")],
    "refusal after text": [begin(), *block(say("Hi")), *end("refusal")],
    "error event": [
        begin(),
        *block(say("Hi"))[:2],
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ],
    "error first": [{"type": "error", "error": {"type": "api_error", "message": "broken"}}],
    "tool call": [begin(), *block(say("Hi")), *TOOL, *end("tool_use")],
    "two blocks": [begin(), *block(say("Hi ")), *block(say("you"), index=1), *end()],
    "ping": [begin(), {"type": "ping"}, *block(say("Hi")), {"type": "ping"}, *end()],
    "usage again at the end": [begin(), *block(say("Hi")), *end(input_tokens=20, cache_read_input_tokens=3)],
}


def part(*parts: dict[str, Any], finish: str = "", index: int = 0, **usage: int) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, **usage}}


DONE = part({"text": ""}, finish="STOP")
GEMINI: dict[str, Events] = {
    "text": [part({"text": "Hi "}), part({"text": "you"}), DONE],
    "unicode": [*(part({"text": piece}) for piece in UNICODE), DONE],
    "thoughts": [part({"text": "hm", "thought": True}), part({"text": "Hi"}), DONE],
    "thought tokens": [part({"text": "Hi"}, finish="STOP", thoughtsTokenCount=30)],
    "cached tokens": [part({"text": "Hi"}, finish="STOP", promptTokenCount=900, cachedContentTokenCount=512)],
    "running totals": [part({"text": "Hi"}, candidatesTokenCount=1), part({"text": "x"}, finish="STOP")],
    "length": [part({"text": "Hi"}, finish="MAX_TOKENS")],
    "filter after text": [part({"text": "Hi"}, finish="SAFETY")],
    "several parts": [part({"text": "Hi "}, {"text": "hm", "thought": True}, {"text": "you"}), DONE],
    "tool call": [part({"text": "Hi"}), part({"functionCall": {"name": "f", "args": {}}}), DONE],
    "two candidates": [part({"text": "Hi"}), part({"text": "Ho"}, index=1), DONE],
    "no parts": [part(), {"usageMetadata": {"promptTokenCount": 9}}, part({"text": "Hi"}), DONE],
    "unknown keys": [{**part({"text": "Hi", "thoughtSignature": "AAAA"}), "modelVersion": "m"}, DONE],
}


def line(content: str = "", **more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "created_at": "2025-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": content},
        "done": False,
        **more,
    }


LAST = line(done=True, done_reason="stop", total_duration=5, prompt_eval_count=9, eval_count=4)
OLLAMA: dict[str, Events] = {
    "text": [line("Hi "), line("you"), LAST],
    "unicode": [*(line(piece) for piece in UNICODE), LAST],
    "thinking": [line(message={"role": "assistant", "content": "", "thinking": "hm"}), line("Hi"), LAST],
    "length": [line("Hi"), {**LAST, "done_reason": "length"}],
    "text in the last line": [line("Hi "), {**LAST, "message": {"role": "assistant", "content": "you"}}],
    "one line": [{**LAST, "message": {"role": "assistant", "content": "Hi"}}],
    "no reason": [line("Hi"), {name: value for name, value in LAST.items() if name != "done_reason"}],
    "empty lines between": [line("Hi"), line(""), line(""), LAST],
    "tool call": [
        line("Hi"),
        line(
            message={"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}
        ),
        LAST,
    ],
    "error first": [{"error": "model not found"}],
    "error event": [line("Hi"), {"error": "an error was encountered while running the model"}],
    "unknown keys": [line("Hi", new={"a": 1}), {**LAST, "context": [1, 2]}],
    "long": [*(line(f"word {number} ") for number in range(300)), {**LAST, "eval_count": 900}],
}


def _bytes(dialect: str, events: Events) -> bytes:
    if dialect == "ollama":
        return ndjson(*events)
    raw = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    if dialect in ("anthropic", "responses"):
        named = zip(events, raw, strict=True)
        return b"".join(f"event: {event['type']}\n".encode() + sse(text) for event, text in named)
    return sse(*raw)


CASES = {"openai": OPENAI, "responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI, "ollama": OLLAMA}


@pytest.mark.parametrize(("dialect", "name"), [(dialect, name) for dialect, cases in CASES.items() for name in cases])
def test_the_sdk_says_the_same(dialect: str, name: str) -> None:
    body = _bytes(dialect, CASES[dialect][name])
    with serving(stream(body[:50], body[50:], content_type="text/event-stream")) as server:
        theirs = SDKS[dialect](server.url)
        reported = ours(server.url, dialect)
    assert reported == theirs
    assert (reported is None) == name.startswith("error")


@pytest.mark.parametrize("name", REPLIES)
def test_the_sdk_says_the_same_of_a_recorded_reply(name: str) -> None:
    dialect, body, _ = REPLIES[name]
    with serving(stream(body, content_type="text/event-stream")) as server:
        assert ours(server.url, dialect) == SDKS[dialect](server.url)
