"""Parameters that model families probably reject, to avoid a rejected first request. Pure.

Hints only: what a server reports takes precedence, and requests to unknown models include all user settings. Sources:
platform.openai.com/docs/guides/reasoning (no sampling parameters, `max_completion_tokens`),
docs.anthropic.com/en/docs/about-claude/models (no sampling parameters from Claude Opus 4.7 on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPENAI_REASONING = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d))(?!.*chat)")
_OPENAI_TEXT = re.compile(r"(?:.*/)?(?:gpt-[34](?!\d)|chatgpt-)")
_CLAUDE = re.compile(r"(?:.*/|.*\.)?claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_NEW_CLAUDE = re.compile(r"(?:.*/|.*\.)?claude-(?!\d|instant|v\d)")
_WITH_BUDGET = [(3, minor) for minor in range(10)] + [(4, minor) for minor in range(6)]
_NO_SAMPLING: Mapping[str, None] = {"temperature": None, "top_p": None}


def likely_changes(model: str, protocol: str) -> Mapping[str, str | int | None]:
    """Return adjustments for `model`, the provider's name, as used by `parameters.apply`.

    `protocol` is that of the server: OpenAI's models take `max_completion_tokens` wherever they run.
    """
    if protocol in ("openai", "responses") and _OPENAI_REASONING.match(model):
        return {**_NO_SAMPLING, "max_tokens": "max_completion_tokens"}
    return _NO_SAMPLING if claude_version(model) >= (4, 7) else {}


def only_text(model: str) -> bool:
    """Whether it is an old OpenAI model that does not support reasoning."""
    return _OPENAI_TEXT.match(model) is not None


def takes_levels(model: str) -> bool:
    """Whether a Claude model takes a level of effort, as newer ones do, rather than a number of tokens."""
    return _NEW_CLAUDE.match(model) is not None and claude_version(model) not in _WITH_BUDGET


def claude_version(model: str) -> tuple[int, int]:
    """Return the version of a Claude model such as `claude-opus-4-7`; (0, 0) for any other model.

    A vendor prefix is ignored.
    """
    claude = _CLAUDE.match(model)
    return (int(claude["major"]), int(claude["minor"] or 0)) if claude else (0, 0)
