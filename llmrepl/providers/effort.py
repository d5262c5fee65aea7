"""Reasoning effort in the parameters of each protocol. Pure.

Sources: platform.openai.com/docs/guides/reasoning, docs.anthropic.com/en/docs/build-with-claude/extended-thinking and
/adaptive-thinking, ai.google.dev/gemini-api/docs/thinking, github.com/ollama/ollama docs/api.md (`think`),
openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from __future__ import annotations

import re
from typing import Any

from llmrepl.providers.hints import takes_levels
from llmrepl.providers.vendors import Vendor

TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "max": 32768}
"""Maximum reasoning tokens for models that take a number."""

_LEAST_CLAUDE = 1024
_GEMINI_BUDGETS = ("2.5",)
_LEVELED_OLLAMA = re.compile(r"gpt-oss")


def add_effort(body: dict[str, Any], effort: str, vendor: Vendor, model: str) -> list[str]:
    """Add an effort (off, minimal, low, medium, high, max or a number of tokens) to a request body.

    Returns notes for the user, such as settings that reasoning excludes.
    """
    match vendor.dialect:
        case "anthropic":
            return _anthropic(body, effort, model)
        case "gemini":
            config = body.setdefault("generationConfig", {})
            config["thinkingConfig"] = _gemini(effort, model)
        case "ollama":
            body["think"] = effort != "off" and (_level(effort) if _LEVELED_OLLAMA.search(model) else True)
        case "responses":
            body["reasoning"] = {**body.get("reasoning", {}), "effort": _openai(effort)}
        case _ if vendor.own_cost:  # OpenRouter
            body["reasoning"] = _openrouter(effort)
        case _:
            body["reasoning_effort"] = _openai(effort)
    return []


def _openai(effort: str) -> str:
    if effort.isdigit():
        return _level(effort)
    return {"off": "none", "max": "xhigh"}.get(effort, effort)


def _openrouter(effort: str) -> dict[str, Any]:
    if effort == "off":
        return {"enabled": False}
    return {"max_tokens": int(effort)} if effort.isdigit() else {"effort": _openai(effort)}


def _level(effort: str) -> str:
    """Return the closest of low, medium and high."""
    if effort.isdigit():
        return "low" if int(effort) <= TOKENS["low"] else "medium" if int(effort) <= TOKENS["medium"] else "high"
    return {"minimal": "low", "max": "high"}.get(effort, effort)


def _anthropic(body: dict[str, Any], effort: str, model: str) -> list[str]:
    if effort == "off":
        if takes_levels(model):  # these may reason by default
            body["thinking"] = {"type": "disabled"}
        return []
    if not effort.isdigit() and takes_levels(model):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {"effort": "low" if effort == "minimal" else effort}
    else:
        wanted = int(effort) if effort.isdigit() else TOKENS[effort]
        budget = min(max(wanted, _LEAST_CLAUDE), body["max_tokens"] - 1)
        if budget < _LEAST_CLAUDE:
            return [f"A reply of {body['max_tokens']:,} tokens is too short for {model} to think. effort was left out."]
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    left_out = [name for name in ("temperature", "top_p", "top_k") if body.pop(name, None) is not None]
    return [f"{model} takes no {name} while it thinks. It was left out." for name in left_out]


def _gemini(effort: str, model: str) -> dict[str, Any]:
    if effort.isdigit() or any(version in model for version in _GEMINI_BUDGETS):
        budget = int(effort) if effort.isdigit() else {"off": 0, "max": -1}.get(effort, TOKENS.get(effort, -1))
        return {"thinkingBudget": budget, "includeThoughts": budget != 0}
    level = {"off": "minimal", "max": "high"}.get(effort, effort)
    return {"thinkingLevel": level, "includeThoughts": effort != "off"}
