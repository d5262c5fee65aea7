"""Request bodies and model lists of each protocol."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from llmrepl.errors import LLMError, UsageError
from llmrepl.providers.base import Notice, Options, Request
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.http_provider import PROTOCOLS
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.types import Attachment, Message
from tests.providers.loopback import provider, question, serving, status, stream, vendor_of
from tests.providers.recorded import REPLIES

PNG = Attachment("dot.png", "image/png", b"\x89PNG")
NOTES = Attachment("notes.txt", "text/plain", "naïve".encode())
PDF = Attachment("paper.pdf", "application/pdf", b"%PDF")
AUDIO = Attachment("a.wav", "audio/wav", b"RIFF")
B64 = base64.b64encode(PNG.data).decode()


def body(vendor: str, request: Request) -> dict[str, Any]:
    row = vendor_of(vendor)
    sent, _ = PROTOCOLS[row.dialect].body(request, row)
    json.dumps(sent)
    return sent


def talk(**changes: Any) -> Request:
    turns = [Message("user", "one"), Message("assistant", "two")]
    return replace(question("three", system="Be brief.", earlier=turns), **changes)


def test_openai_gets_the_conversation_in_its_words() -> None:
    options = Options(temperature=0.0, top_p=0.5, max_tokens=100)
    assert body("openai", talk(model="gpt-4o-mini", options=options)) == {
        "model": "gpt-4o-mini",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
        "max_completion_tokens": 100,
        "temperature": 0.0,
        "top_p": 0.5,
    }


def test_others_who_speak_openai_get_the_older_field_and_only_what_they_understand() -> None:
    sent = body("mistral", question(options=Options(max_tokens=7)))
    assert sent["max_tokens"] == 7
    assert "stream_options" not in sent
    assert body("openrouter", question())["usage"] == {"include": True}
    assert "usage" not in body("groq", question())


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5-nano"])
def test_reasoning_models_get_no_temperature_and_the_user_a_note(model: str) -> None:
    request = question(model=model, options=Options(temperature=0.2))
    with serving(stream(REPLIES["openai"][1])) as server:
        events = list(provider(server.url).stream(request))
    assert "temperature" not in server.seen[0].body
    assert events[0] == Notice(f"{model} takes no temperature; it was left out")


@pytest.mark.parametrize(("vendor", "model"), [("openai", "gpt-4o"), ("openai", "gpt-5-chat-latest"), ("groq", "o1")])
def test_other_models_get_the_temperature(vendor: str, model: str) -> None:
    assert body(vendor, question(model=model, options=Options(temperature=0.2)))["temperature"] == 0.2


def test_anthropic_gets_marks_that_keep_the_conversation_in_its_cache() -> None:
    keep = {"cache_control": {"type": "ephemeral"}}
    assert body("anthropic", talk(model="claude-3-5-haiku-latest")) == {
        "model": "claude-3-5-haiku-latest",
        "stream": True,
        "max_tokens": 8192,
        "system": [{"type": "text", "text": "Be brief.", **keep}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": [{"type": "text", "text": "three", **keep}]},
        ],
    }


def test_openrouter_gets_cache_marks_for_claude_only() -> None:
    sent = body("openrouter", talk(model="anthropic/claude-sonnet-4"))
    assert ["cache_control" in str(message) for message in sent["messages"]] == [True, False, False, True]
    assert "cache_control" not in str(body("openrouter", talk(model="openai/gpt-4o")))


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-latest", 8192),
        ("claude-sonnet-4-5", 32000),
        ("new", 32000),
    ],
)
def test_anthropic_must_have_max_tokens(model: str, most: int) -> None:
    assert body("anthropic", question(model=model))["max_tokens"] == most
    assert body("anthropic", question(model=model, options=Options(max_tokens=5)))["max_tokens"] == 5


def test_an_empty_message_is_not_sent_to_anthropic_which_refuses_it() -> None:
    request = question(earlier=[Message("user", "one"), Message("assistant", "")])
    assert [message["role"] for message in body("anthropic", request)["messages"]] == ["user", "user"]


def test_gemini_gets_roles_options_and_a_request_for_thoughts() -> None:
    options = Options(temperature=0.5, top_p=0.9, max_tokens=9)
    assert body("gemini", talk(model="gemini-2.5-flash", options=options)) == {
        "contents": [
            {"role": "user", "parts": [{"text": "one"}]},
            {"role": "model", "parts": [{"text": "two"}]},
            {"role": "user", "parts": [{"text": "three"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "maxOutputTokens": 9,
            "thinkingConfig": {"includeThoughts": True},
        },
    }
    assert "generationConfig" not in body("gemini", question(model="gemini-2.0-flash"))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro"),
        ("models/x", "/v1beta/models/x"),
        ("tunedModels/x", "/v1beta/tunedModels/x"),
        ("../../v1/files?x#y", "/v1beta/models/files%3Fx%23y"),
    ],
)
def test_a_model_name_cannot_leave_its_place_in_geminis_path(model: str, path: str) -> None:
    assert PROTOCOLS["gemini"].path(model, True) == f"{path}:streamGenerateContent?alt=sse"
    assert PROTOCOLS["gemini"].path(model, False) == f"{path}:generateContent"


def test_ollama_gets_its_own_options() -> None:
    sent = body("ollama", talk(options=Options(temperature=0.1, max_tokens=50)))
    assert sent["options"] == {"temperature": 0.1, "num_predict": 50}
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("vendor", "part"),
    [
        ("openai", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64}"}}),
        ("anthropic", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}}),
        ("gemini", {"inlineData": {"mimeType": "image/png", "data": B64}}),
    ],
)
def test_images_and_texts_go_with_the_message(vendor: str, part: dict[str, Any]) -> None:
    request = Request("m", [Message("user", "what?", (PNG, NOTES))])
    sent = body(vendor, request)
    message = (sent.get("contents") or sent["messages"])[-1]
    parts = message.get("parts") or message["content"]
    assert parts[0] == part
    assert parts[1]["text"] == "notes.txt:\n\nnaïve"
    assert parts[2]["text"] == "what?"


def test_ollama_takes_images_beside_the_text() -> None:
    message = body("ollama", Request("m", [Message("user", "what?", (PNG, NOTES))]))["messages"][0]
    assert message == {"role": "user", "content": "notes.txt:\n\nnaïve\n\nwhat?", "images": [B64]}


@pytest.mark.parametrize(
    ("vendor", "attachment"),
    [
        ("openai", AUDIO),
        ("groq", PDF),
        ("anthropic", AUDIO),
        ("ollama", PDF),
        ("gemini", Attachment("a", "x/y", b"")),
    ],
)
def test_what_a_protocol_has_no_place_for_is_refused_before_anything_is_sent(
    vendor: str, attachment: Attachment
) -> None:
    with pytest.raises(UsageError, match=attachment.name):
        body(vendor, Request("m", [Message("user", "what?", (attachment,))]))


def test_a_lone_surrogate_in_the_context_does_not_stop_a_request() -> None:
    with serving(stream(REPLIES["openai"][1])) as server:
        list(provider(server.url).stream(question("half \ud800 a pair")))
    assert server.seen[0].body["messages"][0]["content"].startswith("half ")


LISTS: list[tuple[str, object, list[ModelInfo]]] = [
    (
        "openai",
        {"data": [{"id": "gpt-4o", "object": "model", "created": 1715367049}, {"object": "model"}, 7]},
        [ModelInfo("gpt-4o", created=1715367049)],
    ),
    (
        "openai",
        {
            "data": [
                {
                    "id": "openai/gpt-4o",
                    "name": "OpenAI: GPT-4o",
                    "context_length": 128000,
                    "created": 1,
                    "pricing": {"prompt": "0.0000025", "completion": "0.00001"},
                },
                {"id": "openrouter/auto", "context_length": 2000000, "pricing": {"prompt": "-1"}},
            ]
        },
        [
            ModelInfo("openai/gpt-4o", "OpenAI: GPT-4o", 128000, 2.5e-6, 1e-5, 1),
            ModelInfo("openrouter/auto", context_window=2000000),
        ],
    ),
    (
        "openai",
        [{"id": "meta/llama", "display_name": "Llama", "context_length": 8192}],
        [ModelInfo("meta/llama", "Llama", 8192)],
    ),
    (
        "openai",
        {"data": [{"id": "qwen", "max_model_len": 4096}, {"id": "gguf", "meta": {"n_ctx_train": 32768}}]},
        [ModelInfo("qwen", context_window=4096), ModelInfo("gguf", context_window=32768)],
    ),
    (
        "anthropic",
        {
            "data": [
                {"type": "model", "id": "claude-x", "display_name": "Claude X", "created_at": "2025-02-19T00:00:00Z"}
            ],
            "has_more": False,
        },
        [ModelInfo("claude-x", "Claude X", created=1739923200)],
    ),
    (
        "gemini",
        {
            "models": [
                {
                    "name": "models/gemini-2.5-pro",
                    "displayName": "Gemini 2.5 Pro",
                    "inputTokenLimit": 1048576,
                    "supportedGenerationMethods": ["generateContent"],
                },
                {"name": "models/embed", "supportedGenerationMethods": ["embedContent"]},
            ]
        },
        [ModelInfo("gemini-2.5-pro", "Gemini 2.5 Pro", 1048576, chat=True), ModelInfo("embed", chat=False)],
    ),
    ("ollama", {"models": [{"name": "llama3.2:latest", "size": 1}]}, [ModelInfo("llama3.2:latest")]),
]
JUNK: list[object] = [{}, [], None, "x", {"data": 3, "models": {"a": 1}}]


@pytest.mark.parametrize(
    ("dialect", "page", "found"), [*LISTS, *((dialect, page, []) for dialect in PROTOCOLS for page in JUNK)]
)
def test_a_list_of_models_is_read(dialect: str, page: object, found: list[ModelInfo]) -> None:
    with serving(status(200, json.dumps(page))) as server:
        assert provider(server.url, dialect).list_models() == found
    assert server.seen[0].method == "GET"


def test_a_list_of_several_pages_is_read_to_its_end() -> None:
    pages: list[dict[str, object]] = [
        {"models": [{"name": "models/a"}], "nextPageToken": "t/1"},
        {"models": [{"name": "models/b"}]},
    ]
    with serving(*(status(200, page) for page in pages)) as server:
        assert [model.id for model in provider(server.url, "gemini").list_models()] == ["a", "b"]
    assert server.seen[1].path.endswith("pageToken=t%2F1")


def test_a_list_without_end_ends() -> None:
    with serving(status(200, {"data": [{"id": "a"}], "has_more": True, "last_id": "a"})) as server:
        assert len(provider(server.url, "anthropic").list_models()) == 20


@pytest.mark.parametrize(
    ("code", "page", "sentence"),
    [
        (401, {"error": "no"}, r"\$TEST_KEY"),
        (200, "<html>", "list of models"),
        (200, "[" * 100_000, "list of models"),
    ],
)
def test_a_list_that_does_not_come_is_a_failure(code: int, page: object, sentence: str) -> None:
    with serving(status(code, page)) as server, pytest.raises(ProviderError, match=sentence):
        provider(server.url).list_models()


def test_a_list_waits_only_so_long() -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(1)

    with serving(silent) as server, pytest.raises(LLMError, match=r"within 0\.2 s"):
        provider(server.url).list_models(seconds=0.2)
