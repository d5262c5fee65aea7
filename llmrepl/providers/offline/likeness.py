"""Text similarity by TF-IDF and cosine over words, stems and word pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from llmrepl.providers.offline.vocabulary import STOP_WORDS, split_words, stem

_STOP, _STEM, _WORD, _PAIR = 0.35, 0.6, 0.3, 0.3
"""What an everyday word, another word's stem, its exact form and a pair of neighbors count beside one another."""


class TextIndex:
    """Texts to compare others with: call `add` for each, then `finish`."""

    def __init__(self) -> None:
        self._rows: list[list[tuple[str, float]]] = []
        self._rarity: dict[str, float] = {}
        self._unknown = 0.0
        self._places: dict[str, list[tuple[int, float]]] = {}

    def add(self, text: str) -> None:
        """Add a text; the first has index 0."""
        self._rows.append(list(dict(_features(text)).items()))

    def finish(self) -> None:
        """Compute the weights after all texts were added."""
        count = Counter(feature for row in self._rows for feature, _ in row)
        total = len(self._rows)
        self._rarity = {feature: math.log(1 + total / n) for feature, n in count.items()}
        self._unknown = math.log(1 + total) / 2
        for number, row in enumerate(self._rows):
            weights = [(feature, weight * self._rarity[feature]) for feature, weight in row]
            length = math.sqrt(sum([weight * weight for _, weight in weights])) or 1.0
            for feature, weight in weights:
                self._places.setdefault(feature, []).append((number, weight / length))
        self._rows.clear()

    def compare(self, text: str) -> dict[int, float]:
        """Return the similarity (0 to 1) of the texts related to `text`, by index."""
        weights = {f: weight * self._rarity.get(f, self._unknown) for f, weight in _features(text)}
        length = math.sqrt(sum(w * w for f, w in weights.items() if f in self._rarity or f[0] != " ")) or 1.0
        likeness: dict[int, float] = {}
        for feature, weight in weights.items():
            for number, other in self._places.get(feature, ()):
                likeness[number] = likeness.get(number, 0.0) + weight * other / length
        return likeness


def _features(text: str) -> Iterator[tuple[str, float]]:
    """Yield the weighted features of a text; those of pairs begin with a space."""
    words = [word.lstrip(":/.!-@") or word for word in split_words(text)]
    stems = [stem(word) for word in words]
    for word, root in zip(words, stems, strict=True):
        if word in STOP_WORDS:
            yield word, _STOP
        else:
            yield root, _STEM
            if word != root:
                yield f"={word}", _WORD
    for one, other in zip(["^", *stems], [*stems, "$"], strict=True):
        yield f" {one} {other}", _PAIR
