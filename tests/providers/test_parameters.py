"""A refused parameter is recognized in any language, and the request is repeated without it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.providers.effort import add_effort
from llmrepl.providers.hints import likely_changes
from llmrepl.providers.parameters import OPTIONAL, apply, refused, value_at
from llmrepl.providers.vendors import VENDORS
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, serving, sse, status, stream

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
    "its part": ({"error": {"message": "thinking.type: Input should be 'adaptive'"}}, ("thinking", None)),
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
