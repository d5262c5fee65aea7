"""A second opinion on which intent a question is about: TF-IDF over all wordings of an intent together."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise

from llmrepl.providers.offline.vocabulary import STOP_WORDS, Term, split_words, stem

_STOP, _PAIR, _GRAM = 0.3, 0.5, 0.25
"""What an everyday word, a pair of neighbors and four letters of a word count beside a word or a concept."""

_LENGTH = 0.6
"""Exponent of the normalization: 1 is the cosine, less prefers intents with many wordings."""


class TopicIndex:
    """Ranks intents by the words, concepts, word pairs and letter sequences that their wordings share with a text.

    Call `add` for each intent with its wordings and their terms, then `finish`.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._rarity: dict[str, float] = {}
        self._places: dict[str, list[tuple[int, float]]] = {}

    def add(self, wordings: Iterable[tuple[str, Sequence[Term]]]) -> None:
        """Add an intent; the first has index 0."""
        row: dict[str, float] = defaultdict(float)
        for text, terms in wordings:
            for feature, weight in _features(text, terms).items():
                row[feature] += weight
        self._rows.append(row)

    def finish(self) -> None:
        """Compute the weights after all intents were added."""
        count = Counter(feature for row in self._rows for feature in row)
        self._rarity = {feature: math.log(1 + len(self._rows) / n) for feature, n in count.items()}
        for number, row in enumerate(self._rows):
            weights = {feature: math.log1p(n) * self._rarity[feature] for feature, n in row.items()}
            length = math.sqrt(sum([weight * weight for weight in weights.values()])) ** _LENGTH or 1.0
            for feature, weight in weights.items():
                self._places.setdefault(feature, []).append((number, weight / length))
        self._rows.clear()

    def rank(self, text: str, terms: Sequence[Term]) -> list[tuple[int, float]]:
        """Return the indices of related intents, best first, with scores; the best has 1."""
        scores: dict[int, float] = {}
        for feature, weight in _features(text, terms).items():
            heard = weight * self._rarity.get(feature, 0.0)
            for number, other in self._places.get(feature, ()):
                scores[number] = scores.get(number, 0.0) + heard * other
        best = max(scores.values(), default=1.0)
        ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(number, score / best) for number, score in ranked]


def _features(text: str, terms: Sequence[Term]) -> Mapping[str, float]:
    found: dict[str, float] = {}

    def count(feature: str, weight: float) -> None:
        found[feature] = found.get(feature, 0.0) + weight

    words = [word.lstrip(":/.!-@") or word for word in split_words(text)]
    for word in words:
        if word in STOP_WORDS:
            count(f"s {word}", _STOP)
            continue
        count(f"w {stem(word)}", 1.0)
        for gram in _grams(word):
            count(gram, _GRAM)
    for term in terms:
        if term.known:
            for concept in term.concepts[:2]:
                count(f"c {concept}", 1.0)
    stems = [stem(word) for word in words]
    for one, other in pairwise(stems):
        count(f"p {one} {other}", _PAIR)
    return found


@cache
def _grams(word: str) -> tuple[str, ...]:
    """Return the sequences of four letters in a word with its ends marked."""
    marked = f"^{word}$"
    return tuple(f"g {marked[n : n + 4]}" for n in range(len(marked) - 3)) if len(word) > 3 else ()
