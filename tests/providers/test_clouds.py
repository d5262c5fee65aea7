"""Azure OpenAI, Bedrock and Vertex AI, set up as documented, at servers that check path, query and headers."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli_runner import CliRunner, Ran
from tests.providers.loopback import KEY, Answer, Server, serving, sse, status, stream

REPLY = stream(sse({"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"))


def cloud(path: str, query: dict[str, list[str]], header: tuple[str, str], found: list[Server]) -> Answer:
    """A server that only answers what its cloud would."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen = found[0].seen[-1]
        url = urlsplit(seen.path)
        keys = {name: seen.headers[name] for name in ("authorization", "api-key") if name in seen.headers}
        if keys != dict([header]):
            status(401, {"error": {"message": f"keys: {sorted(keys)}"}})(handler)
        elif (url.path, parse_qs(url.query)) != (path, query):
            status(404, {"error": {"message": f"no path {seen.path}"}})(handler)
        else:
            REPLY(handler)

    return answer


def ask(cli: CliRunner, config: str, model: str, environ: dict[str, str]) -> Ran:
    directory = cli.home / ".config" / "llm"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.toml").write_text(config)
    return cli.llm("ask", "-m", model, "hi", **environ, LLM_MAX_RETRIES="0")


BEARER = ("authorization", f"Bearer {KEY}")
CLOUDS: dict[str, tuple[str, dict[str, list[str]], tuple[str, str], str, str, dict[str, str]]] = {
    "azure, v1": (
        "/openai/v1/chat/completions",
        {},
        ("api-key", KEY),
        "",
        "azure/my-deployment",
        {"AZURE_OPENAI_ENDPOINT": "{url}/", "AZURE_OPENAI_API_KEY": KEY},
    ),
    "azure, a deployment": (
        "/openai/deployments/my-deployment/chat/completions",
        {"api-version": ["2024-10-21"]},
        ("api-key", KEY),
        '[providers.azure]\nbase_url = "{url}/openai/deployments/my-deployment?api-version=2024-10-21"\n',
        "azure/my-deployment",
        {"AZURE_OPENAI_API_KEY": KEY},
    ),
    "azure, a version in the query": (
        "/openai/v1/chat/completions",
        {"api-version": ["preview"]},
        ("api-key", KEY),
        '[providers.azure]\nbase_url = "{url}/openai/v1"\nquery = { "api-version" = "preview" }\n',
        "azure/my-deployment",
        {"AZURE_OPENAI_API_KEY": KEY},
    ),
    "bedrock": (
        "/openai/v1/chat/completions",
        {},
        BEARER,
        '[providers.bedrock]\nbase_url = "{url}/openai/v1"\n',
        "bedrock/openai.gpt-oss-120b-1:0",
        {"AWS_BEARER_TOKEN_BEDROCK": KEY},
    ),
    "vertex": (
        "/v1/projects/p/locations/global/endpoints/openapi/chat/completions",
        {},
        BEARER,
        '[providers.vertex]\nbase_url = "{url}/v1/projects/p/locations/global/endpoints/openapi"\n'
        f'api_key_cmd = "echo {KEY}"\n',
        "vertex/google/gemini-2.5-flash",
        {},
    ),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_is_asked_as_its_documentation_says(cli: CliRunner, name: str) -> None:
    path, query, header, config, model, environ = CLOUDS[name]
    found: list[Server] = []
    with serving(cloud(path, query, header, found)) as server:
        found.append(server)
        filled = {variable: value.replace("{url}", server.url) for variable, value in environ.items()}
        ran = ask(cli, config.replace("{url}", server.url), model, filled)
    assert (ran.code, ran.out) == (0, "ok\n"), ran.err
    sent: dict[str, Any] = server.seen[-1].body
    assert sent["model"] == model.partition("/")[2]


def test_azure_speaks_responses_at_its_v1_path(cli: CliRunner) -> None:
    done = {"status": "completed", "output": [], "usage": {"input_tokens": 1, "output_tokens": 1}}
    reply = sse({"type": "response.output_text.delta", "delta": "ok"}, {"type": "response.completed", "response": done})
    with serving(stream(reply)) as server:
        config = f'[providers.azure]\nbase_url = "{server.url}/openai/v1"\nprotocol = "responses"\n'
        ran = ask(cli, config, "azure/my-deployment", {"AZURE_OPENAI_API_KEY": KEY})
    assert (ran.out, server.seen[0].path) == ("ok\n", "/openai/v1/responses")
    assert server.seen[0].body["store"] is False


@pytest.mark.parametrize(
    ("model", "key", "missing"),
    [
        ("azure/m", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"),
        ("bedrock/m", "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION"),
        ("vertex/m", "VERTEX_API_KEY", "GOOGLE_CLOUD_PROJECT"),
        ("cloudflare/m", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"),
    ],
)
def test_what_is_missing_from_an_address_is_named(cli: CliRunner, model: str, key: str, missing: str) -> None:
    ran = cli.llm("ask", "-m", model, "hi", **{key: KEY})
    assert ran.code == 2 and missing in ran.err


def test_a_provider_can_be_set_up_by_commands(cli: CliRunner) -> None:
    with serving(REPLY) as server:
        for setting, value in (
            ("base_url", f"{server.url}/api"),
            ("api_key_env", "MY_TOKEN"),
            ("max_tokens_field", "max_new_tokens"),
            ("prices", "openai"),
        ):
            ran = cli.llm("config", "set", f"providers.mine.{setting}", value)
            assert ran.code == 0, ran.err
        ran = cli.llm("ask", "-m", "mine/gpt-4o-mini", "hi", MY_TOKEN=KEY, LLM_MAX_TOKENS="77")
        assert (ran.code, ran.out) == (0, "ok\n"), ran.err
        info = cli.llm("models", "info", "mine/gpt-4o-mini", MY_TOKEN=KEY)
    sent = next(seen for seen in server.seen if seen.method == "POST")
    assert sent.path == "/api/chat/completions" and sent.body["max_new_tokens"] == 77
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "$0.15 per million tokens" in info.out, info.err
    tab = cli.llm("--complete", "models", "mine/gpt-4o")
    assert "mine/gpt-4o-mini" in tab.out, "its models are those of the prices"
