"""Classification of errors whose status is not specific, and errors of unusual shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from llmrepl.providers.base import Finish, Notice, TextDelta
from llmrepl.providers.error_words import BAD_KEY, NO_CREDIT, status_in_words
from llmrepl.providers.errors import Endpoint, ProviderError, error_from_response
from tests.providers.loopback import provider, question, serving, sse, status, stream
from tests.providers.recorded import REPLIES, TEXT
from tests.providers.test_event_reader import chunk, read, text_of

LONG = (
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000",
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "too many tokens: size limit exceeded by 25836 tokens. Try using shorter or fewer inputs.",
    "the request exceeds the available context size, try increasing it",
    "request (2637 tokens) exceeds the available context size (2048 tokens)",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "Please reduce the length of the messages or completion.",
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 and 20",
    "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
    "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with 4096 only",
    "the input length exceeds the context length",
    "Input is too long for requested model.",
    "Range of input length should be [1, 30720]",
    "Invalid request: Your request exceeded model token limit: 8192",
    "Prompt exceeds max length",
    "Request body too large for gpt-4o model. Max size: 8000 tokens.",
    "litellm.ContextWindowExceededError: the prompt does not fit",
)


@pytest.mark.parametrize("message", LONG)
@pytest.mark.parametrize("code", [400, 413, 500])
def test_a_prompt_that_is_too_long_leads_to_compact(message: str, code: int) -> None:
    with serving(status(code, {"error": {"message": message}})) as server, pytest.raises(ProviderError) as caught:
        list(provider(server.url).stream(question()))
    assert "Too long for this model" in caught.value.message
    assert message.split("`")[0][:40] in caught.value.message
    assert all(word in caught.value.hint for word in (":compact", ":undo", ":new"))
    assert not caught.value.retry


def test_the_tokens_are_named_where_the_server_names_just_two_numbers() -> None:
    with serving(status(400, {"error": {"message": LONG[0]}})) as server, pytest.raises(ProviderError) as caught:
        list(provider(server.url).stream(question()))
    assert caught.value.message.startswith("Too long for this model: 210,000 of 200,000 tokens.")


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("Incorrect API key provided. You can obtain an API key from https://console.x.ai.", BAD_KEY),
        ("API key not valid. Please pass a valid API key.", BAD_KEY),
        ("Not authenticated", BAD_KEY),
        ("Your credit balance is too low to access the Anthropic API.", NO_CREDIT),
        ("Insufficient Balance", NO_CREDIT),
        ("`temperature` is deprecated for this model", 400),
        ("max_tokens: must be greater than 0", 400),
        ("This model does not support effort level 'xhigh'", 400),
        ("max_tokens is too large: 9000. This model supports at most 4096 completion tokens", 400),
        ("messages.0: the key 'name' is required", 400),
        ("", 400),
    ],
)
def test_the_words_of_a_400_say_what_it_is(message: str, meant: int) -> None:
    assert status_in_words(400, [], message) == meant


SITE = Endpoint("openai", "https://api.example/v1", "sk-1", "$KEY")
NO_MODEL = [
    (400, {"error": {"message": "The model `x` has been decommissioned.", "code": "model_decommissioned"}}),
    (400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}),
    (400, {"error": {"message": "x is not a valid model ID", "code": 400}}),
    (400, {"error": {"message": "Invalid model: x", "type": "invalid_model"}}),
    (403, {"error": {"message": "Project p does not have access to model `x`", "code": "model_not_found"}}),
    (404, {"error": {"message": "models/x is not found for API version v1beta"}}),
    (410, {"error": {"message": "This model has been retired"}}),
]


@pytest.mark.parametrize(("code", "body"), NO_MODEL)
def test_a_model_that_is_gone_is_one_whatever_the_status(code: int, body: dict[str, Any]) -> None:
    error = error_from_response(SITE, "x", code, {}, json.dumps(body).encode(), datetime.now(UTC))
    assert error.no_model and not error.retry and "has no model 'x'" in error.message


@pytest.mark.parametrize(
    "message",
    [
        "`temperature` is deprecated for this model.",
        "This model does not support image inputs.",
        "The model is overloaded. Please try again later.",
        "Model x is currently loading",
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
    ],
)
def test_a_model_that_refuses_something_is_not_gone(message: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    assert not error_from_response(SITE, "x", 400, {}, body, datetime.now(UTC)).no_model


@pytest.mark.parametrize(
    "error",
    [
        {"message": "The response was filtered by our content management policy.", "code": "content_filter"},
        {"message": "Output data may contain inappropriate content.", "code": "data_inspection_failed"},
        {"message": "Your input was flagged"},
    ],
)
def test_a_filter_leads_to_other_words(error: dict[str, Any]) -> None:
    found = error_from_response(SITE, "x", 400, {}, json.dumps({"error": error}).encode(), datetime.now(UTC))
    assert found.message.startswith("the filter of") and found.hint == "ask in other words"


@pytest.mark.parametrize("code", [401, 404, 429, 529])
def test_a_specific_status_is_not_changed(code: int) -> None:
    assert status_in_words(code, [], LONG[0]) == code


@pytest.mark.parametrize("code", [425, 498, 501, 508, 520, 522, 524, 530, 599])
def test_every_5xx_is_tried_again_before_the_first_byte(code: int) -> None:
    with serving(status(code, "<html>"), stream(REPLIES["openai"][1])) as server:
        text = text_of(list(provider(server.url, most=2).stream(question())))
    assert (text, len(server.seen)) == (TEXT, 2)


def test_a_server_that_forbids_a_retry_is_not_retried() -> None:
    with serving(status(500, "no", x_should_retry="false")) as server, pytest.raises(ProviderError):
        list(provider(server.url, most=2).stream(question()))
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", [200, 201, 202, 206])
def test_any_2xx_with_a_body_is_an_answer(code: int) -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    with serving(status(code, whole)) as server:
        assert text_of(list(provider(server.url).stream(question()))) == "Hi"


ERRORS: list[dict[str, Any]] = [
    {"object": "error", "message": "no luck", "type": "InternalServerError", "param": None, "code": 500},
    {"detail": "no luck"},
    {"message": "no luck"},
    {"success": False, "msg": "no luck", "code": 1002},
    {"id": "1", "choices": None, "base_resp": {"status_code": 1004, "status_msg": "no luck"}},
    {"type": "error", "message": "no luck"},
    {"error": "no luck"},
    {"error": {"message": "no luck"}},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "no luck"}}]},
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("begun", [True, False])
def test_an_error_of_any_shape_is_one_before_and_in_a_stream(error: dict[str, Any], begun: bool) -> None:
    half = [chunk({"content": "Half"})] if begun else []
    events, failure = read("openai", sse(*half, error, "[DONE]"))
    assert isinstance(failure, ProviderError)
    assert "no luck" in str(failure)
    assert text_of(events) == ("Half" if begun else "")
    assert ("broke the reply off" in str(failure)) is begun
    assert not any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_any_shape_is_one_in_a_json_answer(error: dict[str, Any]) -> None:
    _, failure = read("openai", json.dumps(error).encode())
    assert failure and "no luck" in str(failure)


@pytest.mark.parametrize(
    "beat", [b"data: \n\n", b"data:\n\n", b"data: : PROCESSING\n\n", b"event: ping\ndata: ping\n\n"]
)
def test_heartbeats_are_no_events_however_many(beat: bytes) -> None:
    body = beat * 9 + sse(chunk({"content": "Hel"})) + beat * 9 + sse(chunk({"content": "lo"}), "[DONE]")
    events, failure = read("openai", body)
    assert (failure, text_of(events)) == (None, "Hello")
    assert not any(isinstance(event, Notice) for event in events)


@pytest.mark.parametrize("reason", ["error", "network_error", "insufficient_system_resource", "interrupted", "ABORT"])
@pytest.mark.parametrize("begun", [True, False])
def test_a_finish_that_says_it_failed_is_a_failure(reason: str, begun: bool) -> None:
    events, failure = read("openai", sse(chunk({"content": "Half" if begun else ""}), chunk({}, reason), "[DONE]"))
    assert isinstance(failure, ProviderError)
    assert reason in str(failure)
    assert failure.retry is not begun
    assert not any(isinstance(event, Finish) for event in events)


@pytest.mark.parametrize(
    ("dialect", "body", "sentence"),
    [
        (
            "gemini",
            sse({"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "because of that"}}),
            "filter stopped the reply before any text: because of that",
        ),
        (
            "gemini",
            sse({"candidates": [{"finishReason": "MODEL_ARMOR", "finishMessage": "because of that"}]}),
            "filter stopped the reply before any text: because of that",
        ),
        (
            "anthropic",
            sse(
                {
                    "type": "message_delta",
                    "delta": {
                        "stop_reason": "refusal",
                        "stop_details": {"explanation": "because of that", "recommended_model": "claude-x"},
                    },
                }
            ),
            "refused to answer: because of that. It recommends the model claude-x.",
        ),
    ],
)
def test_the_vendors_own_explanation_is_shown(dialect: str, body: bytes, sentence: str) -> None:
    _, failure = read(dialect, body)
    assert failure and sentence in failure.message


def test_an_explanation_after_text_is_a_notice() -> None:
    delta = {"stop_reason": "refusal", "stop_details": {"explanation": "because of that"}}
    said = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "I start"}}
    events, failure = read("anthropic", sse(said, {"type": "message_delta", "delta": delta}, {"type": "message_stop"}))
    assert failure is None
    assert next(event.text for event in events if isinstance(event, Notice)).endswith("because of that")
    assert (text_of(events), events[-1]) == ("I start", Finish("refusal"))


def test_perplexity_sends_the_message_so_far_beside_each_piece() -> None:
    def both(so_far: str, piece: str | None, finish: str | None = None) -> dict[str, Any]:
        delta = None if piece is None else {"role": "assistant", "content": piece}
        return {"choices": [{"index": 0, "delta": delta, "message": {"content": so_far}, "finish_reason": finish}]}

    for last in ("", None):
        events, _ = read("openai", sse(both("Hel", "Hel"), both("Hello", "lo"), both("Hello", last, "stop")))
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
    whole, _ = read("openai", json.dumps(both("Hello", "", "stop")).encode())
    assert text_of(whole) == "Hello"


def test_documents_in_a_row_are_a_stream() -> None:
    documents = (chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))
    for end in ("\n", ""):
        events, failure = read("openai", "".join(json.dumps(one) + end for one in documents).encode())
        assert (failure, text_of(events)) == (None, "Hello")


def test_events_without_a_blank_line_between_them_are_read() -> None:
    lines = [chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop")]
    body = b"".join(b"data: %s\n" % json.dumps(line).encode() for line in lines) + b"data: [DONE]\n"
    events, failure = read("openai", body)
    assert (failure, text_of(events)) == (None, "Hello")


def test_an_unknown_finish_without_text_is_named() -> None:
    _, failure = read("gemini", sse({"candidates": [{"finishReason": "MALFORMED_RESPONSE"}]}))
    assert failure and "answered nothing (malformed_response)" in failure.message


def test_a_413_of_another_kind_is_shown_unchanged() -> None:
    with serving(status(413, {"error": {"message": "what a pity"}})) as server, pytest.raises(ProviderError) as caught:
        list(provider(server.url).stream(question()))
    assert "(413): what a pity" in caught.value.message
    assert ":compact" in caught.value.hint
