"""Complete replies in each protocol, in the shape of real servers, with the expected events."""

from __future__ import annotations

from llmrepl.providers.base import Event, Finish, ReasoningDelta, TextDelta
from llmrepl.types import ProviderData, Usage
from tests.providers.loopback import ndjson, sse

TEXT = "Grüße, 漢字 and 😀.\nDone"
PIECES = ("Grüße, ", "漢字 and ", "😀.\n", "Done")


def _chunk(delta: dict[str, object], finish: str | None = None, **extra: object) -> dict[str, object]:
    return {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-4o-mini",
        "service_tier": "default",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        **extra,
    }


OPENAI = sse(
    _chunk({"role": "assistant", "content": "", "refusal": None}),
    _chunk({"reasoning_content": "hm", "content": None}),
    *(_chunk({"content": piece}) for piece in PIECES),
    _chunk({}, "stop"),
    {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 31,
            "total_tokens": 1231,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
    },
    "[DONE]",
)

OPENROUTER = (
    b": OPENROUTER PROCESSING\n\n"
    + sse(
        _chunk({"role": "assistant", "content": "", "reasoning": "hm"}, provider="Novita"),
        *(_chunk({"role": "assistant", "content": piece}, provider="Novita") for piece in PIECES[:2]),
    )
    + b": OPENROUTER PROCESSING\n\n"
    + sse(
        *(_chunk({"role": "assistant", "content": piece}) for piece in PIECES[2:]),
        _chunk({"role": "assistant", "content": ""}, "stop"),
        _chunk(
            {"role": "assistant", "content": ""},
            None,
            usage={
                "prompt_tokens": 14,
                "completion_tokens": 9,
                "total_tokens": 23,
                "cost": 0.000123,
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        ),
        "[DONE]",
    )
)


def _named(*events: dict[str, object]) -> bytes:
    return b"".join(f"event: {event['type']}\n".encode() + sse(event) for event in events)


_RESPONSE: dict[str, object] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1760000000,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": None,
}
_THOUGHT: dict[str, object] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "gAAA=",
}
_REPLY: dict[str, object] = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}],
}
_IN_PART = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
_IN_SUMMARY = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}

_EVENTS: tuple[dict[str, object], ...] = (
    {"type": "response.created", "response": _RESPONSE},
    {"type": "response.in_progress", "response": _RESPONSE},
    {"type": "response.output_item.added", "output_index": 0, "item": {**_THOUGHT, "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "delta": "hm", **_IN_SUMMARY},
    {"type": "response.reasoning_summary_text.done", "text": "hm", **_IN_SUMMARY},
    {"type": "response.output_item.done", "output_index": 0, "item": _THOUGHT},
    {"type": "response.output_item.added", "output_index": 1, "item": {**_REPLY, "content": []}},
    {
        "type": "response.content_part.added",
        **_IN_PART,
        "part": {"type": "output_text", "text": "", "annotations": []},
    },
    *({"type": "response.output_text.delta", "delta": piece, "logprobs": [], **_IN_PART} for piece in PIECES),
    {"type": "response.output_text.done", "text": TEXT, "logprobs": [], **_IN_PART},
    {"type": "response.output_item.done", "output_index": 1, "item": _REPLY},
    {
        "type": "response.completed",
        "response": {
            **_RESPONSE,
            "status": "completed",
            "output": [_THOUGHT, _REPLY],
            "usage": {
                "input_tokens": 1200,
                "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 0},
                "output_tokens": 31,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 1231,
            },
        },
    },
)
RESPONSES = _named(*({**event, "sequence_number": number} for number, event in enumerate(_EVENTS)))

ANTHROPIC = _named(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 900,
                "output_tokens": 1,
                "service_tier": "standard",
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQB"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    *({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": piece}} for piece in PIECES),
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 31},
    },
    {"type": "message_stop"},
)


def _candidate(part: dict[str, object], **extra: object) -> dict[str, object]:
    return {
        "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0, **extra}],
        "usageMetadata": {
            "promptTokenCount": 50,
            "candidatesTokenCount": 11,
            "thoughtsTokenCount": 20,
            "cachedContentTokenCount": 32,
            "totalTokenCount": 81,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r",
    }


GEMINI = sse(
    _candidate({"text": "hm", "thought": True}),
    *(_candidate({"text": piece}) for piece in PIECES[:-1]),
    _candidate({"text": PIECES[-1]}, finishReason="STOP"),
).replace(b"\n\n", b"\r\n\r\n")


def _line(message: dict[str, object], **extra: object) -> dict[str, object]:
    return {
        "model": "llama3.2",
        "created_at": "2025-01-01T00:00:00Z",
        "message": {"role": "assistant", **message},
        "done": False,
    } | extra


OLLAMA = ndjson(
    _line({"content": "", "thinking": "hm"}),
    *(_line({"content": piece}) for piece in PIECES),
    _line({"content": ""}, done=True, done_reason="stop", total_duration=1, prompt_eval_count=26, eval_count=31),
)

_SAID: tuple[Event, ...] = (ReasoningDelta("hm"), *(TextDelta(piece) for piece in PIECES))

REPLIES: dict[str, tuple[str, bytes, tuple[Event, ...]]] = {
    "openai": ("openai", OPENAI, (*_SAID, Usage(1200, 31, 1024, 0, 20), Finish("stop"))),
    "responses": (
        "responses",
        RESPONSES,
        (
            *_SAID,
            ProviderData(
                "openai",
                "m",
                (
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "hm"}],
                        "encrypted_content": "gAAA=",
                    },
                ),
            ),
            Usage(1200, 31, 1024, 0, 20),
            Finish("stop"),
        ),
    ),
    "openrouter": ("openai", OPENROUTER, (*_SAID, Usage(14, 9, cost=0.000123), Finish("stop"))),
    "anthropic": (
        "anthropic",
        ANTHROPIC,
        (
            *_SAID,
            ProviderData("openai", "m", ({"type": "thinking", "thinking": "hm", "signature": "EqQB"},)),
            Usage(1003, 31, 900, 100),
            Finish("stop"),
        ),
    ),
    "gemini": ("gemini", GEMINI, (*_SAID, Usage(50, 31, 32, 0, 20), Finish("stop"))),
    "ollama": ("ollama", OLLAMA, (*_SAID, Usage(26, 31), Finish("stop"))),
}
"""For each name: the dialect, the bytes, the events."""
