"""The questions that people ask, each with its answer, and which of them a question comes nearest to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmrepl.providers.offline.unwrap import unwrap
from llmrepl.providers.offline.vocabulary import Term, Vocabulary, literal

UNKNOWN_WEIGHT = 1.4
"""What a word that is not known counts among those that are: 1 for one in every answer, 3 for one in a single one."""

LITERAL = 0.12
"""The share of the same words, rather than words that mean the same, in how well a wording fits."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A question in many wordings: `asked`, its answer in Markdown, and the page of docs/ that says more."""

    name: str
    asked: tuple[str, ...]
    answer: str
    page: str


@dataclass(frozen=True, slots=True)
class Match:
    """An intent, and how well it fits: 1 when one of its wordings says the same as the question and nothing else."""

    intent: Intent
    score: float
    explained: frozenset[int]
    """Which items of the question one of the intent's words stands for."""


@dataclass(frozen=True, slots=True)
class _Wording:
    intent: int
    parts: tuple[tuple[str, ...], ...]
    weight: float
    words: dict[str, float]


class IntentTable:
    """All intents in the Markdown files of a directory; `vocabulary` learns their words."""

    def __init__(self, directory: Path, vocabulary: Vocabulary) -> None:
        self.intents = [intent for file in sorted(directory.glob("*.md")) for intent in read_intents(file)]
        rows = [[(text, _parts(vocabulary.learn(text))) for text in intent.asked] for intent in self.intents]
        self._vocabularies = [frozenset(c for _, parts in row for part in parts for c in part) for row in rows]
        self._weights = _weights(self._vocabularies)
        self._wordings = [
            _Wording(n, parts, sum(map(self._weigh, parts)), literal(text))
            for n, row in enumerate(rows)
            for text, parts in row
        ]
        self._by_concept: dict[str, set[int]] = {}
        for number, wording in enumerate(self._wordings):
            for part in wording.parts:
                for concept in part:
                    self._by_concept.setdefault(concept, set()).add(number)

    def rank(self, items: Sequence[Term], text: str = "") -> list[Match]:
        """The intents that have something in common with a question, the best first, each once."""
        words = literal(text)
        if not items:
            return self._by_words(words)
        weights = [self._heard(item) for item in items]
        total = sum(weights)
        best: dict[int, float] = {}
        for number in {n for item in items for c in item.concepts for n in self._by_concept.get(c, ())}:
            wording = self._wordings[number]
            score = self._score(wording, items, weights, total) * (1 - LITERAL) + LITERAL * likeness(
                wording.words, words
            )
            if score > best.get(wording.intent, 0):
                best[wording.intent] = score
        ranked = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Match(self.intents[n], score, self._explained(n, items)) for n, score in ranked]

    def _by_words(self, words: Mapping[str, float]) -> list[Match]:
        """What fits a question of nothing but everyday words: `what is this`."""
        best: dict[int, float] = {}
        for wording in self._wordings:
            if not wording.parts and (score := likeness(wording.words, words)) > best.get(wording.intent, 0):
                best[wording.intent] = score
        ranked = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Match(self.intents[n], score, frozenset()) for n, score in ranked]

    def _heard(self, item: Term) -> float:
        """What an item of a question counts."""
        if not item.known:
            return UNKNOWN_WEIGHT
        return 0.6 if item.weak else self._weigh(item.concepts)

    def _score(self, wording: _Wording, items: Sequence[Term], weights: Sequence[float], total: float) -> float:
        said = 0.0
        used: set[int] = set()
        for part in wording.parts:
            hits = [n for n, item in enumerate(items) if n not in used and part_of(part, item)]
            if hits and wording.parts:
                exact = part[0] == items[hits[0]].concepts[0]
                said += self._weigh(part) * (1 if exact else 0.9)
                used.add(hits[0])
        vocabulary = self._vocabularies[wording.intent]
        heard = 0.0
        for n, item in enumerate(items):
            if n in used:
                heard += weights[n]
            elif vocabulary.intersection(item.concepts):
                heard += 0.6 * weights[n]
        return (said / wording.weight) * math.sqrt(min(1.0, heard / total))

    def _explained(self, intent: int, items: Sequence[Term]) -> frozenset[int]:
        vocabulary = self._vocabularies[intent]
        return frozenset(n for n, item in enumerate(items) if vocabulary.intersection(item.concepts))

    def _weigh(self, concepts: Iterable[str]) -> float:
        return max(self._weights.get(concept, UNKNOWN_WEIGHT) for concept in concepts)


def likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How much two texts have in common word by word, from 0 to 1."""
    both = sum(weight for word, weight in one.items() if word in other)
    return both / (sum(one.values()) + sum(other.values()) - both) if both else 0.0


def part_of(part: Sequence[str], item: Term) -> bool:
    """Whether an item of a question can mean what a part of a wording does."""
    return any(concept in item.concepts for concept in part)


def read_intents(file: Path) -> list[Intent]:
    """The intents of a file: a heading each, wordings in lines that begin with `>`, the answer, and the page."""
    found = []
    for block in file.read_text(encoding="utf-8").split("\n## "):
        name, _, rest = block.removeprefix("## ").partition("\n")
        lines = rest.strip().splitlines()
        asked = "; ".join(line[2:] for line in lines if line.startswith("> "))
        body = "\n".join(line for line in lines if not line.startswith(("> ", "More: "))).strip()
        page = next((line.removeprefix("More: ") for line in lines if line.startswith("More: ")), "")
        found.append(Intent(name.strip(), tuple(text.strip() for text in asked.split(";")), unwrap(body), page))
    return found


def _parts(items: Sequence[Term]) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(item.concepts for item in items))


def _weights(vocabularies: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much a concept says: 3 if a single intent has it, near 1 if most have."""
    count: dict[str, int] = {}
    for vocabulary in vocabularies:
        for concept in vocabulary:
            count[concept] = count.get(concept, 0) + 1
    scale = math.log(max(2, len(vocabularies)))
    return {concept: 1 + 2 * (1 - math.log(n) / scale) for concept, n in count.items()}
