"""An API key goes only to its own server, encrypted, whatever that server or the network answers."""

from __future__ import annotations

import pytest

from llmrepl.errors import LLMError
from llmrepl.providers.vendors import VENDORS
from tests.cli_runner import CliRunner
from tests.providers.loopback import hang_up, provider, question, serving, sse, status, stream
from tests.security.attack import KEY, evil_server

DIALECTS = sorted({vendor.dialect for vendor in VENDORS.values()})
ANSWER = stream(
    sse({"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}, "[DONE]"),
    Set_Cookie="who=you; Path=/",
)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(dialect: str, code: int) -> None:
    vendor = next(name for name, vendor in VENDORS.items() if vendor.dialect == dialect)
    with evil_server() as evil, serving(status(code, Location=f"{evil.url}/v1")) as server:
        made = provider(server.url, vendor, key=KEY, most=2)
        with pytest.raises(LLMError) as failed:
            list(made.stream(question()))
        with pytest.raises(LLMError):
            made.list_models()
        assert not evil.visited
    assert len(server.seen) == 2
    assert KEY not in str(failed.value)


def test_cookies_are_not_stored() -> None:
    with serving(ANSWER) as server:
        made = provider(server.url)
        for _ in range(2):
            list(made.stream(question()))
    assert len(server.seen) == 2
    assert all("cookie" not in seen.headers for seen in server.seen)


def test_a_request_says_no_more_than_it_must() -> None:
    with serving(ANSWER) as server:
        list(provider(server.url).stream(question()))
    needed = {"host", "connection", "content-length", "content-type", "authorization"}
    assert server.seen[0].headers.keys() - needed <= {"accept", "accept-encoding", "user-agent"}
    assert server.seen[0].headers["user-agent"] == "llmrepl"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_stands_in_a_header_and_in_no_address(dialect: str) -> None:
    vendor = next(name for name, vendor in VENDORS.items() if vendor.dialect == dialect)
    with serving(hang_up) as server:
        made = provider(server.url, vendor, key=KEY)
        for work in (lambda: list(made.stream(question())), made.list_models):
            with pytest.raises(LLMError):
                work()
    assert len(server.seen) == 2
    for seen in server.seen:
        assert KEY not in seen.path and KEY not in str(seen.body)
        assert any(KEY in value for value in seen.headers.values())


@pytest.mark.parametrize("allowed", ["", "project", ".env", "user"])
def test_only_the_user_can_allow_an_unencrypted_key(cli: CliRunner, allowed: str) -> None:
    """0.0.0.0 does not look like a loopback address but leads to this machine."""
    for name, text in (("project", "allow_http = true"), (".env", "LLM_ALLOW_HTTP=1")):
        if allowed == name:
            file = cli.cwd / (".llm.toml" if name == "project" else name)
            file.write_text(text)
            file.chmod(0o600)
    with serving(status(401)) as server:
        environ = {"LLM_ALLOW_HTTP": "1"} if allowed == "user" else {}
        url = server.url.replace("127.0.0.1", "0.0.0.0")
        ran = cli.llm("ask", "-m", "openai/x", "hello", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url, **environ)
    assert bool(server.seen) == (allowed == "user")
    assert ran.code == (1 if allowed == "user" else 2)
    assert allowed == "user" or "is not encrypted" in ran.err
