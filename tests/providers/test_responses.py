"""OpenAI's Responses protocol: requests, replies, and the switch to chat completions for servers without it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llmrepl.errors import LLMError, UsageError
from llmrepl.providers.base import Event, Finish, Notice, Options, ReasoningDelta, Request, TextDelta
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.protocols import openai_responses
from llmrepl.types import Attachment, Citation, Message, ProviderData
from tests.providers.loopback import Answer, provider, question, serving, sse, status, stream, vendor_of
from tests.providers.recorded import REPLIES, TEXT
from tests.providers.test_event_reader import chunk, read, text_of
from tests.providers.test_sdks import piece, response

OPENAI = vendor_of("responses")
THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA="}
PNG = Attachment("dot.png", "image/png", b"\x89PNG")
PDF = Attachment("paper.pdf", "application/pdf", b"%PDF")


def body(request: Request) -> dict[str, Any]:
    sent, _ = openai_responses.body(request, OPENAI)
    json.dumps(sent)
    return sent


def answered(model: str = "gpt-5", by: str = "openai") -> Message:
    return Message("assistant", "two", provider_data=ProviderData(by, model, (THOUGHT,)))


def test_a_request_keeps_nothing_at_the_server_and_asks_for_what_it_must_bring_again() -> None:
    options = Options(max_tokens=100)
    request = question("three", model="gpt-5", system="Be brief.", options=options)
    assert body(request) == {
        "model": "gpt-5",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "three"}]}],
    }


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "gpt-3.5-turbo", "chatgpt-4o-latest"])
def test_a_model_that_does_not_reason_is_not_asked_for_reasoning(model: str) -> None:
    sent = body(question(model=model, options=Options(temperature=0.5, top_p=0.9)))
    assert "include" not in sent and "reasoning" not in sent
    assert (sent["temperature"], sent["top_p"]) == (0.5, 0.9)


def test_reasoning_goes_back_before_its_reply_to_the_same_model_only() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]}
    earlier = [Message("user", "one"), answered()]
    assert body(question(model="gpt-5", earlier=earlier))["input"][1:3] == [THOUGHT, said]
    for stranger in (answered("gpt-5-mini"), answered(by="azure"), Message("assistant", "two")):
        sent = body(question(model="gpt-5", earlier=[Message("user", "one"), stranger]))
        assert sent["input"][1] == said
        assert "encrypted" not in json.dumps(sent["input"])


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "ollama"])
def test_no_other_protocol_sees_the_reasoning(dialect: str) -> None:
    from llmrepl.providers.http_provider import PROTOCOLS

    request = question(model="gpt-5", earlier=[Message("user", "one"), answered()])
    sent, _ = PROTOCOLS[dialect].body(request, vendor_of(dialect))
    assert "gAAA=" not in json.dumps(sent)


def test_pictures_and_documents_are_sent_as_they_are() -> None:
    content = body(Request("gpt-5", [Message("user", "what?", (PNG, PDF))]))["input"][0]["content"]
    png, pdf = (base64.b64encode(one.data).decode() for one in (PNG, PDF))
    assert content == [
        {"type": "input_image", "image_url": f"data:image/png;base64,{png}"},
        {"type": "input_file", "filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{pdf}"},
        {"type": "input_text", "text": "what?"},
    ]
    with pytest.raises(UsageError, match=r"a\.wav"):
        body(Request("gpt-5", [Message("user", "what?", (Attachment("a.wav", "audio/wav", b"RIFF"),))]))


def only(kind: type[Event], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("new", "new")]
)
def test_an_incomplete_response_says_why(reason: str, finish: str) -> None:
    last = response("incomplete", "incomplete", incomplete_details={"reason": reason})
    events, failure = read("responses", sse(piece("output_text", "Hi"), last))
    assert failure is None
    assert events[-1] == Finish(finish)


def test_a_refusal_is_the_text_and_the_finish() -> None:
    events, _ = read("responses", sse(piece("refusal", "I can"), piece("refusal", "not."), response("completed")))
    assert (text_of(events), events[-1]) == ("I cannot.", Finish("refusal"))


def test_the_parts_of_a_summary_are_paragraphs() -> None:
    parts = [piece("reasoning_summary_text", text, part) for text, part in (("a", 0), ("b", 0), ("c", 1))]
    events, _ = read("responses", sse(*parts, piece("output_text", "Hi", index=1), response("completed")))
    assert "".join(event.text for event in only(ReasoningDelta, events)) == "ab\n\nc"


def test_sources_come_once_after_the_text() -> None:
    web = {"type": "url_citation", "url": "https://a.example", "title": "A"}
    book = {"type": "file_citation", "file_id": "f", "filename": "notes.pdf"}
    added = {"type": "response.output_text.annotation.added", "annotation": web}
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": [web, book]}]}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    events, _ = read("responses", sse(piece("output_text", "Hi"), added, done, response("completed")))
    assert text_of(events) == "Hi"
    assert only(Citation, events) == [Citation("https://a.example", "A"), Citation("notes.pdf")]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_server_that_does_not_stream_pieces_loses_nothing(streamed: bool) -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    thought = {"type": "reasoning", "summary": [{"text": "a"}, {"text": "b"}], "encrypted_content": "x"}
    last = response("completed", output=[thought, item])
    raw = sse(last) if streamed else json.dumps(last["response"]).encode()
    events, failure = read("responses", raw)
    assert failure is None
    assert (text_of(events), events[-1]) == ("Hi", Finish("stop"))
    assert [event.text for event in only(ReasoningDelta, events)] == ["a\n\nb"]
    assert [len(data.items) for data in only(ProviderData, events)] == [1]


def test_a_picture_is_an_event_of_its_own() -> None:
    item = {"type": "image_generation_call", "result": base64.b64encode(b"PNG").decode(), "output_format": "png"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    events, failure = read("responses", sse(done, response("completed")))
    assert failure is None
    assert only(Attachment, events) == [Attachment("picture.png", "image/png", b"PNG")]


def test_a_tool_call_is_reported_as_unsupported() -> None:
    item = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    done = {"type": "response.output_item.done", "output_index": 1, "item": item}
    events, _ = read("responses", sse(piece("output_text", "Hi"), done, response("completed")))
    assert len(only(Notice, events)) == 1
    assert events[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    ("error", "begun", "sentence", "retry"),
    [
        (response("failed", "failed", error={"code": "server_error", "message": "no"}), False, "no", True),
        (
            response("failed", "failed", error={"code": "server_error", "message": "no"}),
            True,
            "broke the reply off: no",
            False,
        ),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, False, "429.*slow", True),
        ({"type": "error", "code": None, "message": "gone"}, True, "broke the reply off: gone", False),
        (response("failed", "failed"), True, "broke the reply off: failed", False),
    ],
)
def test_an_error_in_the_stream_is_a_failure(error: dict[str, Any], begun: bool, sentence: str, retry: bool) -> None:
    events, failure = read("responses", sse(*[piece("output_text", "Half")][: int(begun)], error))
    assert text_of(events) == ("Half" if begun else "")
    assert isinstance(failure, ProviderError)
    assert failure.retry is retry
    with pytest.raises(ProviderError, match=sentence):
        raise failure


CHAT = stream(REPLIES["openai"][1])
MISSING = status(404, {"detail": "Not Found"})


def ask(*answers: Answer, times: int = 1) -> tuple[list[str], str, LLMError | None]:
    """Return the requested paths, the text of all replies, and the error."""
    text, failure = "", None
    with serving(*answers) as server:
        asked = provider(server.url, "responses")
        try:
            for _ in range(times):
                text += "".join(event.text for event in asked.stream(question()) if isinstance(event, TextDelta))
        except LLMError as error:
            failure = error
    return [seen.path for seen in server.seen], text, failure


@pytest.mark.parametrize("code", [404, 405, 501])
def test_a_server_with_only_chat_completions_is_asked_for_these_from_then_on(code: int) -> None:
    paths, text, failure = ask(status(code, "404 page not found"), CHAT, times=2)
    assert failure is None
    assert text == TEXT * 2
    assert paths == ["/responses", "/chat/completions", "/chat/completions"]


def test_a_model_that_does_not_exist_is_not_asked_for_twice() -> None:
    paths, _, failure = ask(status(404, {"error": {"code": "model_not_found", "message": "no gpt-9"}}))
    assert paths == ["/responses"]
    assert failure and "no gpt-9" in str(failure)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "The requested model 'm' cannot be used with the Responses API."),
        (404, "This model is only supported in v1/chat/completions and not in v1/responses."),
    ],
)
def test_a_model_without_responses_is_asked_by_chat_completions(code: int, message: str) -> None:
    refusal = status(code, {"error": {"message": message, "code": "unsupported_model"}})
    chat = stream(sse(chunk({"content": "ok"}, "stop")))
    with serving(refusal, chat, refusal, chat) as server:
        asked = provider(server.url, "responses")
        assert [text_of(list(asked.stream(question()))) for _ in range(2)] == ["ok", "ok"]
    paths = [one.path for one in server.seen]
    assert paths == ["/responses", "/chat/completions"] * 2, "other models may have Responses"


def test_a_server_that_has_neither_is_asked_for_responses_again() -> None:
    with serving(MISSING) as server:
        asked = provider(server.url, "responses")
        for _ in range(2):
            with pytest.raises(ProviderError, match="404"):
                list(asked.stream(question()))
    assert [seen.path for seen in server.seen] == ["/responses", "/chat/completions"] * 2


def test_a_server_that_answers_every_path_with_chat_completions_is_understood() -> None:
    paths, text, failure = ask(stream(sse(chunk({"content": "Hi"}), chunk({}, "stop"), "[DONE]")))
    assert (paths, text, failure) == (["/responses"], "Hi", None)
