"""Find parameters that a model rejects, and adjust the request. Pure.

Servers reject a parameter with 400 or 422 and name it in `error.param` (OpenAI), in the message (Anthropic:
"`temperature` is deprecated for this model"), or in a list of locations (`detail[].loc` of FastAPI). Only the name is
used, because the message may be in any language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

Path = tuple[str, ...]
"""Location of a parameter in the body: `("temperature",)`, `("options", "num_predict")`."""

OPTIONAL: tuple[Path, ...] = (
    ("temperature",),
    ("top_p",),
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("max_tokens",),
    ("reasoning_effort",),
    ("reasoning", "summary"),
    ("reasoning", "effort"),
    ("reasoning",),
    ("thinking", "budget_tokens"),
    ("thinking", "display"),
    ("thinking",),
    ("output_config", "effort"),
    ("output_config",),
    ("include_reasoning",),
    ("think",),
    ("stream_options",),
    ("include",),
    ("store",),
    ("usage",),
    ("stream",),
    ("generationConfig", "temperature"),
    ("generationConfig", "topP"),
    ("generationConfig", "maxOutputTokens"),
    ("generationConfig", "thinkingConfig", "thinkingLevel"),
    ("generationConfig", "thinkingConfig", "thinkingBudget"),
    ("generationConfig", "thinkingConfig"),
    ("options", "temperature"),
    ("options", "top_p"),
    ("options", "num_predict"),
)
"""Everything in a body that can be omitted."""

REASONING = frozenset(
    """reasoning_effort reasoning reasoning.effort thinking think output_config output_config.effort
    generationConfig.thinkingConfig""".split()
)
"""Adjustments after which a model takes no effort."""

_LIMITS = {"max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "num_predict"}
_OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_PAIR = {"temperature": "top_p", "topP": "temperature"}

Change = tuple[str, str | int | None]
"""An adjustment: a dotted path, and its new name, its maximum value, or None to omit it.

After `path=value`, the adjustment is the value to send instead of that value.
"""

Changes = Mapping[str, str | int | None]


class ParameterMemory(Protocol):
    """Stores what models reject, by the provider's name of the model."""

    def changes(self, model: str) -> Changes:
        """Return the known adjustments for a model."""
        ...

    def remember(self, model: str, change: Change) -> None:
        """Store an adjustment for later requests."""
        ...


class NoMemory:
    """A ParameterMemory that stores nothing."""

    def changes(self, model: str) -> Changes:
        """Return no adjustments."""
        return {}

    def remember(self, model: str, change: Change) -> None:
        """Discard the adjustment."""


def refused(sent: Mapping[str, Any], payload: object) -> Change | None:
    """Find the parameter of the body `sent` that an error's JSON `payload` (or text) refuses; None if there is none.

    A limit on the length of the reply that is too large comes with the largest value that the error names; one that the
    server knows under another name comes with that name. An effort comes with the nearest one that the error names.
    """
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    named = _named(payload)
    if effort := _other_effort(sent, named, text):
        return effort
    there = [path for path in OPTIONAL if _get(sent, path) is not None]
    for path in sorted(there, key=lambda path: _position(path, named, text)):
        if _position(path, named, text) == _NOWHERE:
            return None
        name = path[-1]
        dotted = ".".join(path)
        if name in _LIMITS:
            return dotted, _limit_change(name, sent, path, text)
        if path[0] == "thinking" and _get(sent, ("thinking", "type")) == "enabled" and "adaptive" in text:
            return "thinking.type=enabled", "adaptive"
        other = _PAIR.get(name)
        if other and ".".join((*path[:-1], other)) in {".".join(one) for one in there} and _mentions(other, text):
            return ".".join((*path[:-1], "top_p" if name == "temperature" else name)), None
        return dotted, None
    return None


_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_EFFORT_PATHS: tuple[Path, ...] = (
    ("reasoning_effort",),
    ("reasoning", "effort"),
    ("output_config", "effort"),
    ("generationConfig", "thinkingConfig", "thinkingLevel"),
    ("think",),
)
_ABOUT_EFFORT = re.compile(r"(?i)effort|thinking[_ ]?level|think value")
_EFFORT_WORD = re.compile(rf"(?i)(?<![\w-])({'|'.join(_EFFORTS)})(?![\w-])")


def _other_effort(sent: Mapping[str, Any], named: set[str], text: str) -> Change | None:
    """Return the effort to send instead of a refused one: the nearest that the error names, the lower of two."""
    path = next((path for path in _EFFORT_PATHS if _get(sent, path) in _EFFORTS), None)
    if path is None or not (_ABOUT_EFFORT.search(text) or ".".join(path) in named):
        return None
    value = _get(sent, path)
    offered = {word.lower() for word in _EFFORT_WORD.findall(text)} - {value, "none"}
    if not offered:  # reasoning is not switched off for who asked for more of it
        return None
    place = _EFFORTS.index(value)
    best = min(offered, key=lambda word: (abs(_EFFORTS.index(word) - place), _EFFORTS.index(word)))
    return f"{'.'.join(path)}={value}", best


_NOWHERE = 1 << 30


def _position(path: Path, named: set[str], text: str) -> int:
    """Rank where an error mentions a parameter: first if a field names it, otherwise by position in the text."""
    name, dotted = path[-1], ".".join(path)
    if name in named or dotted in named or any(one.startswith(f"{name}.") for one in named):
        return -1
    found = re.search(_word(name), text) or (_NO_REASONING.search(text) if name in _REASONING else None)
    return found.start() if found else _NOWHERE


_REASONING = ("think", "thinking", "reasoning", "reasoning_effort", "thinkingConfig")
_NO_REASONING = re.compile(
    r"""(?ix) (?:support|allow|enable|accept)\w*\s+(?:\w+\s+){0,2}(?:thinking|reasoning)\b
    | \b(?:thinking|reasoning)\s+(?:\w+\s+)?(?:is|are)\s+not\b | \bbudget\s+-?\d+\s+is\s+invalid"""
)
"""How servers say that a model does not reason, without naming the parameter."""

_ORDINARY = ("stream", "usage", "include", "store", "think", "thinking", "reasoning", "summary", "display")
"""Names that are also ordinary words: in text they count only in quotes or as the subject, `thinking: …`."""


def _word(name: str) -> str:
    """Build a pattern for a name as a separate word, in common spellings: `top_p`, `topP`, `top-p`."""
    if name in _ORDINARY:
        return rf"(?i)['\"`“‘«„「《]\s?{name}\s?['\"`”’»“」》.]|(?<![A-Za-z0-9_]){name}(?:\.\w+)*:"
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).split("_")
    return r"(?i)(?<![A-Za-z0-9_])" + r"[_\- ]?".join(map(re.escape, parts)) + r"(?![A-Za-z0-9_]|[\- ]?(?:tokens|p)\b)"


def _mentions(name: str, text: str) -> bool:
    return re.search(_word(name), text) is not None


def _named(payload: object) -> set[str]:
    """Return the values of `param` and `loc` in an error object of any shape."""
    found: set[str] = set()
    for data in _objects(payload):
        for key in ("param", "parameter", "field"):
            if isinstance(value := data.get(key), str) and value:
                found.add(value)
        if isinstance(loc := data.get("loc"), list):
            found.add(".".join(str(part) for part in loc if part != "body"))
    return found


def _objects(value: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > 6:
        return
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:50]:
            yield from _objects(inner, depth + 1)


def _limit_change(name: str, sent: Mapping[str, Any], path: Path, text: str) -> str | int | None:
    """Decide about a limit on the reply: rename it, lower it to a number in the error, or omit it."""
    other = _OTHER_NAMES.get(name)
    if other and _mentions(other, text):
        return other
    value = _get(sent, path)
    if left := _LEFT.search(text):  # vLLM: (32000 > 8192 - 500)
        return max(1, int(left[1]) - int(left[2]))
    numbers = (int(digits.replace(",", "")) for digits in re.findall(r"(?<![\w.])\d[\d,]{0,12}(?![\w.]\d)", text))
    lower = [number for number in numbers if isinstance(value, int) and 16 <= number < value]
    return max(lower, default=None)


_LEFT = re.compile(r"\d+\s*>\s*(\d{1,9})\s*-\s*(\d{1,9})")


def apply(body: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Apply the known adjustments to a body."""
    changed = json.loads(json.dumps(body)) if any("." in path for path in changes) else dict(body)
    for key, change in changes.items():
        dotted, instead, value = key.partition("=")
        path = tuple(dotted.split("."))
        holder = _get(changed, path[:-1]) if len(path) > 1 else changed
        if not isinstance(holder, dict) or path[-1] not in holder:
            continue
        if instead:
            holder[path[-1]] = change if holder[path[-1]] == value else holder[path[-1]]
        elif change is None:
            del holder[path[-1]]
            if not holder and len(path) > 1:
                del _get(changed, path[:-2])[path[-2]]
        elif isinstance(change, str):
            holder[change] = holder.pop(path[-1])
        elif isinstance(holder[path[-1]], int):
            holder[path[-1]] = min(holder[path[-1]], change)
    return changed


def describe(model: str, dotted: str, change: str | int | None) -> str:
    """Describe an adjustment for the user; empty for parameters the user did not set."""
    dotted, instead, value = dotted.partition("=")
    name = dotted.rpartition(".")[2]
    if instead:
        return "" if name == "type" else f"{model} takes no effort '{value}'. '{change}' was sent instead."
    if isinstance(change, int):
        return f"{model} writes at most {change:,} tokens."
    quiet = name in ("stream_options", "include", "store", "usage", "stream", "include_reasoning", "summary", "display")
    return "" if isinstance(change, str) or quiet else f"{model} takes no {name}. It was left out."


def value_at(body: Mapping[str, Any], dotted: str) -> Any:
    """Return the value at a dotted path (of a Change), or None."""
    return _get(body, tuple(dotted.partition("=")[0].split(".")))


def _get(body: object, path: Path) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body
