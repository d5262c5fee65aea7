"""Secrets are detected by their format and masked everywhere; ordinary text is not."""

from __future__ import annotations

import hashlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrepl.sessions.secrets import MASK, StreamMasker, find, mask
from tests.cli_runner import CliRunner

SECRETS = {
    "OpenAI key": "sk-proj-abcdefghij0123456789ABCDEF",
    "Anthropic key": "sk-ant-api03-abcdefghij0123456789",
    "OpenRouter key": "sk-or-v1-0123456789abcdef0123456789",
    "Google key": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "GitHub token": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "AWS key": "AKIAIOSFODNN7EXAMPLE",
    "Slack token": "xoxb-123456789012-abcdefABCDEF",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_is_found_and_masked(kind: str) -> None:
    text = f"use {SECRETS[kind]} please"
    (secret,) = find(text)
    assert secret.kind == kind
    assert SECRETS[kind] not in secret.shown
    assert mask(text) == (f"use {MASK} please", 1)


def test_only_the_secret_part_of_a_line_is_masked() -> None:
    assert mask("postgres://me:hunter22@db/x")[0] == f"postgres://me:{MASK}@db/x"
    assert mask('api_key = "aB3dE5fG7hI9jK1lM3n"')[0] == f'api_key = "{MASK}"'
    assert mask("Authorization: Bearer abcdefghij0123456789xyz")[0] == f"Authorization: Bearer {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "The token of appreciation was a password manager; the secret: patience.",
        f"commit {hashlib.sha1(b'x').hexdigest()}",
        str(uuid.uuid5(uuid.NAMESPACE_DNS, "x")),
        "/usr/local/lib/python3.11/site-packages/secrets.py",
        "token = tokenizer.next_token()",
        "password: ****************",
        "see https://example.org/a:b@c",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert find(text) == []


@given(st.lists(st.sampled_from([*SECRETS.values(), " and ", "x", '"', "\n", "="]), max_size=8))
def test_masking_twice_is_the_same_as_once(parts: list[str]) -> None:
    once, _ = mask("".join(parts))
    assert mask(once)[0] == once


@given(st.lists(st.sampled_from([*SECRETS.values(), "word", "-----BEGIN", "Bearer", ":"]), max_size=20), st.data())
def test_no_secret_gets_through_in_pieces(words: list[str], data: st.DataObject) -> None:
    text = " ".join([*words, "and", "then", "it", "ends."])
    masking, passed = StreamMasker(), ""
    while text:
        size = data.draw(st.integers(1, 40))
        passed, text = passed + masking.feed(text[:size]), text[size:]
    assert not any(secret in passed for secret in SECRETS.values())
    assert passed.count("word") <= words.count("word")


def test_a_text_without_secrets_is_passed_on_word_by_word() -> None:
    masking = StreamMasker()
    assert masking.feed("one two three four ") == "one"
    assert masking.feed("five six") == " two three"


def test_masking_on_write(cli: CliRunner) -> None:
    key = SECRETS["GitHub token"]
    ran = cli.script(f"my token is {key}", ":save kept", LLM_MASK_SECRETS="on")
    assert key not in ran.out and "masked" in ran.err
    assert cli.said("kept") == [(f"my token is {MASK}", f"my token is {MASK}")]
    assert not [path for path in cli.cwd.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    cli.script(f"my token is {key}", ":save other")
    assert key in cli.said("other")[0][0], "only by choice"
