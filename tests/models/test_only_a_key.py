"""With the key of one provider and nothing else, the first prompt gets an answer from a strict server of today."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from llmrepl.providers.vendors import VENDORS, Vendor
from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Answer, Server, ndjson, serving, sse, status, stream

NOW = datetime(2026, 11, 25)
RECENT = int(datetime(2026, 9, 1).timestamp())
SECRET_NAMES = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
KEYED = [name for name, vendor in VENDORS.items() if vendor.key_env]

Check = Callable[[dict[str, Any], str], str]


def model_list(vendor: Vendor) -> dict[str, Any]:
    """The provider's list: a retired model, one that ends tomorrow, one to embed with, and two to chat with."""
    if vendor.dialect == "gemini":
        chat = {"supportedGenerationMethods": ["generateContent"], "inputTokenLimit": 1000}
        return {
            "models": [
                {"name": "models/gemini-2.5-flash", **chat, "shutdown_date": "2026-10-01"},
                {"name": "models/gemini-8-flash", **chat, "thinking": True},
                {"name": "models/gemini-embedding-8", "supportedGenerationMethods": ["embedContent"]},
            ]
        }
    if vendor.dialect == "anthropic":
        claude: list[dict[str, object]] = [
            {"id": "claude-haiku-4-5", "lifecycle": "retired", "created_at": "2025-10-01T00:00:00Z"},
            {
                "id": "claude-haiku-8",
                "lifecycle": "active",
                "created_at": "2026-09-01T00:00:00Z",
                "max_tokens": 128_000,
            },
        ]
        return {"data": [{"type": "model", "display_name": row["id"], **row} for row in claude], "has_more": False}
    maker = {"openrouter": "openai/", "bedrock": "openai."}.get(vendor.name, "")
    rows: list[dict[str, object]] = [
        {"id": f"{maker}gpt-4o-mini", "created": 1721172741, "shutdown_date": "2026-10-23"},
        {"id": f"{maker}gpt-8-mini", "created": RECENT - 86_400, "shutdown_date": "2026-11-26"},
        {"id": f"{maker}gpt-8.1-mini", "created": RECENT},
        {"id": f"{maker}text-embedding-8", "created": RECENT},
        {"id": f"{maker}gpt-8-image", "created": RECENT},
    ]
    return {"object": "list", "data": rows}


ALIVE = ("gemini-8-flash", "claude-haiku-8", "gpt-8.1-mini", "openai/gpt-8.1-mini", "openai.gpt-8.1-mini")


def refusal(sent: dict[str, Any], model: str) -> str:
    """Why a model of today refuses a request; empty if it does not."""
    if model not in ALIVE:
        return f"The model '{model}' has been retired."
    forbidden: list[str] = [
        name for name in ("temperature", "top_p", "max_tokens") if name in sent and "claude" not in model
    ]
    forbidden += [name for name in ("temperature", "top_p") if name in sent and "claude" in model]
    forbidden += [f"generationConfig.{name}" for name in ("topK",) if name in sent.get("generationConfig", {})]
    if sent.get("thinking", {}).get("type") == "enabled":
        forbidden.append("thinking.budget_tokens")
    return f"Unsupported parameter: '{forbidden[0]}' is not supported with this model." if forbidden else ""


def replies(dialect: str) -> Answer:
    """A reply in a protocol."""
    chat = [{"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"]
    done = {"status": "completed", "output": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
    return {
        "openai": stream(sse(*chat)),
        "responses": stream(
            sse({"type": "response.output_text.delta", "delta": "ok"}, {"type": "response.completed", "response": done})
        ),
        "anthropic": stream(
            sse(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
                {"type": "message_stop"},
            )
        ),
        "gemini": stream(sse({"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]})),
        "ollama": stream(ndjson({"message": {"content": "ok"}, "done": True})),
    }[dialect]


def strict(vendor: Vendor, server: Callable[[], Server]) -> Answer:
    """A server of this vendor that checks path, key, model and parameters."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen = server().seen[-1]
        path = urlsplit(seen.path).path
        wanted = vendor.key_header or {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(
            vendor.dialect, "authorization"
        )
        keys = {name: seen.headers[name] for name in SECRET_NAMES if name in seen.headers}
        if keys != {wanted: f"Bearer {KEY}" if wanted == "authorization" else KEY}:
            status(401, {"error": {"message": f"wrong keys: {sorted(keys)}"}})(handler)
        elif seen.method == "GET":
            (status(200, model_list(vendor)) if path.endswith("/models") else status(404))(handler)
        else:
            model = seen.body.get("model") or path.rpartition("/")[2].partition(":")[0]
            reason = refusal(seen.body, model)
            (
                status(404 if "retired" in reason else 400, {"error": {"message": reason}})
                if reason
                else replies(vendor.dialect)
            )(handler)

    return answer


@pytest.fixture
def alone(cli: CliRunner) -> Callable[[str, Server], dict[str, str]]:
    """The environment of somebody with the key of one provider, at a server of ours."""

    def environ(name: str, server: Server) -> dict[str, str]:
        cli.now = lambda: NOW
        config = cli.home / ".config" / "llm"
        config.mkdir(parents=True, exist_ok=True)
        (config / "config.toml").write_text(f'[providers.{name}]\nbase_url = "{server.url}/v1"\n')
        return {VENDORS[name].key_env[0]: KEY}

    return environ


@pytest.mark.parametrize(
    "settings",
    [{}, {"LLM_TEMPERATURE": "0.2", "LLM_TOP_P": "0.9", "LLM_MAX_TOKENS": "500"}],
    ids=["plain", "with settings"],
)
@pytest.mark.parametrize("name", KEYED)
def test_the_first_prompt_gets_an_answer(
    cli: CliRunner, alone: Callable[[str, Server], dict[str, str]], name: str, settings: dict[str, str]
) -> None:
    found: list[Server] = []
    with serving(strict(VENDORS[name], lambda: found[0])) as server:
        found.append(server)
        ran = cli.llm("chat", typed="hi\n", **alone(name, server), **settings)
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
    [file] = cli.runs.glob("*.json")
    assert json.loads(file.read_text())["model"].removeprefix(f"{name}/") in ALIVE
    asked = [seen for seen in server.seen if seen.method == "POST"]
    assert len(asked) <= 1 + len(settings)
    if name == "anthropic" and not settings:
        assert asked[-1].body["max_tokens"] == 128_000, "the list says how long a reply may be"


@pytest.mark.parametrize("effort", ["low", "max", "4000", "off"])
@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "openrouter", "groq", "azure"])
def test_an_effort_does_not_cost_the_answer(
    cli: CliRunner, alone: Callable[[str, Server], dict[str, str]], name: str, effort: str
) -> None:
    found: list[Server] = []
    with serving(strict(VENDORS[name], lambda: found[0])) as server:
        found.append(server)
        ran = cli.llm("ask", "--effort", effort, "hi", **alone(name, server))
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
