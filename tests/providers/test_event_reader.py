"""Responses become the same events in every protocol, whatever the server gets wrong."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import LLMError
from llmrepl.providers import event_reader
from llmrepl.providers import tokens as estimate
from llmrepl.providers.base import Event, Finish, Notice, Options, ReasoningDelta, Request, TextDelta
from llmrepl.providers.errors import Endpoint, ProviderError
from llmrepl.providers.event_reader import SurrogateJoiner, read_reply
from llmrepl.providers.http_provider import PROTOCOLS
from llmrepl.types import Usage
from tests.providers.loopback import ndjson, question, sse
from tests.providers.recorded import REPLIES, TEXT

SITE = Endpoint("openai", "https://acme.example/v1", "sk-secret-key", "$ACME_KEY")


def read(dialect: str, *chunks: bytes, request: Request | None = None) -> tuple[list[Event], LLMError | None]:
    """Return the events of a body and the final error."""
    events: list[Event] = []
    try:
        events.extend(read_reply(chunks, PROTOCOLS[dialect], request or question(), SITE, lambda: None))
    except LLMError as failure:
        # extend keeps what came before the failure
        return events, failure
    return events, None


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: list[Event]) -> Usage:
    found = [event for event in events if isinstance(event, Usage)]
    assert len(found) == 1
    return found[0]


def chunk(delta: dict[str, object], finish: str | None = None, **extra: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **extra}


@pytest.mark.parametrize("name", REPLIES)
def test_a_recorded_reply_gives_its_events(name: str) -> None:
    dialect, body, events = REPLIES[name]
    assert read(dialect, body) == (list(events), None)


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_cut_at_any_byte_gives_the_same_events(name: str) -> None:
    dialect, body, events = REPLIES[name]
    for place in range(len(body) + 1):
        assert read(dialect, body[:place], body[place:]) == (list(events), None), place
    assert read(dialect, *(bytes([byte]) for byte in body)) == (list(events), None)


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_cut_at_any_byte_is_complete_or_cut_off_but_never_invented(name: str) -> None:
    dialect, body, _ = REPLIES[name]
    for place in range(len(body)):
        came, failure = read(dialect, body[:place])
        assert TEXT.startswith(text_of(came))
        if failure is None:
            assert text_of(came) == TEXT
            assert isinstance(came[-1], Finish)
        else:
            assert isinstance(failure, ProviderError)
            assert failure.retry == (not text_of(came) and not any(isinstance(event, ReasoningDelta) for event in came))
            assert not any(isinstance(event, Finish) for event in came)
            if text_of(came):
                assert usage_of(came).estimated
                assert usage_of(came).completion_tokens >= len(text_of(came).encode()) / 3


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", sse(chunk({"content": "Hi"}), chunk({}, "stop"))),
        ("openai", sse(chunk({"content": "Hi"}), "[DONE]")),
        (
            "anthropic",
            sse(
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ),
        ),
        (
            "anthropic",
            sse(
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, {"type": "message_stop"}
            ),
        ),
        ("ollama", ndjson({"message": {"content": "Hi"}}, {"message": {}, "done": True})),
        ("openai", sse({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})),
        ("openai", json.dumps({"choices": [{"message": {"content": "Hi"}}]}, indent=1).encode()),
        ("anthropic", json.dumps({"type": "message", "content": [{"type": "text", "text": "Hi"}]}).encode()),
        ("gemini", json.dumps([{"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}]).encode()),
        ("ollama", b'{"message": {"content": "Hi"}, "done": true}'),
    ],
)
def test_a_finish_a_terminator_or_a_complete_document_ends_a_reply(dialect: str, body: bytes) -> None:
    events, failure = read(dialect, body)
    assert failure is None
    assert (text_of(events), events[-1]) == ("Hi", Finish("stop"))
    assert usage_of(events) == estimate.estimated(question(), 2)


@pytest.mark.parametrize(
    ("dialect", "body", "message", "retry"),
    [
        ("openai", b"", "empty page", True),
        ("ollama", b"\n \n", "empty page", True),
        ("openai", b"<!DOCTYPE html><html>Sign in</html>", "web page", False),
        ("ollama", b"  <html>", "web page", False),
        ("openai", b"data: nonsense\n\n" * 9, "not JSON", False),
        ("openai", b"{ damaged", "damaged", True),
        (
            "openai",
            sse({"error": {"message": "Overloaded", "type": "overloaded_error"}}),
            "overloaded .529.: Overl",
            True,
        ),
        ("openai", sse({"error": {"message": "no", "code": 429}}), "is rate limiting you .429.: no", True),
        ("openai", sse({"error": {"message": "no", "code": "insufficient_quota"}}), "quota", False),
        ("openai", b'event: error\ndata: {"message": "went wrong"}\n\n', "went wrong", False),
        (
            "anthropic",
            sse({"type": "error", "error": {"type": "not_found_error", "message": "gone"}}),
            "404.: gone",
            False,
        ),
        ("gemini", sse({"error": {"code": 503, "message": "full", "status": "UNAVAILABLE"}}), "503.: full", True),
        ("ollama", ndjson({"error": "model is\n\n broken"}), "an error: model is broken", False),
        ("openai", sse({"error": {"message": "key sk-secret-key is bad"}}), r"key \[key\] is bad", False),
        ("openai", sse(chunk({}, "content_filter")), "filter stopped", False),
        ("gemini", sse({"promptFeedback": {"blockReason": "SAFETY"}}), "filter stopped", False),
        ("anthropic", sse({"type": "message_delta", "delta": {"stop_reason": "refusal"}}), "refused", False),
        ("openai", sse(chunk({}, "length")), "max_tokens", False),
        ("openai", sse(chunk({"tool_calls": [{"index": 0}]}), chunk({}, "tool_calls")), "asked for a tool", False),
        ("openai", sse("[DONE]"), "answered nothing", False),
        ("openai", b"OK", "cut off", True),
    ],
)
def test_an_answer_without_text_is_a_failure_that_says_why(
    dialect: str, body: bytes, message: str, retry: bool
) -> None:
    events, failure = read(dialect, body)
    assert isinstance(failure, ProviderError)
    assert text_of(events) == ""
    assert failure.retry is retry
    with pytest.raises(ProviderError, match=message):
        raise failure
    assert failure.hint
    assert "sk-secret-key" not in str(failure)


def test_an_error_after_text_keeps_the_text_and_is_final() -> None:
    body = sse(chunk({"content": "Half"}), {"error": {"message": "Overloaded", "code": 529}})
    events, failure = read("openai", body)
    assert text_of(events) == "Half"
    assert isinstance(failure, ProviderError)
    assert not failure.retry
    assert "broke the reply off: Overloaded" in str(failure)
    assert usage_of(events).estimated


def test_malformed_events_are_skipped_with_a_notice_up_to_three() -> None:
    bad = b"data: {\n\n"
    good = sse(chunk({"content": "a"}))
    events, failure = read("openai", good + bad + good + bad + good + bad + good + sse("[DONE]"))
    assert failure is None
    assert text_of(events) == "aaaa"
    assert sum(isinstance(event, Notice) for event in events) == 3
    events, failure = read("openai", good + bad * 4 + sse("[DONE]"))
    assert failure is not None and "not JSON" in str(failure)
    assert text_of(events) == "a"


def test_a_million_brackets_and_a_number_without_end_are_only_malformed() -> None:
    body = sse("[" * 1_000_000) + sse("1" * 100_000) + sse(chunk({"content": "a"}), "[DONE]")
    events, failure = read("openai", body)
    assert failure is None
    assert text_of(events) == "a"


@pytest.mark.parametrize(
    ("dialect", "body", "reason"),
    [
        ("openai", sse(chunk({"content": "x"}), chunk({}, "length")), "length"),
        ("openai", sse(chunk({"refusal": "I cannot."}), chunk({}, "stop")), "refusal"),
        ("openai", sse(chunk({"content": "x"}), chunk({}, "eos")), "stop"),
        (
            "anthropic",
            sse(
                {"type": "content_block_delta", "delta": {"text": "x"}},
                {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            ),
            "length",
        ),
        (
            "gemini",
            sse({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "SAFETY"}]}),
            "content_filter",
        ),
        ("gemini", sse({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "NEW"}]}), "new"),
        ("ollama", ndjson({"message": {"content": "x"}, "done": True, "done_reason": "length"}), "length"),
    ],
)
def test_the_finish_says_why_in_common_words(dialect: str, body: bytes, reason: str) -> None:
    events, failure = read(dialect, body)
    assert failure is None
    assert events[-1] == Finish(reason)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_every_name_of_reasoning_is_reasoning_and_not_text(name: str) -> None:
    events, _ = read("openai", sse(chunk({name: "hm", "content": None}), chunk({"content": "x"}), "[DONE]"))
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("x")]


def test_mistral_thinks_in_parts() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}]
    events, _ = read("openai", sse(chunk({"content": parts}), "[DONE]"))
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("x")]


def test_only_the_first_choice_counts_and_tools_are_noted_once() -> None:
    call = chunk({"tool_calls": [{"index": 0, "function": {"name": "f"}}]})
    other = {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]}
    body = sse(chunk({"content": "a"}), other, call, call, {"choices": []}, chunk({}, "tool_calls"))
    events, _ = read("openai", body)
    assert text_of(events) == "a"
    assert sum(isinstance(event, Notice) for event in events) == 1
    assert events[-1] == Finish("tool_calls")


def test_a_reply_stops_at_the_size_that_max_tokens_allows() -> None:
    request = question(options=Options(max_tokens=5000))
    body = sse(chunk({"content": "word " * 1000})) * 100
    events, failure = read("openai", body, request=request)
    assert failure is not None and "more than 78 KiB" in str(failure)
    assert 70_000 < len(text_of(events)) < 90_000


def usage_chunk(**usage: object) -> bytes:
    return sse(chunk({"content": "four"}), chunk({}, "stop")) + sse({"choices": [], "usage": usage}) + sse("[DONE]")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": 10**30, "completion_tokens": 2},
        {"prompt_tokens": math.nan, "completion_tokens": math.inf},
        {"prompt_tokens": "11", "completion_tokens": "many"},
        {"prompt_tokens": 5, "completion_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": [1]},
    ],
)
def test_implausible_usage_is_estimated_upward_and_reported(usage: dict[str, object]) -> None:
    events, failure = read("openai", usage_chunk(**usage))
    assert failure is None
    assert usage_of(events) == estimate.estimated(question(), 4)
    assert any(isinstance(event, Notice) and "estimated" in event.text for event in events)


@pytest.mark.parametrize("dialect", ["anthropic", "gemini", "ollama"])
@pytest.mark.parametrize("bad", [-1, "7", math.nan, 10**30, None, [], {}])
def test_no_protocol_trusts_bad_counts(dialect: str, bad: object) -> None:
    body = {
        "anthropic": sse(
            {"type": "message_start", "message": {"usage": {"input_tokens": bad, "output_tokens": 1}}},
            {"type": "content_block_delta", "delta": {"text": "four"}},
            {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": {"output_tokens": bad}},
        ),
        "gemini": sse(
            {
                "candidates": [{"content": {"parts": [{"text": "four"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": bad},
            }
        ),
        "ollama": ndjson({"message": {"content": "four"}, "done": True, "prompt_eval_count": bad, "eval_count": bad}),
    }[dialect]
    events, failure = read(dialect, body)
    assert failure is None
    assert usage_of(events) == estimate.estimated(question(), 4)


def test_of_several_usages_the_last_one_counts() -> None:
    running = ({"prompt_tokens": 9, "completion_tokens": number} for number in (1, 2, 3))
    events, _ = read("openai", sse(*(chunk({"content": "x"}, usage=usage) for usage in running), "[DONE]"))
    assert usage_of(events) == Usage(9, 3)


@pytest.mark.parametrize("cost", [-0.5, math.nan, 1e30, "0.1", True])
def test_an_invalid_cost_is_dropped_and_the_counts_are_kept(cost: object) -> None:
    events, _ = read("openai", usage_chunk(prompt_tokens=9, completion_tokens=3, cost=cost))
    assert usage_of(events) == Usage(9, 3)
    assert any(isinstance(event, Notice) and "cost" in event.text for event in events)


def test_a_cut_reply_keeps_the_known_prompt_and_guesses_the_rest_upward() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 700, "output_tokens": 1}}}
    events, failure = read("anthropic", sse(start, {"type": "content_block_delta", "delta": {"text": "x" * 300}}))
    assert failure is not None
    assert usage_of(events) == Usage(700, 100, estimated=True)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["\ud83d\ude00"], "😀"),
        (["x\ud83d", "\ude00 y"], "x😀 y"),
        (["x\ud800", " y"], "x\ufffd y"),
        (["\ude00"], "\ufffd"),
        (["end\ud83d"], "end\ufffd"),
        (["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"),
        (["a\ud83d", "", "\ude00b"], "a😀b"),
    ],
)
def test_surrogates_are_joined_or_replaced(pieces: list[str], text: str) -> None:
    events, _ = read("openai", sse(*(chunk({"content": piece}) for piece in pieces), "[DONE]"))
    assert text_of(events) == text


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.text(st.sampled_from("aß漢😀\ud83d\ude00\ud800"), max_size=4), max_size=6))
def test_what_leaves_the_seam_is_the_text_and_can_be_written(pieces: list[str]) -> None:
    seam = SurrogateJoiner()
    out = [seam.join(TextDelta(piece)).text for piece in pieces]
    rest = seam.rest()
    joined = "".join(out) + (rest.text if rest else "")
    joined.encode("utf-8")
    assert joined == "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_KEYS = st.sampled_from(
    """type message delta choices index content text thinking reasoning refusal tool_calls finish_reason usage cost
    prompt_tokens completion_tokens prompt_tokens_details cached_tokens content_block content_block_delta input_tokens
    output_tokens stop_reason candidates parts usageMetadata promptTokenCount finishReason promptFeedback blockReason
    done done_reason eval_count prompt_eval_count error code details retryDelay metadata raw status""".split()
)
_WORDS = st.sampled_from(
    [
        "message_start",
        "message_delta",
        "content_block_start",
        "content_block_delta",
        "message",
        "thinking",
        "text",
        "stop",
        "STOP",
        "",
        "5s",
        "overloaded_error",
        "\ud800",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([10**400, math.nan, 1e308, -0.5]) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(PROTOCOLS)), st.lists(_JSON, max_size=4))
def test_no_json_whatever_makes_anything_but_events_and_failures(dialect: str, events: list[object]) -> None:
    body = ndjson(*events) if dialect == "ollama" else sse(*(json.dumps(event) for event in events))
    came, failure = read(dialect, body)
    text_of(came).encode()
    if failure:
        str(failure).encode("utf-8", "surrogatepass")
    for event in came:
        if isinstance(event, Usage):
            assert min(event.prompt_tokens, event.completion_tokens, event.cached_tokens) >= 0
            assert event.total_tokens < 10**9


def test_an_error_in_an_error_in_an_error_is_only_an_error() -> None:
    _, failure = read("openai", sse('{"error":' * 900 + '"deep"' + "}" * 900))
    assert isinstance(failure, ProviderError)


def test_the_reply_limit_is_sixteen_megabytes() -> None:
    assert event_reader.REPLY_LIMIT == 16 * 1024 * 1024
