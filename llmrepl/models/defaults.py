"""Choose a provider's default model from its list and the price data. Pure; no model is named here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

NOT_CHAT = re.compile(
    r"""(?ix) (?<![a-z]) (?: embed\w* | embedding\w* | rerank\w* | moderation\w* | guard\w* | safeguard | ocr | tts
    | stt | audio | voice | speech | whisper\w* | transcri\w* | realtime | live | image\w* | imagen\w* | video
    | veo | sora | dall | vision | diffusion | flux | music | lyria | omni-moderation | computer | robotics | search
    | research | codex | code\w* | coder | instruct-(?:0\d+) | davinci | babbage | curie | ada | ft | translate\w*
    | parse\w* | nano-banana | aqa | reward | classif\w* | decisions ) (?![a-z])"""
)
"""Words in model names that indicate a purpose other than general chat."""

NO_CHAT = re.compile(
    r"""(?ix) (?<![a-z]) (?: embed\w* | rerank\w* | moderation\w* | guard\w* | safeguard | ocr | tts | stt | speech
    | whisper\w* | transcri\w* | realtime | live | image\w* | imagen\w* | veo | sora | dall | flux | diffusion | lyria
    | bge | parse\w* | reward | davinci | babbage | curie | ada | aqa ) (?![a-z])"""
)
"""Words in the names of models that one cannot chat with at all."""

UNSTABLE = re.compile(
    r"(?i)(?<![a-z])(preview|beta|alpha|exp|experimental|nightly|rc\d*|free|legacy|latest-exp)(?![a-z])"
)
"""Words in model names that indicate a preview or retirement."""

QUICK = re.compile(r"(?i)(?<![a-z])(mini|flash|haiku|small|fast|turbo|instant|lite|versatile|medium|air)(?![a-z])")
TINY = re.compile(r"(?i)(?<![a-z])(nano|micro|tiny|lite|[123]b|8b|7b)(?![a-z])")
"""Words that vendors use for their cheapest and smallest models, for models without a known price."""

CHEAP_USD = (0.2, 6.0)
"""Range of USD per million reply tokens in which a model is cheap but not among the smallest."""

CURRENT_SECONDS = 400 * 86_400.0
"""Maximum age of a current model relative to the newest one."""


SOON_SECONDS = 30 * 86_400.0
"""A model that ends within this time is only chosen if there is no other."""


@dataclass(frozen=True, slots=True)
class ModelCandidate:
    """A possible default model: `output` is USD per million reply tokens, `created` and `ends` seconds since 1970.

    None is unknown. `chat` is False for a model with another purpose, `retired` for one that no longer answers.
    """

    id: str
    output: float | None = None
    created: float | None = None
    ends: float | None = None
    deprecated: bool = False
    chat: bool | None = None
    retired: bool = False


class Listed(Protocol):
    """What lists and price data say about a model; see ModelCandidate and protocols.base.ModelInfo."""

    @property
    def id(self) -> str:
        """The provider's name of the model."""
        ...

    @property
    def chat(self) -> bool | None:
        """Whether it is for chat; None if unknown."""
        ...

    @property
    def ends(self) -> float | None:
        """When it is retired, in seconds since 1970."""
        ...

    @property
    def retired(self) -> bool:
        """Whether it no longer answers."""
        ...


def is_chat(model: Listed) -> bool:
    """Whether a model is for general chat, by its list entry and its name."""
    return model.chat is not False and not NOT_CHAT.search(model.id)


def can_chat(model: Listed) -> bool:
    """Whether one can chat with a model, by its list entry or else its name."""
    return model.chat if model.chat is not None else not NO_CHAT.search(model.id)


def is_alive(model: Listed, now: float) -> bool:
    """Whether a model is still available at `now`, in seconds since 1970."""
    return not model.retired and (model.ends is None or model.ends > now)


def choose(candidates: Iterable[ModelCandidate], now: float, preferred: Sequence[str] = ()) -> str | None:
    """Return the id of a cheap, current chat model, or None.

    `preferred` ids win if they are listed, available and not deprecated.
    """
    chat = [one for one in candidates if is_chat(one) and is_alive(one, now)]
    living = [one for one in chat if not one.deprecated and is_alive(one, now + SOON_SECONDS)] or chat
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
    """Rank newer models higher: by month of creation, then by the version in the name."""
    return round((one.created or 0.0) / (30 * 86_400.0)), version(one.id)


def version(name: str) -> tuple[float, ...]:
    """Extract the version from a model name: `gpt-5.4-mini` is (5, 4), `claude-haiku-5-5` (5, 5); dates are ignored."""
    parts = re.findall(r"(?<![\d.])v?(\d{1,2})(?:[.\-](\d{1,2})(?![\d]))?(?![\d]*b\b)", name.rpartition("/")[2])
    if not parts:
        return ()
    major, minor = parts[0]
    return (float(major), float(minor or 0))
