"""What families of models are likely to refuse, so that the first request need not be refused. Hints, never decisions:
what a server says later replaces them, and an unknown model is asked with all that the user set. Pure.

Sources: platform.openai.com/docs/guides/reasoning (no sampling parameters, `max_completion_tokens`),
docs.anthropic.com/en/docs/about-claude/models (no sampling parameters from Claude Opus 4.7 on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPENAI_REASONING = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d))(?!.*chat)")
_OPENAI_TEXT = re.compile(r"(?:.*/)?(?:gpt-[34](?!\d)|chatgpt-)")
_CLAUDE = re.compile(r"(?:.*/|.*\.)?claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")
_NO_SAMPLING: Mapping[str, None] = {"temperature": None, "top_p": None}


def likely_changes(model: str, protocol: str) -> Mapping[str, str | int | None]:
    """Adjustments to a request for `model`, the provider's own name, in the form of `parameters.apply`.

    `protocol` is that of the server: OpenAI's models are asked with `max_completion_tokens` wherever they run.
    """
    if protocol in ("openai", "responses") and _OPENAI_REASONING.match(model):
        return {**_NO_SAMPLING, "max_tokens": "max_completion_tokens"}
    return _NO_SAMPLING if claude_version(model) >= (4, 7) else {}


def only_text(model: str) -> bool:
    """Whether an OpenAI model is one of the old ones that never reason, and refuse to be asked for reasoning."""
    return _OPENAI_TEXT.match(model) is not None


def claude_version(model: str) -> tuple[int, int]:
    """The version in the name of a Claude model, `claude-opus-4-7` or with a maker in front; (0, 0) for any other."""
    claude = _CLAUDE.match(model)
    return (int(claude["major"]), int(claude["minor"] or 0)) if claude else (0, 0)
