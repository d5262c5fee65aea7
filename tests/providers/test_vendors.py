"""The table of vendors, and where their keys may go."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from llmrepl.errors import UsageError
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.http_provider import PROTOCOLS, create_http_provider
from llmrepl.providers.transport.http import Network
from llmrepl.providers.transport.proxy import proxy_for
from llmrepl.providers.urls import check_url, is_loopback
from llmrepl.providers.vendors import VENDORS, base_url_of, configured_vendor, ollama_url
from tests.providers.loopback import question, retries


@pytest.mark.parametrize("name", VENDORS)
def test_every_row_can_be_used(name: str) -> None:
    row = VENDORS[name]
    assert row.name == name
    assert row.dialect in PROTOCOLS
    url = re.sub(r"\{AZURE\w+\}", "https://a.openai.azure.com", row.base_url)
    url = re.sub(r"\{\w+\}", "a", url)
    assert check_url(url, allow_http=False) == url
    assert row.keys_page.startswith("https://")
    assert row.needs_key == bool(row.key_env) == url.startswith("https:")


def test_the_base_url_may_come_from_the_variable_that_the_sdk_uses() -> None:
    assert base_url_of(VENDORS["openai"], {}) == ("https://api.openai.com/v1", "")
    environ = {"OPENAI_API_BASE": "https://b/v1", "OPENAI_BASE_URL": " https://a/v1 "}
    assert base_url_of(VENDORS["openai"], environ) == ("https://a/v1", "OPENAI_BASE_URL")
    assert base_url_of(VENDORS["ollama"], {"OLLAMA_HOST": "box"}) == ("http://box:11434", "OLLAMA_HOST")
    assert base_url_of(VENDORS["groq"], environ)[1] == ""


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8000", "http://127.0.0.1:8000"),
        ("box", "http://box:11434"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box/ollama/", "https://box:443/ollama"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://box:9", "http://box:9"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host: str, url: str) -> None:
    assert ollama_url(host) == url


def test_any_compatible_server_can_be_a_vendor() -> None:
    row = configured_vendor("work", None, {"base_url": "https://llm.work.example/v1", "api_key_env": "WORK_KEY"})
    assert row is not None
    assert (row.dialect, row.key_env, row.needs_key) == ("openai", ("WORK_KEY",), True)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://host/v1/", "https://host/v1"),
        ("http://localhost:1234/v1", "http://localhost:1234/v1"),
        ("http://[::1]:8/v1", "http://[::1]:8/v1"),
        ("http://127.3.2.1", "http://127.3.2.1"),
    ],
)
def test_a_valid_url_is_accepted(url: str, clean: str) -> None:
    assert check_url(url, allow_http=False) == clean


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/v1",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://0.0.0.0",
        "ftp://host",
        "host/v1",
        "",
        "https://",
        "https://user:pw@host/v1",
        "https://user@host",
        "https://host/v1?x=1",
        "https://host/v1#x",
        "https://ho st/",
        "https://host\n/",
        "https://host:99999/",
        "https://[::1",
        "file:///etc/passwd",
    ],
)
def test_an_unsafe_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url, allow_http=False)
    assert "pw" not in str(caught.value)
    assert caught.value.hint


def test_plain_http_is_taken_where_the_user_allows_it() -> None:
    assert check_url("http://192.0.2.1/v1", allow_http=True) == "http://192.0.2.1/v1"


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost.evil", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("127.0.0.1.evil", False),
    ],
)
def test_loopback_addresses_are_recognized(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p:3128"}, "https://a.example/v1", "http://p:3128"),
        ({"https_proxy": "p:3128"}, "https://a.example/v1", "http://p:3128"),
        ({"HTTP_PROXY": "http://p"}, "https://a.example/v1", None),
        ({"ALL_PROXY": "http://p"}, "https://a.example/v1", "http://p"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "b.example,.example"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p", "no_proxy": "*"}, "https://a.example/v1", None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "other"}, "https://a.example/v1", "http://p"),
        ({"HTTPS_PROXY": ""}, "https://a.example/v1", None),
        ({"HTTP_PROXY": "http://p"}, "http://127.0.0.1:11434", None),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(environ: dict[str, str], url: str, proxy: str | None) -> None:
    found = proxy_for(url, environ)
    assert (found.url if found else None) == proxy


def test_a_proxy_of_another_kind_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="socks5"):
        proxy_for("https://a.example", {"ALL_PROXY": "socks5://user:pw@p"})


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy:port",
        "http://user:s3cret#x@127.0.0.1:1",
        "http://[::1:1",
        "http://",
        "http://a b",
        "http://p:99999",
    ],
)
def test_a_misspelt_proxy_is_named_by_its_variable_without_its_password(proxy: str) -> None:
    with pytest.raises(UsageError, match="HTTPS_PROXY is not the URL of a proxy") as caught:
        proxy_for("https://a.example", {"HTTPS_PROXY": proxy})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("module", ["vendors", "base", "tokens"])
def test_the_table_costs_no_library(module: str) -> None:
    code = f"import sys, llmrepl.providers.{module}; sys.exit('httpx' in sys.modules or 'json' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_dead_proxy_is_named_and_not_the_vendor(variable: str) -> None:
    network = Network(environ={variable: "http://user:s3cret@127.0.0.1:1"})
    asked = create_http_provider(VENDORS["groq"], "https://api.groq.example/v1", "key", "$KEY", network, retries(0)[0])
    with pytest.raises(ProviderError) as caught:
        list(asked.stream(question()))
    assert "127.0.0.1:1" in caught.value.message
    assert variable in caught.value.hint
    assert "groq" not in str(caught.value) and "s3cret" not in str(caught.value)
