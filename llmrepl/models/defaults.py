"""The default model of a provider, chosen from its own list and from the price data. Pure: no model is named here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOT_CHAT = re.compile(
    r"""(?ix) (?<![a-z]) (?: embed\w* | embedding\w* | rerank\w* | moderation\w* | guard\w* | safeguard | ocr | tts
    | stt | audio | voice | speech | whisper\w* | transcri\w* | realtime | live | image\w* | imagen\w* | video
    | veo | sora | dall | vision | diffusion | flux | music | lyria | omni-moderation | computer | robotics | search
    | research | codex | code\w* | coder | instruct-(?:0\d+) | davinci | babbage | curie | ada | ft | translate\w*
    | parse\w* | nano-banana | aqa | reward | classif\w* | decisions ) (?![a-z])"""
)
"""Words in the names of models that are not for a general chat."""

UNSTABLE = re.compile(
    r"(?i)(?<![a-z])(preview|beta|alpha|exp|experimental|nightly|rc\d*|free|legacy|latest-exp)(?![a-z])"
)
"""Words in the names of models that are about to change or to end."""

QUICK = re.compile(r"(?i)(?<![a-z])(mini|flash|haiku|small|fast|turbo|instant|lite|versatile|medium|air)(?![a-z])")
TINY = re.compile(r"(?i)(?<![a-z])(nano|micro|tiny|lite|[123]b|8b|7b)(?![a-z])")
"""Words that makers use for their quick and cheap models, and for the smallest, where nothing tells a price."""

CHEAP_USD = (0.2, 6.0)
"""USD per million tokens of a reply: between these a model is cheap and not the smallest."""

CURRENT_SECONDS = 400 * 86_400.0
"""A model is current if it came at most this long before the newest one."""


@dataclass(frozen=True, slots=True)
class ModelCandidate:
    """A model that could be the default: `output` is USD per million tokens of a reply, `created` and `ends` are
    seconds since 1970; None is what nobody tells. `chat` is False for a model that is made for something else.
    """

    id: str
    output: float | None = None
    created: float | None = None
    ends: float | None = None
    deprecated: bool = False
    chat: bool | None = None


def is_chat(candidate: ModelCandidate) -> bool:
    """Whether one can chat with a model: what its list says, else its name."""
    return candidate.chat is not False and not NOT_CHAT.search(candidate.id)


def is_alive(candidate: ModelCandidate, now: float) -> bool:
    """Whether a model can still be asked at `now`, in seconds since 1970."""
    return candidate.ends is None or candidate.ends > now


def choose(candidates: Iterable[ModelCandidate], now: float, preferred: Sequence[str] = ()) -> str | None:
    """The id of a cheap, current model for general chat; None if there is none.

    `preferred` are ids that win if they are in the list, alive and not deprecated.
    """
    chat = [one for one in candidates if is_chat(one) and is_alive(one, now)]
    living = [one for one in chat if not one.deprecated] or chat
    named = {one.id: one for one in living}
    if known := next((name for name in preferred if name in named and not named[name].deprecated), None):
        return known
    stable = [one for one in living if not UNSTABLE.search(one.id)] or living
    current = _current(stable)
    cheap = [one for one in current if one.output is not None and CHEAP_USD[0] <= one.output <= CHEAP_USD[1]]
    if not cheap:
        cheap = [one for one in current if QUICK.search(one.id) and not TINY.search(one.id)] or current
    ranked = sorted(cheap, key=lambda one: (_age_rank(one), bool(QUICK.search(one.id)), -len(one.id), one.id))
    return ranked[-1].id if ranked else None


def _current(candidates: list[ModelCandidate]) -> list[ModelCandidate]:
    dates = [one.created for one in candidates if one.created]
    if not dates:
        return candidates
    newest = max(dates)
    return [one for one in candidates if not one.created or newest - one.created <= CURRENT_SECONDS]


def _age_rank(one: ModelCandidate) -> tuple[float, tuple[float, ...]]:
    """Newer models rank higher: by date, to the month, and by the version in the name."""
    return round((one.created or 0.0) / (30 * 86_400.0)), version(one.id)


def version(name: str) -> tuple[float, ...]:
    """The version in a model's name: `gpt-5.4-mini` is (5, 4), `claude-haiku-5-5` (5, 5); dates do not count."""
    parts = re.findall(r"(?<![\d.])v?(\d{1,2})(?:[.\-](\d{1,2})(?![\d]))?(?![\d]*b\b)", name.rpartition("/")[2])
    if not parts:
        return ()
    major, minor = parts[0]
    return (float(major), float(minor or 0))
