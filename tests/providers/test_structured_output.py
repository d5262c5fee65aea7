"""A schema goes out in the words of each protocol, and in a system prompt where a server takes none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmrepl.providers.base import Notice, Request, TextDelta
from llmrepl.providers.errors import ProviderError
from llmrepl.providers.structured_output import closed, is_refusal, without
from llmrepl.types import Message
from tests.providers.loopback import provider, serving, status, stream
from tests.providers.recorded import REPLIES

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}
CLOSED = {**SCHEMA, "additionalProperties": False}
NO_LIMITS = {**CLOSED, "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}

SENT: dict[str, tuple[tuple[str, ...], Any]] = {
    "openai": (
        ("response_format",),
        {"type": "json_schema", "json_schema": {"name": "reply", "schema": CLOSED, "strict": True}},
    ),
    "responses": (("text", "format"), {"type": "json_schema", "name": "reply", "schema": CLOSED, "strict": True}),
    "anthropic": (("output_config", "format"), {"type": "json_schema", "schema": NO_LIMITS}),
    "gemini": (("generationConfig", "responseJsonSchema"), SCHEMA),
    "ollama": (("format",), SCHEMA),
}


def request() -> Request:
    return Request("m", [Message("user", "who?")], "Be brief.", schema=SCHEMA)


def at(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body.get(name, {}) if isinstance(body, dict) else {}
    return body


@pytest.mark.parametrize("dialect", SENT)
def test_each_protocol_gets_the_schema_in_its_own_parameters(dialect: str) -> None:
    path, expected = SENT[dialect]
    with serving(stream(REPLIES[dialect][1])) as server:
        list(provider(server.url, dialect).stream(request()))
    assert at(server.seen[0].body, path) == expected
    assert "JSON Schema" not in json.dumps(server.seen[0].body)
    if dialect == "gemini":
        assert server.seen[0].body["generationConfig"]["responseMimeType"] == "application/json"


@pytest.mark.parametrize("dialect", SENT)
def test_a_server_that_refuses_the_parameter_is_asked_in_words(dialect: str) -> None:
    path, _ = SENT[dialect]
    refusal = status(400, {"error": {"message": "json_schema is not supported with this model"}})
    with serving(refusal, stream(REPLIES[dialect][1])) as server:
        events = list(provider(server.url, dialect).stream(request()))
    assert any(isinstance(event, Notice) and "asked for in words" in event.text for event in events)
    assert any(isinstance(event, TextDelta) for event in events)
    second = server.seen[1].body
    assert not at(second, path)
    assert "It must fit this JSON Schema" in json.dumps(second) and "Be brief." in json.dumps(second)


def test_another_refusal_is_an_error() -> None:
    with serving(status(400, {"error": {"message": "no such thing"}})) as server, pytest.raises(ProviderError):
        list(provider(server.url).stream(request()))
    assert len(server.seen) == 1


def test_a_schema_with_optional_properties_is_not_strict() -> None:
    schema = {**SCHEMA, "required": ["name"]}
    with serving(stream(REPLIES["openai"][1])) as server:
        list(provider(server.url).stream(Request("m", [Message("user", "who?")], schema=schema)))
    assert server.seen[0].body["response_format"]["json_schema"] == {"name": "reply", "schema": schema, "strict": False}


def test_names_and_values_that_look_like_keywords_stay() -> None:
    schema = {"properties": {"minimum": {"type": "integer", "minimum": 1}}, "enum": [{"minimum": 3}]}
    bare = without(schema, frozenset({"minimum"}))
    assert bare == {"properties": {"minimum": {"type": "integer"}}, "enum": [{"minimum": 3}]}
    nested = closed({"type": "array", "items": {"properties": {"a": {}}}})
    assert nested["items"]["additionalProperties"] is False


def test_what_is_a_refusal() -> None:
    assert is_refusal({"error": {"message": "output_config.format: Extra inputs are not permitted"}})
    assert is_refusal("This response_format type is unavailable now")
    assert not is_refusal({"error": {"message": "`temperature` is deprecated for this model"}})
