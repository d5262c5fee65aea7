"""Token counts and costs as each vendor reports them; an implausible detail is dropped alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmrepl.providers.base import Notice
from llmrepl.providers.tokens import estimated
from llmrepl.types import Usage
from tests.providers.loopback import question, sse
from tests.providers.test_event_reader import chunk, read, usage_of


def counted(usage: dict[str, Any], text: str = "Hello") -> tuple[Usage, list[str]]:
    """Return the usage of a chat completion that reports `usage`, and the notices."""
    body = sse(chunk({"content": text}), chunk({}, "stop"), {"choices": [], "usage": usage}, "[DONE]")
    events, failure = read("openai", body)
    assert failure is None
    return usage_of(events), [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {
                "prompt_tokens": 12,
                "completion_tokens": 2,
                "total_tokens": 354,
                "prompt_tokens_details": {"cached_tokens": 11},
                "completion_tokens_details": {"reasoning_tokens": 340},
                "cost_in_usd_ticks": 1721250,
            },
            Usage(12, 342, 11, 0, 340, 0.000172125),
            id="xAI: reasoning beside the completion, cost in ticks",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 65},
            Usage(10, 55),
            id="a Gemini-compatible server: reasoning only in the total",
        ),
        pytest.param(
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, reasoning_tokens=94),
            id="reasoning beside the completion, no total",
        ),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 213, "prompt_tokens_details": {"cached_tokens": 161}},
            Usage(10, 213),
            id="more cached than read",
        ),
        pytest.param(
            {
                "prompt_tokens": 2168,
                "completion_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 2161, "cache_write_tokens": 2161},
                "cost": 0.0005,
            },
            Usage(2168, 100, 2161, cost=0.0005),
            id="more cached and written than read: the cost stays",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": -3}},
            Usage(9, 5),
            id="a negative detail",
        ),
        pytest.param(
            {
                "prompt_tokens": 14,
                "completion_tokens": 164,
                "cost": 0,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.00417},
            },
            Usage(14, 164, cost=0.00417),
            id="OpenRouter with a key of one's own",
        ),
        pytest.param(
            {"prompt_tokens": 14, "completion_tokens": 164, "cost": 0, "is_byok": True, "cost_details": None},
            Usage(14, 164),
            id="OpenRouter with a key of one's own, upstream unknown: never free",
        ),
        pytest.param(
            {"prompt_tokens": 8, "completion_tokens": 5, "cost": {"request_cost": 0.005, "total_cost": 0.00501}},
            Usage(8, 5, cost=0.00501),
            id="Perplexity: the cost is an object",
        ),
        pytest.param(
            {"prompt_tokens": 8, "completion_tokens": 5, "estimated_cost": 0.0002},
            Usage(8, 5, cost=0.0002),
            id="DeepInfra",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 5, "cached_tokens": 64},
            Usage(90, 5, 64),
            id="Moonshot, Together",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 5, "prompt_token_details": {"cached_tokens": 64}},
            Usage(90, 5, 64),
            id="Mistral",
        ),
        pytest.param(
            {"prompt_tokens": 90, "completion_tokens": 5, "prompt_cache_hit_tokens": 64},
            Usage(90, 5, 64),
            id="DeepSeek",
        ),
        pytest.param({"prompt_tokens": 5.0, "completion_tokens": 7.0}, Usage(5, 7), id="whole numbers as floats"),
        pytest.param(
            {
                "prompt_tokens": 50,
                "completion_tokens": 40,
                "prompt_tokens_details": {"audio_tokens": 30},
                "completion_tokens_details": {"audio_tokens": 20, "image_tokens": 3},
            },
            Usage(50, 40, media_tokens=53),
            id="audio and pictures have prices of their own",
        ),
    ],
)
def test_each_vendor_is_read_as_it_counts(usage: dict[str, Any], expected: Usage) -> None:
    assert counted(usage) == (expected, [])


def test_a_count_far_below_what_was_seen_is_estimated() -> None:
    text = "word " * 12_000
    usage, notices = counted({"prompt_tokens": 9, "completion_tokens": 1, "cost": 0.01}, text)
    assert usage == Usage(9, len(text) // 3, cost=0.01, estimated=True)
    assert len(notices) == 1


def test_a_cost_outlives_counts_that_make_no_sense() -> None:
    usage, notices = counted({"prompt_tokens": -1, "completion_tokens": 5, "cost": 0.01})
    assert usage.estimated and usage.cost == 0.01
    assert "estimated" in notices[0]


def test_usage_in_pieces_is_joined_and_zeros_at_the_end_change_nothing() -> None:
    pieces = [{"prompt_tokens": 5, "completion_tokens": 0}, {"completion_tokens": 7}, {}]
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    body = sse(*(chunk({"content": "x"}, usage=piece) for piece in [*pieces, zeros]), "[DONE]")
    assert usage_of(read("openai", body)[0]) == Usage(5, 7)


def test_claude_tells_what_it_thought() -> None:
    usage = {"input_tokens": 9, "output_tokens": 70, "output_tokens_details": {"thinking_tokens": 60}}
    whole = {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": usage}
    assert usage_of(read("anthropic", json.dumps(whole).encode())[0]) == Usage(9, 70, reasoning_tokens=60)


def test_gemini_counts_tools_with_the_prompt_and_pictures_apart() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 100,
        "candidatesTokenCount": 1300,
        "thoughtsTokenCount": 20,
        "totalTokenCount": 1430,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}, {"modality": "TEXT", "tokenCount": 10}],
    }
    answer = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "usageMetadata": usage}
    assert usage_of(read("gemini", sse(answer))[0]) == Usage(110, 1320, reasoning_tokens=20, media_tokens=1290)


def test_no_usage_at_all_is_estimated_without_a_word() -> None:
    events, _ = read("openai", sse(chunk({"content": "four"}), "[DONE]"))
    assert usage_of(events) == estimated(question(), 4)
    assert not any(isinstance(event, Notice) for event in events)
