"""Ask for a reply that fits a JSON Schema, in the parameters of each protocol or in words. Pure.

Sources: platform.openai.com/docs/guides/structured-outputs (`text.format`, `response_format`),
platform.claude.com/docs/en/build-with-claude/structured-outputs (`output_config.format`),
ai.google.dev/gemini-api/docs/structured-output (`responseJsonSchema`), docs.ollama.com/capabilities/structured-outputs
(`format`), openrouter.ai/docs/features/structured-outputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_NAME = "reply"

_UNKNOWN_TO_CLAUDE = frozenset(
    """minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems uniqueItems
    minProperties maxProperties""".split()
)
"""Limits that Anthropic refuses; the reply is checked against them all the same."""

_NOT_STRICT = frozenset(
    "allOf oneOf not if then else dependentRequired dependentSchemas patternProperties prefixItems".split()
)
"""Keywords with which OpenAI's strict mode refuses a schema."""

_NAMED_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_VALUES = ("enum", "const", "default", "examples")

_REFUSAL = re.compile(
    r"(?i)response[_ ]?(?:format|mime|schema)|json[_ ]?schema|structured[_ ]?output|output_(?:config|format)"
    r"|text\.format|invalid format|['\"`]format['\"`]|additionalProperties|\bschema\b"
)
"""How the servers name what they do not take."""


def add_schema(body: dict[str, Any], schema: Schema, dialect: str) -> None:
    """Add a schema to a request body in the parameters of a protocol."""
    match dialect:
        case "anthropic":
            shape = {"type": "json_schema", "schema": closed(without(schema, _UNKNOWN_TO_CLAUDE))}
            body["output_config"] = {**body.get("output_config", {}), "format": shape}
        case "gemini":
            config = body.setdefault("generationConfig", {})
            config |= {"responseMimeType": "application/json", "responseJsonSchema": dict(schema)}
        case "ollama":
            body["format"] = dict(schema)
        case "responses":
            body["text"] = {**body.get("text", {}), "format": {"type": "json_schema", **_named(schema)}}
        case _:
            body["response_format"] = {"type": "json_schema", "json_schema": _named(schema)}


def is_refusal(payload: object) -> bool:
    """Whether an error is about the schema or about structured output at all."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return _REFUSAL.search(text) is not None


def in_words(system: str | None, schema: Schema) -> str:
    """Return a system prompt that asks for the schema, after the user's own."""
    words = (
        "Reply with JSON only: no code fence, and nothing before or after it. It must fit this JSON Schema:\n"
        f"{json.dumps(schema, ensure_ascii=False)}"
    )
    return f"{system}\n\n{words}" if system else words


def _named(schema: Schema) -> dict[str, Any]:
    """Return OpenAI's parameters: strict if the schema is in its subset, which then guarantees a reply that fits."""
    shape = closed(schema)
    strict = _is_strict(shape)
    return {"name": _NAME, "schema": shape if strict else dict(schema), "strict": strict}


def closed(schema: Schema) -> dict[str, Any]:
    """Return the schema without other properties than those it names; what fits it fits the original."""

    def close(part: dict[str, Any]) -> dict[str, Any]:
        open_ended = "additionalProperties" in part or "patternProperties" in part
        return part if open_ended or "properties" not in part else {**part, "additionalProperties": False}

    return _mapped(schema, close)


def without(schema: Schema, keywords: frozenset[str]) -> dict[str, Any]:
    """Return the schema without some keywords, at any depth."""
    return _mapped(schema, lambda part: {key: value for key, value in part.items() if key not in keywords})


def _mapped(schema: Schema, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Apply a change to a schema and to all schemas in it, but not to names and values that only look like one."""
    mapped: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
            mapped[key] = {name: _inner(part, change) for name, part in value.items()}
        elif key in _VALUES:
            mapped[key] = value
        elif isinstance(value, list):
            mapped[key] = [_inner(part, change) for part in value]
        else:
            mapped[key] = _inner(value, change)
    return change(mapped)


def _inner(part: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    return _mapped(part, change) if isinstance(part, Mapping) else part


def _is_strict(schema: Schema) -> bool:
    """Whether every object is closed and requires all its properties, and the root is an object."""
    fits = [schema.get("type") == "object"]

    def look(part: dict[str, Any]) -> dict[str, Any]:
        fits.append(not _NOT_STRICT & part.keys())
        if part.get("type") == "object" or "properties" in part:
            required, properties = part.get("required", []), part.get("properties", {})
            fits.append(part.get("additionalProperties") is False and set(required) == set(properties))
        return part

    _mapped(schema, look)
    return all(fits)
