"""A refused parameter is recognized in any language, and the request is repeated without it."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.providers.base import Notice, Request
from llmrepl.providers.effort import add_effort
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.hints import likely_changes
from llmrepl.providers.refused_parameters import OPTIONAL, apply, refused, value_at
from llmrepl.providers.vendors import VENDORS
from llmrepl.types import Attachment, Message, ProviderData
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, provider, question, serving, sse, status, stream
from tests.providers.recorded import REPLIES

SENT = {
    "model": "m",
    "temperature": 0.3,
    "top_p": 0.9,
    "max_tokens": 16641,
    "stream": True,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "high",
    "thinking": {"type": "enabled"},
}
ERRORS: dict[str, tuple[object, tuple[str, object] | None]] = {
    "deprecated": ({"error": {"message": "`temperature` is deprecated for this model."}}, ("temperature", None)),
    "both": ({"error": {"message": "`temperature` and `top_p` cannot both be specified."}}, ("top_p", None)),
    "another name": (
        {"error": {"message": "'max_tokens' is not supported. Use 'max_completion_tokens'.", "param": "max_tokens"}},
        ("max_tokens", "max_completion_tokens"),
    ),
    "too large": ({"error": {"message": "max_tokens: 16641 > 8192, the maximum allowed"}}, ("max_tokens", 8192)),
    "too large, in words": (
        {"error": {"message": "max_tokens is too large: 16641. This model supports at most 4,096 tokens."}},
        ("max_tokens", 4096),
    ),
    "a location": ({"detail": [{"loc": ["body", "stream_options"], "msg": "extra fields"}]}, ("stream_options", None)),
    "Japanese": ({"error": {"message": "パラメータ top_p はサポートされていません"}}, ("top_p", None)),
    "only a parameter": ({"error": {"param": "reasoning_effort", "message": "nein"}}, ("reasoning_effort", None)),
    "its part": ({"error": {"message": "thinking.type: Input should be 'disabled'"}}, ("thinking", None)),
    "adaptive": (
        {"error": {"message": '"thinking.type.enabled" is not supported. Use "thinking.type.adaptive".'}},
        ("thinking.type=enabled", "adaptive"),
    ),
    "a lower effort": (
        {"error": {"message": "This model does not support effort level 'high'. Supported levels: low, medium."}},
        ("reasoning_effort=high", "medium"),
    ),
    "no effort": (
        {"error": {"message": "reasoning_effort must be one of `none` or `default`"}},
        ("reasoning_effort", None),
    ),
    "in other words": (
        {"error": "registry.ollama.ai/library/m:latest does not support thinking"},
        ("reasoning_effort", None),
    ),
    "what is left": (
        {"message": "'max_tokens' is too large: 16641 (16641 > 8192 - 500)"},
        ("max_tokens", 7692),
    ),
    "a plain text": ("Unrecognized request argument supplied: temperature", ("temperature", None)),
    "an ordinary word": ({"error": {"message": "I was thinking of your usage; the stream is dry."}}, None),
    "a context": ({"error": {"message": "maximum context length is 8192 tokens, you sent 16700"}}, None),
    "nothing": ({"error": {"message": "bad request"}}, None),
}


@pytest.mark.parametrize(("payload", "change"), ERRORS.values(), ids=ERRORS.keys())
def test_the_refused_parameter_is_found(payload: object, change: tuple[str, object] | None) -> None:
    assert refused(SENT, payload) == change


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_error_names_something_that_was_sent_or_nothing(payload: object) -> None:
    change = refused(SENT, payload)
    assert change is None or value_at(SENT, change[0]) is not None
    if change:
        assert value_at(apply(SENT, dict([change])), change[0]) != value_at(SENT, change[0])


def configured(cli: CliRunner, server: Server, text: str = "") -> dict[str, str]:
    config = cli.home / ".config" / "llm"
    config.mkdir(parents=True, exist_ok=True)
    (config / "config.toml").write_text(f'[providers.work]\nbase_url = "{server.url}/v1?api-version=1"\n{text}')
    return {"WORK_API_KEY": KEY}


def test_each_refusal_costs_one_request_and_is_remembered(cli: CliRunner) -> None:
    refusals = [status(400, {"error": {"message": f"{name} ist veraltet"}}) for name in ("temperature", "top_p")]
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))
    with serving(*refusals, reply) as server:
        environ = configured(cli, server) | {"LLM_TEMPERATURE": "0.3", "LLM_TOP_P": "0.9"}
        ran = cli.llm("ask", "-m", "work/m", "hi", **environ)
        assert (ran.code, ran.out) == (0, "ok\n")
        assert "m takes no temperature. It was left out." in ran.err
        assert cli.llm("ask", "-m", "work/m", "again", **environ).out == "ok\n"
    bodies = [one.body for one in server.seen]
    assert [("temperature" in body, "top_p" in body) for body in bodies] == [
        (True, True),
        (False, True),
        (False, False),
        (False, False),
    ]


def test_a_server_that_refuses_every_parameter_in_turn_gets_the_bare_question(cli: CliRunner) -> None:
    """It names the first parameter that it dislikes, in its own language, until only model and messages are left."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sent = server.seen[-1].body
        disliked = [name for name in sent if name not in ("model", "messages")]
        if disliked:
            status(400, {"error": {"message": f"Le paramètre « {disliked[0]} » n'est pas pris en charge."}})(handler)
        else:
            body = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
            status(200, body)(handler)

    with serving(answer) as server:
        environ = configured(cli, server, '[models."work/m"]\neffort = "high"\nmax_tokens = 500\n')
        environ |= {"LLM_TEMPERATURE": "0.3", "LLM_TOP_P": "0.9"}
        ran = cli.llm("ask", "-m", "work/m", "hi", **environ)
        assert (ran.code, ran.out) == (0, "ok\n"), ran.err
        first = len(server.seen)
        again = cli.llm("ask", "-m", "work/m", "again", **environ)
        assert again.code == 0 and len(server.seen) == first + 1, "all of it is remembered"
    assert first == 1 + len(set(server.seen[0].body) - {"model", "messages"})


def test_the_nearest_effort_that_a_model_takes_is_sent(cli: CliRunner) -> None:
    refusal = {"error": {"message": "Unsupported value: 'xhigh'. Supported values are: 'low' and 'medium'."}}
    refusal["error"]["param"] = "reasoning_effort"
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))
    with serving(status(400, refusal), reply) as server:
        environ = configured(cli, server)
        ran = cli.llm("ask", "-m", "work/m", "--effort", "max", "hi", **environ)
        assert "m takes no effort 'xhigh'. 'medium' was sent instead." in ran.err and ran.out == "ok\n"
        cli.llm("ask", "-m", "work/m", "--effort", "max", "hi", **environ)
        cli.llm("ask", "-m", "work/m", "--effort", "low", "hi", **environ)
    assert [one.body["reasoning_effort"] for one in server.seen] == ["xhigh", "medium", "medium", "low"]


def test_what_fits_beside_a_long_prompt_is_not_remembered(cli: CliRunner) -> None:
    refusal = {"message": "'max_tokens' is too large: 500. maximum context length is 600 (500 > 600 - 300)"}
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))
    with serving(status(400, refusal), reply) as server:
        environ = configured(cli, server, '[models."work/m"]\nmax_tokens = 500\n')
        cli.llm("ask", "-m", "work/m", "hi", **environ)
        cli.llm("ask", "-m", "work/m", "hi", **environ)
    assert [one.body["max_tokens"] for one in server.seen] == [500, 300, 500]


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "The encrypted content gAAA could not be verified.",
        "Corrupted thought signature.",
    ],
)
def test_reasoning_of_another_account_is_left_out_with_a_note(message: str) -> None:
    reply = stream(REPLIES["anthropic"][1])
    signed = ProviderData("anthropic", "m", ({"type": "thinking", "thinking": "hm", "signature": "s"},))
    earlier = [Message("user", "hi"), Message("assistant", "ho", provider_data=signed)]
    with serving(status(400, {"error": {"message": message}}), reply) as server:
        events = list(provider(server.url, "anthropic").stream(question(earlier=earlier)))
    assert any(isinstance(event, Notice) and "left out" in event.text for event in events)
    before, after = ([part["type"] for part in one.body["messages"][1]["content"]] for one in server.seen)
    assert (before, after) == (["thinking", "text"], ["text"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (404, "No endpoints found that support image input"),
        (400, "messages[0].content must be a string"),
        (400, "Failed to deserialize: unknown variant `image_url`, expected `text`"),
        (400, "This model does not support image inputs."),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Image inputs are not enabled for this model"),
    ],
)
def test_a_model_that_sees_nothing_goes_on_without_the_earlier_images(code: int, message: str) -> None:
    dot = Attachment("dot.png", "image/png", b"PNG")
    refusal = status(code, {"error": {"message": message}})
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}))
    earlier = [Message("user", "look", (dot,)), Message("assistant", "a dot")]
    with serving(refusal, reply) as server:
        events = list(provider(server.url, "openai").stream(question(earlier=earlier)))
        assert "m takes no images. Earlier ones were left out." in [getattr(event, "text", "") for event in events]
        assert server.seen[1].body["messages"][0]["content"] == "[image dot.png]\nlook"
    with serving(refusal) as server, pytest.raises(ProviderError, match=re.escape(message[:20])):
        asked = Request("m", [Message("user", "look", (dot,))])
        list(provider(server.url, "openai").stream(asked))


@pytest.mark.parametrize(
    "message",
    [
        "System role not supported",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Conversation roles must alternate user/assistant/user/assistant/...",
    ],
)
def test_a_model_without_a_system_role_gets_the_system_prompt_with_the_first_prompt(
    cli: CliRunner, message: str
) -> None:
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}))
    with serving(status(400, {"error": {"message": message}}), reply) as server:
        environ = configured(cli, server)
        lines = ("one", "two")
        ran = cli.script(*lines, words=("chat", "-m", "work/m", "-s", "Be brief."), **environ)
        assert (ran.code, ran.out) == (0, "ok\nok\n") and ran.err.count("takes no system prompt") == 1
    sent = [[(one["role"], one["content"]) for one in seen.body["messages"]] for seen in server.seen]
    first = ("user", "Be brief.\n\none")
    assert sent[1:] == [[first], [first, ("assistant", "ok"), ("user", "two")]]


def test_that_a_model_sees_nothing_is_remembered(cli: CliRunner) -> None:
    refusal = status(400, {"error": {"message": "This model does not support image inputs."}})
    reply = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}))
    (cli.cwd / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with serving(reply, refusal, reply) as server:
        environ = configured(cli, server)
        lines = (":attach dot.png", "look", "and", "go on")
        ran = cli.script(*lines, words=("chat", "-m", "work/m", "--name", "talk"), **environ)
        assert (ran.code, ran.out) == (0, "ok\nok\nok\n"), ran.err
        assert ran.err.count("takes no images") == 1
    assert ["image_url" in json.dumps(one.body) for one in server.seen] == [True, True, False, False]


def test_a_server_that_refuses_everything_ends_in_its_error(cli: CliRunner) -> None:
    with serving(status(400, {"error": {"message": "model, messages: no", "param": "messages"}})) as server:
        ran = cli.llm("ask", "-m", "work/m", "hi", **configured(cli, server))
    assert ran.code == 1 and len(server.seen) == 1


def test_a_provider_is_all_that_the_configuration_says(cli: CliRunner) -> None:
    text = """protocol = "anthropic"
max_tokens_field = "max_completion_tokens"
[providers.work.headers]
X-Team = "research"
[providers.work.query]
tenant = "t 1"
[models."work/m"]
effort = "high"
max_tokens = 20000
extra = { metadata = { user_id = "u" } }
"""
    with serving(status(500)) as server:
        cli.llm("ask", "-m", "work/m", "hi", **configured(cli, server, text), LLM_MAX_RETRIES="0")
    sent = server.seen[0]
    assert sent.path == "/v1/messages?api-version=1&tenant=t+1"
    assert (sent.headers["x-team"], sent.headers["x-api-key"]) == ("research", KEY)
    assert sent.body["max_tokens"] == 20000 and sent.body["metadata"] == {"user_id": "u"}
    assert sent.body["thinking"] == {"type": "enabled", "budget_tokens": 16384}


def test_azure_takes_the_key_in_its_own_header(cli: CliRunner) -> None:
    with serving(status(500)) as server:
        environ = {"AZURE_OPENAI_ENDPOINT": server.url, "AZURE_OPENAI_API_KEY": KEY, "LLM_MAX_RETRIES": "0"}
        cli.llm("ask", "-m", "azure/gpt-5", "hi", **environ)
    sent = server.seen[0]
    assert sent.path == "/openai/v1/chat/completions"
    assert (sent.headers["api-key"], "authorization" in sent.headers) == (KEY, False)


def test_a_provider_that_fails_before_the_first_word_is_replaced(cli: CliRunner) -> None:
    with serving(status(503, {"error": "down"})) as server:
        environ = configured(cli, server) | {"LLM_FALLBACK": "nope/x, offline/echo", "LLM_MAX_RETRIES": "0"}
        ran = cli.llm("ask", "--name", "talk", "-m", "work/m", "hello", **environ)
    assert (ran.code, ran.out) == (0, "hello\n")
    assert "Cannot fall back to nope/x" in ran.err and "Asking offline/echo instead." in ran.err
    assert [turn["answered_by"] for turn in cli.session("talk")["turns"]] == ["offline/echo"]
    assert cli.session("talk")["model"] == "work/m"


@pytest.mark.parametrize(
    ("vendor", "model", "effort", "field", "value"),
    [
        ("groq", "m", "max", "reasoning_effort", "xhigh"),
        ("groq", "m", "off", "reasoning_effort", "none"),
        ("groq", "m", "5000", "reasoning_effort", "medium"),
        ("openrouter", "m", "5000", "reasoning", {"max_tokens": 5000}),
        ("openrouter", "m", "off", "reasoning", {"enabled": False}),
        ("anthropic", "claude-opus-4-1", "low", "thinking", {"type": "enabled", "budget_tokens": 2048}),
        ("anthropic", "claude-sonnet-5", "low", "output_config", {"effort": "low"}),
        ("gemini", "gemini-2.5-flash", "off", "thinkingConfig", {"thinkingBudget": 0, "includeThoughts": False}),
        ("gemini", "gemini-3-pro", "max", "thinkingConfig", {"thinkingLevel": "high", "includeThoughts": True}),
        ("ollama", "gpt-oss:20b", "medium", "think", "medium"),
        ("ollama", "qwen3", "medium", "think", True),
        ("ollama", "qwen3", "off", "think", False),
    ],
)
def test_each_protocol_has_its_own_words_for_effort(
    vendor: str, model: str, effort: str, field: str, value: object
) -> None:
    body: dict[str, Any] = {"max_tokens": 8192}
    add_effort(body, effort, VENDORS[vendor], model)
    assert body.get("generationConfig", body)[field] == value


def test_thinking_stays_below_the_cap_of_the_budget() -> None:
    body: dict[str, Any] = {"max_tokens": 3000, "temperature": 0.3}
    notes = add_effort(body, "high", VENDORS["anthropic"], "claude-opus-4-1")
    assert body["thinking"]["budget_tokens"] == 2999 and "temperature" not in body
    assert notes == ["claude-opus-4-1 takes no temperature while it thinks. It was left out."]
    short: dict[str, Any] = {"max_tokens": 500}
    assert "too short" in add_effort(short, "high", VENDORS["anthropic"], "claude-opus-4-1")[0]
    assert "thinking" not in short


def test_hints_are_for_known_families_only() -> None:
    assert likely_changes("claude-opus-4-20250514", "anthropic") == {}
    assert likely_changes("claude-3-5-sonnet-latest", "anthropic") == {}
    assert "temperature" in likely_changes("anthropic/claude-opus-5.5", "openai")
    assert likely_changes("gpt-5-mini", "openai")["max_tokens"] == "max_completion_tokens"
    assert likely_changes("gpt-4o", "openai") == likely_changes("anything-9", "openai") == {}
    assert all(path for path in OPTIONAL) and json.dumps(SENT)
