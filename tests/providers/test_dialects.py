"""Vendors' dialects of each protocol: the same reply, said in many ways, and read the same at any cut."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from llmrepl.providers.base import Finish, ReasoningDelta
from llmrepl.types import Attachment, Citation, ProviderData, Usage
from tests.providers.loopback import ndjson, sse
from tests.providers.test_event_reader import chunk, read, text_of

PNG = base64.b64encode(b"\x89PNG").decode()
IMAGE = f"data:image/png;base64,{PNG}"
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
HI = chunk({"content": "Hi"})
END = chunk({}, "stop")
PAGE = {"url": "https://a.example", "title": "A"}
CITED = {"type": "url_citation", "url_citation": PAGE}
BEFORE_ANSWER = "<|end|><|start|>assistant<|channel|>final<|message|>"


def raw(*events: object, end: str = "\n\n", field: str = "data: ") -> bytes:
    return "".join(field + (e if isinstance(e, str) else json.dumps(e)) + end for e in events).encode()


def thought(**delta: object) -> bytes:
    return sse(chunk(dict(delta)), chunk({"content": "Hi"}, "stop"), "[DONE]")


ALL = (chunk({"role": "assistant"}), HI, END, {"choices": [], "usage": USAGE}, "[DONE]")
FRAMES: dict[str, bytes] = {
    "plain": raw(*ALL),
    "CRLF": raw(*ALL, end="\r\n\r\n"),
    "CR": raw(*ALL, end="\r\r"),
    "no blank": raw(*ALL, field="data:"),
    "byte order mark": b"\xef\xbb\xbf" + raw(*ALL),
    "comments": b": OPENROUTER PROCESSING\n\n" + raw(*ALL[:2]) + b":\n\n: ping\n\n" + raw(*ALL[2:]),
    "ids and retries": b"retry: 100\nid: 1\nevent: message\n" + raw(*ALL),
    "named events": b"".join(b"event: chat.completion.chunk\n" + raw(event) for event in ALL),
    "lines of JSON": ndjson(*ALL[:4]),
    "an empty choice first": raw({"choices": [], "prompt_filter_results": []}, *ALL),
    "no choices": raw({"choices": None}, {"choices": [{"index": 0, "delta": None}]}, *ALL),
    "several events at once": raw(*ALL),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_stream_is_read_however_it_is_framed(name: str) -> None:
    body = FRAMES[name]
    for pieces in ([body], [body[place : place + 1] for place in range(len(body))]):
        events, failure = read("openai", *pieces)
        assert failure is None and text_of(events) == "Hi"
        assert Usage(10, 5) in events and events[-1] == Finish("stop")


THOUGHTS: dict[str, bytes] = {
    **{name: thought(**{name: "hm"}) for name in ("reasoning", "reasoning_content", "thinking", "reasoning_text")},
    "twice": thought(reasoning="hm", reasoning_content="hm"),
    "an object": thought(reasoning={"content": "hm"}),
    "details": thought(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]),
    "a summary": thought(reasoning_details=[{"type": "reasoning.summary", "summary": "hm"}]),
    "blocks": thought(thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": ""}]),
    "parts": thought(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
    "a part of text": thought(content=[{"type": "thinking", "thinking": "hm"}]),
    "a part with a summary": thought(content=[{"type": "reasoning", "summary": [{"text": "hm"}]}]),
    "a tag": thought(content="<think>hm</think>\n"),
    "a channel": thought(content=f"<|channel|>analysis<|message|>hm{BEFORE_ANSWER}"),
    "a message": json.dumps({"choices": [{"message": {"content": "Hi", "reasoning": "hm"}}]}).encode(),
}


@pytest.mark.parametrize("name", THOUGHTS)
def test_reasoning_is_found_wherever_a_server_puts_it(name: str) -> None:
    events, failure = read("openai", THOUGHTS[name])
    assert failure is None and text_of(events) == "Hi"
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "hm"


TEXTS: dict[str, bytes] = {
    "a part": sse(chunk({"content": [{"type": "text", "text": "Hi"}]}, "stop")),
    "an output part": sse(chunk({"content": [{"type": "output_text", "text": "Hi"}]}, "stop")),
    "a part without a type": sse(chunk({"content": [{"text": "Hi"}]}, "stop")),
    "an object": sse(chunk({"content": {"type": "text", "text": "Hi"}}, "stop")),
    "an index in quotes": sse({"choices": [{"index": "0", "delta": {"content": "Hi"}, "finish_reason": "stop"}]}),
    "another choice": sse({"choices": [{"index": 1, "delta": {"content": "Yo"}}, HI["choices"][0]]}, END),  # type: ignore[index]
    "spoken": sse(chunk({"audio": {"transcript": "Hi"}}, "stop")),
    "text": sse({"choices": [{"text": "Hi"}]}, END),
    "a message at the end": sse(HI, {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}),
    "a message beside": sse({"choices": [{"delta": {"content": "Hi"}, "message": {"content": "Hi"}}]}, END),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_found_once_wherever_a_server_puts_it(name: str) -> None:
    events, failure = read("openai", TEXTS[name])
    assert failure is None and text_of(events) == "Hi" and events[-1] == Finish("stop")


COUNTS: dict[str, tuple[tuple[object, ...], Usage]] = {
    "in each chunk": (
        (chunk({"content": "Hi"}, usage={**USAGE, "completion_tokens": 1}), {**END, "usage": USAGE}),
        Usage(10, 5),
    ),
    "in x_groq": ((HI, {**END, "x_groq": {"usage": USAGE}}), Usage(10, 5)),
    "in the choice": ((HI, {"choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]}), Usage(10, 5)),
    "in the delta": ((HI, chunk({"usage": USAGE}, "stop")), Usage(10, 5)),
    "alone": ((HI, END, {"usage": USAGE}), Usage(10, 5)),
    "of llama.cpp": ((HI, {**END, "timings": {"prompt_n": 6, "cache_n": 4, "predicted_n": 5}}), Usage(10, 5, 4)),
    "by other names": (
        (
            HI,
            END,
            {
                "usage": {
                    "input_tokens": 10,
                    "output_tokens": 5,
                    "input_tokens_details": {"cached_tokens": 4},
                    "output_tokens_details": {"reasoning_tokens": 2},
                    "total_cost": 0.5,
                }
            },
        ),
        Usage(10, 5, 4, reasoning_tokens=2, cost=0.5),
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_found_wherever_a_server_puts_them(name: str) -> None:
    sent, usage = COUNTS[name]
    events, failure = read("openai", sse(*sent, "[DONE]"))
    assert failure is None and [event for event in events if isinstance(event, Usage)] == [usage]


SOURCES: dict[str, dict[str, object]] = {
    "annotations": {"delta": {"content": "Hi", "annotations": [CITED]}},
    "flat annotations": {"delta": {"content": "Hi", "annotations": [{"type": "url_citation", **PAGE}]}},
    "beside the delta": {"delta": {"content": "Hi"}, "annotations": [CITED]},
    "in the delta": {"delta": {"content": "Hi", "citations": [PAGE]}},
    "of a tool": {"delta": {"content": "Hi", "executed_tools": [{"search_results": {"results": [PAGE]}}]}},
    "search_results": {"search_results": [PAGE]},
    "web_search": {"web_search": [{"link": "https://a.example", "title": "A"}]},
    "search_info": {"search_info": {"search_results": [PAGE]}},
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_found_wherever_a_server_puts_them(name: str) -> None:
    choice = SOURCES[name]
    extra = {} if "delta" in choice else choice
    said = choice if "delta" in choice else {"delta": {"content": "Hi"}}
    events, failure = read("openai", sse({"choices": [{"index": 0, **said}], **extra}, END))
    assert failure is None and text_of(events) == "Hi"
    assert [event for event in events if isinstance(event, Citation)] == [Citation("https://a.example", "A")]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "Hi", "images": [{"type": "image_url", "image_url": {"url": IMAGE}}]},
        {"content": [{"type": "image_url", "image_url": {"url": IMAGE}}, {"type": "text", "text": "Hi"}]},
    ],
)
def test_an_image_may_be_beside_the_text_or_in_it(delta: dict[str, object]) -> None:
    events, _ = read("openai", sse(chunk(delta, "stop")))
    assert [event.data for event in events if isinstance(event, Attachment)] == [b"\x89PNG"] and text_of(events) == "Hi"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("STOP", "stop"),
        ("eos", "stop"),
        ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"),
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("Something_New", "Something_New"),
    ],
)
def test_finish_reasons_have_one_name(said: str, meant: str) -> None:
    events, _ = read("openai", sse(HI, chunk({}, said)))
    assert events[-1] == Finish(meant)


@pytest.mark.parametrize(
    "error",
    [
        raw({"error": {"message": "boom", "code": 500}}),
        raw({"error": "boom"}),
        b'event: error\ndata: {"message": "boom"}\n\n',
        raw({"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": "boom"}}]}),
        raw({"code": "InternalError", "message": "boom"}),
        b'error: {"message": "boom"}\n\n',
        b'{"error": {"message": "boom"}}\n',
    ],
)
def test_an_error_in_a_stream_keeps_the_part_before(error: bytes) -> None:
    events, failure = read("openai", raw(HI) + error)
    assert text_of(events) == "Hi" and failure is not None and "boom" in failure.message


def named(*events: Mapping[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\n".encode() + sse(event) for event in events)


START = {"type": "message_start", "message": {"usage": {"input_tokens": 10}}}
CLAUDE_END = (
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
)


def block(index: int, kind: dict[str, Any], *deltas: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    begin = {"type": "content_block_start", "index": index, "content_block": kind}
    return (begin, *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas))


CLAUDE_HI = block(9, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"})
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "abc"}


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (
            named(
                START,
                *block(
                    0,
                    {"type": "thinking", "thinking": "", "signature": ""},
                    {"type": "thinking_delta", "thinking": "h"},
                    {"type": "thinking_delta", "thinking": "m"},
                    {"type": "signature_delta", "signature": "ab"},
                    {"type": "signature_delta", "signature": "c"},
                ),
                *block(1, {"type": "redacted_thinking", "data": "xyz"}),
                *CLAUDE_HI,
                *CLAUDE_END,
            ),
            (SIGNED, {"type": "redacted_thinking", "data": "xyz"}),
        ),
        (
            json.dumps(
                {"type": "message", "content": [SIGNED, {"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
            ).encode(),
            (SIGNED,),
        ),
        (named(START, *block(0, {"type": "thinking", "thinking": "hm"}), *CLAUDE_HI, *CLAUDE_END), ()),
    ],
)
def test_signed_thoughts_of_claude_are_kept(body: bytes, items: tuple[object, ...]) -> None:
    events, failure = read("anthropic", body)
    assert failure is None and text_of(events) == "Hi"
    assert tuple(item for event in events if isinstance(event, ProviderData) for item in event.items) == items


def part(*parts: object, reason: str | None = "STOP", **more: object) -> dict[str, object]:
    candidate = {"content": {"parts": parts}, "finishReason": reason, **more}
    return {"candidates": [{name: value for name, value in candidate.items() if value}]}


SIGNATURE = {"text": "", "thoughtSignature": "s"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (part({"text": "Hi"}, SIGNATURE), ProviderData("openai", "m", (SIGNATURE,))),
        (
            part({"text": "Hi"}, groundingMetadata={"groundingChunks": [{"web": {"uri": "u", "title": "A"}}]}),
            Citation("u", "A"),
        ),
        (part({"text": "Hi"}, citationMetadata={"citationSources": [{"uri": "u"}]}), Citation("u")),
        (part({"text": "Hi"}, citationMetadata={"citations": [{"uri": "u"}]}), Citation("u")),
        (part({"text": "Hi"}, urlContextMetadata={"urlMetadata": [{"retrievedUrl": "u"}]}), Citation("u")),
        (
            part({"text": "Hi"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}),
            Attachment("picture.png", "image/png", b"\x89PNG"),
        ),
        ({"response": part({"text": "Hi"})}, Finish("stop")),
        ([part({"text": "Hi"})], Finish("stop")),
    ],
)
def test_gemini_is_read_in_all_its_forms(event: object, expected: object) -> None:
    events, failure = read("gemini", json.dumps(event).encode() if isinstance(event, list) else sse(event))
    assert failure is None and text_of(events) == "Hi" and expected in events


def test_gemini_says_when_a_model_ends() -> None:
    status = {"modelStage": "DEPRECATED", "retirementTime": "2030-01-01T00:00:00Z", "message": "Use another model."}
    events, _ = read("gemini", sse({**part({"text": "Hi"}), "modelStatus": status}))
    assert "Google: Use another model (until 2030-01-01)." in [getattr(event, "text", "") for event in events]


DONE = {
    "type": "response.completed",
    "response": {"status": "completed", "output": [], "usage": {"input_tokens": 10, "output_tokens": 5}},
}
SAID = {"type": "response.output_text.delta", "output_index": 1, "delta": "Hi"}
ITEM = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
RESPONSES: dict[str, tuple[bytes, str]] = {
    "reasoning text": (named({"type": "response.reasoning_text.delta", "delta": "hm"}, SAID, DONE), "hm"),
    "a summary": (named({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, SAID, DONE), "hm"),
    "an older name": (named({"type": "response.reasoning.delta", "delta": {"text": "hm"}}, SAID, DONE), "hm"),
    "an older summary": (
        named({"type": "response.reasoning_summary.delta", "delta": {"text": "hm"}}, SAID, DONE),
        "hm",
    ),
    "tags": (named({**SAID, "delta": "<think>hm</think>"}, SAID, DONE), "hm"),
    "a part at its end": (
        named({"type": "response.content_part.done", "output_index": 1, "part": ITEM["content"][0]}, DONE),
        "",
    ),
    "everything twice": (
        named(
            SAID,
            {"type": "response.output_text.done", "output_index": 1, "text": "Hi"},
            {"type": "response.output_item.done", "output_index": 1, "item": ITEM},
            {**DONE, "response": {**DONE["response"], "output": [ITEM]}},  # type: ignore[dict-item]
        ),
        "",
    ),
    "no index": (
        named(
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.output_item.done", "item": ITEM},
            DONE,
        ),
        "",
    ),
    "another end": (named(SAID, {**DONE, "type": "response.done"}) + raw("[DONE]"), ""),
    "kinds only in the names": (
        b'event: response.output_text.delta\ndata: {"delta": "Hi"}\n\nevent: response.completed\n'
        + sse(DONE["response"]),
        "",
    ),
    "the names of chat completions": (
        named(SAID, {"type": "response.completed", "response": {"status": "completed", "usage": USAGE}}),
        "",
    ),
    "interactions": (
        sse(
            {"event_type": "step.delta", "delta": {"type": "thought_summary", "content": {"text": "hm"}}},
            {"event_type": "step.delta", "delta": {"type": "text", "text": "Hi"}},
            {
                "event_type": "interaction.completed",
                "interaction": {
                    "status": "completed",
                    "usage": {"total_input_tokens": 10, "total_output_tokens": 2, "total_thought_tokens": 3},
                },
            },
        ),
        "hm",
    ),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_are_read_in_all_their_forms(name: str) -> None:
    body, reasoning = RESPONSES[name]
    for pieces in ([body], [body[place : place + 1] for place in range(len(body))]):
        events, failure = read("responses", *pieces)
        assert failure is None and text_of(events) == "Hi" and events[-1] == Finish("stop")
        assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == reasoning
        [usage] = [event for event in events if isinstance(event, Usage)]
        assert (usage.prompt_tokens, usage.completion_tokens) == (10, 5)
