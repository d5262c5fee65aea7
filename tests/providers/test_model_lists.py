"""The model lists of many vendors, each with fields of its own: window, end, purpose, images, efforts, prices."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.providers.http_provider import PROTOCOLS
from llmrepl.providers.protocols.base import ModelInfo
from llmrepl.providers.protocols.model_rows import model_of, moment

END = 1893456000.0  # 2030-01-01
OPENAI: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("openai", {"created": 5, "owned_by": "openai", "shutdown_date": "2030-01-01"}, {"created": 5, "ends": END}),
    ("openai", {"created": 5, "shutdown_date": None}, {"created": 5}),
    (
        "openrouter",
        {
            "name": "M",
            "context_length": 4096,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "top_provider": {"context_length": 4096, "max_completion_tokens": 512},
            "pricing": {"prompt": "0.000001", "completion": "0.000002"},
            "supported_parameters": ["max_tokens", "reasoning"],
            "reasoning": {"mandatory": True, "supported_efforts": ["xhigh", "high", "low"]},
            "expiration_date": "2030-01-01",
        },
        {
            "name": "M",
            "context_window": 4096,
            "input_price": 1e-6,
            "output_price": 2e-6,
            "ends": END,
            "chat": True,
            "max_output": 512,
            "vision": True,
            "efforts": ("low", "high", "max"),
        },
    ),
    (
        "openrouter without reasoning",
        {"architecture": {"modality": "text+image->text"}, "supported_parameters": ["temperature"]},
        {"chat": True, "vision": True, "efforts": ()},
    ),
    (
        "openrouter that makes pictures only",
        {"architecture": {"input_modalities": ["text"], "output_modalities": ["image"]}},
        {"chat": False, "vision": False},
    ),
    (
        "mistral",
        {
            "capabilities": {"completion_chat": True, "vision": False, "reasoning": False},
            "max_context_length": 32768,
            "deprecation": "2030-01-01T00:00:00Z",
            "type": "base",
        },
        {"context_window": 32768, "ends": END, "deprecated": True, "chat": True, "vision": False, "efforts": ()},
    ),
    ("mistral embed", {"capabilities": {"completion_chat": False, "vision": False}}, {"chat": False, "vision": False}),
    (
        "groq",
        {"active": True, "context_window": 131072, "max_completion_tokens": 32768},
        {"context_window": 131072, "max_output": 32768},
    ),
    ("groq", {"active": False}, {"chat": False}),
    (
        "together",
        {"type": "chat", "context_length": 8192, "pricing": {"input": 0.88, "output": 0.88, "hourly": 0}},
        {"context_window": 8192, "input_price": 0.88e-6, "output_price": 0.88e-6, "chat": True},
    ),
    ("together", {"type": "image"}, {"chat": False}),
    (
        "fireworks",
        {"supports_chat": True, "supports_image_input": True, "context_length": 4096, "kind": "HF_BASE_MODEL"},
        {"context_window": 4096, "chat": True, "vision": True},
    ),
    (
        "moonshot",
        {"context_length": 262144, "supports_image_in": True, "supports_reasoning": True},
        {"context_window": 262144, "vision": True},
    ),
    (
        "azure",
        {
            "status": "succeeded",
            "capabilities": {"inference": True, "chat_completion": True, "embeddings": False},
            "lifecycle_status": "deprecating",
            "deprecation": {"fine_tune": 1, "inference": END},
            "created_at": 7,
        },
        {"created": 7, "ends": END, "deprecated": True, "chat": True},
    ),
    (
        "huggingface",
        {
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "providers": [
                {"context_length": 9000, "pricing": {"input": 0.1, "output": 0.2}},
                {"context_length": 8000, "pricing": {"input": 0.3, "output": 0.4}},
            ],
        },
        {"context_window": 8000, "input_price": 1e-7, "output_price": 2e-7, "chat": True, "vision": False},
    ),
    (
        "cohere",
        {"is_deprecated": True, "endpoints": ["embed"], "context_length": 512},
        {"context_window": 512, "deprecated": True, "chat": False},
    ),
    ("deepinfra", {"metadata": {"context_length": 99, "max_tokens": 9}}, {"context_window": 99, "max_output": 9}),
    (
        "github models",
        {"supported_input_modalities": ["text", "image"], "limits": {"max_input_tokens": 7, "max_output_tokens": 3}},
        {"context_window": 7, "max_output": 3, "vision": True},
    ),
    (
        "vercel",
        {
            "type": "language",
            "context_window": 9,
            "max_tokens": 3,
            "tags": ["vision"],
            "pricing": {"input": "0.000003", "output": "0.000015"},
        },
        {
            "context_window": 9,
            "input_price": 3e-6,
            "output_price": 1.5e-5,
            "chat": True,
            "max_output": 3,
            "vision": True,
        },
    ),
    ("lm studio", {"type": "embeddings", "max_context_length": 9, "state": "not-loaded"}, {"chat": False}),
    (
        "lm studio",
        {"type": "vlm", "max_context_length": 9999, "loaded_context_length": 4096},
        {"context_window": 4096, "chat": True, "vision": True},
    ),
    ("llama.cpp", {"meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, {"context_window": 4096}),
    ("deepseek", {"reasoning_efforts": {"support": True, "valid_efforts": ["low", "high", "max"]}}, {}),
    ("another", {"lifecycle": "retired", "retires_at": "2030-01-01T00:00:00Z"}, {"ends": END, "retired": True}),
    ("another", {"deprecated": True, "max_context_length": "128k", "context_window": 0}, {"deprecated": True}),
]


@pytest.mark.parametrize(("vendor", "row", "found"), OPENAI)
def test_a_row_of_a_vendor_says_what_its_documentation_says(
    vendor: str, row: dict[str, Any], found: dict[str, Any]
) -> None:
    info, found = model_of({"id": "m", "object": "model", **row}), dict(found)
    expected = ModelInfo("m", **found)
    prices = {name: found.pop(name) for name in ("input_price", "output_price") if name in found}
    assert {name: getattr(info, name) for name in prices} == pytest.approx(prices), vendor
    assert {name: getattr(info, name) for name in found} == found, vendor
    others = ("ends", "deprecated", "retired", "chat", "vision", "max_output")
    assert [getattr(info, name) for name in others] == [getattr(expected, name) for name in others], vendor


CLAUDE = {
    "data": [
        {
            "type": "model",
            "id": "claude-x",
            "display_name": "Claude X",
            "created_at": "2025-02-19T00:00:00Z",
            "lifecycle": "deprecated",
            "deprecated_at": "2026-02-19T00:00:00Z",
            "retires_at": "2030-01-01T00:00:00Z",
            "max_input_tokens": 200_000,
            "max_tokens": 64_000,
            "capabilities": {
                "image_input": {"supported": True},
                "thinking": {"supported": True},
                "effort": {
                    "supported": True,
                    "low": {"supported": True},
                    "high": {"supported": True},
                    "max": {"supported": False},
                },
            },
        },
        {"id": "claude-w", "lifecycle": "retired", "capabilities": {"thinking": {"supported": False}}},
    ]
}
GEMINI = {
    "models": [
        {
            "name": "models/gemini-x",
            "displayName": "Gemini X",
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": False,
        },
        {"name": "models/embedding-x", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/gemini-x-tts", "supportedGenerationMethods": ["generateContent"]},
        {"name": "models/gemini-x-image", "supportedGenerationMethods": ["generateContent"]},
    ]
}
OLLAMA = {
    "models": [
        {"name": "old:1b", "details": {"family": "llama"}},
        {"name": "new:1b", "capabilities": ["completion", "vision"], "details": {"context_length": 8192}},
        {
            "name": "deep:1b",
            "capabilities": ["completion", "thinking"],
            "thinking": {"values": ["low", "medium", "high"]},
        },
        {"name": "switch:1b", "capabilities": ["completion", "thinking"], "thinking": {"values": [False, True]}},
        {"name": "embed:1b", "capabilities": ["embedding"]},
    ]
}


def test_claude_gemini_and_ollama_say_it_their_own_way() -> None:
    claude, retired = PROTOCOLS["anthropic"].models(CLAUDE)
    assert (claude.context_window, claude.max_output, claude.vision) == (200_000, 64_000, True)
    assert (claude.ends, claude.deprecated, claude.retired) == (END, True, False)
    assert claude.efforts == ("low", "high") and claude.created == 1739923200
    assert retired.retired and retired.efforts == ()

    gemini, embedding, speech, picture = PROTOCOLS["gemini"].models(GEMINI)
    assert (gemini.context_window, gemini.max_output, gemini.efforts) == (1_048_576, 65_536, ())
    assert [one.chat for one in (gemini, embedding, speech, picture)] == [True, False, False, True]

    old, new, deep, switch, embed = PROTOCOLS["ollama"].models(OLLAMA)
    assert (old.chat, old.vision, old.efforts) == (None, None, None)
    assert (new.chat, new.vision, new.efforts, new.context_window) == (True, True, (), 8192)
    assert deep.efforts == ("low", "medium", "high") and embed.chat is False
    assert switch.efforts == ("off", "minimal", "low", "medium", "high", "max"), "any effort switches it on"


JUNK: list[object] = ["soon", "", None, True, -1, 0, [], {}, float("nan"), 1e300, "1e300"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2030-01-01", END),
        ("2030-01-01T01:00:00+01:00", END),
        ("2030-01-01T00:00:00Z", END),
        (END, END),
        (END * 1000, END),
        (str(int(END)), END),
        *((value, None) for value in JUNK),
    ],
)
def test_a_time_is_seconds_milliseconds_or_iso(value: object, seconds: float | None) -> None:
    assert moment(value) == seconds


FIELDS = st.sampled_from(
    """name context_length pricing created created_at shutdown_date deprecation deprecated lifecycle status active type
    capabilities architecture top_provider providers metadata limits meta reasoning supported_parameters endpoints
    modalities input_modalities tags thinking details max_tokens supportedGenerationMethods""".split()
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "text", "2030-01-01", "chat"])
JSON = VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(FIELDS, VALUES, max_size=3)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(FIELDS, JSON, max_size=6), st.sampled_from(sorted(PROTOCOLS)))
def test_a_row_of_anything_is_a_model_without_facts(row: dict[str, Any], protocol: str) -> None:
    row = {**row, "id": "m"}
    if protocol in ("gemini", "ollama"):
        row["name"] = "m"
    (info,) = PROTOCOLS[protocol].models({"data": [row], "models": [row]})
    assert info.id == "m"
    assert info.context_window is None or 0 < info.context_window <= 1_000_000_000
