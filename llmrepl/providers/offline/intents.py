"""Table of common questions (intents) with answers, and matching of questions to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmrepl.providers.offline.likeness import TextIndex
from llmrepl.providers.offline.topic_index import TopicIndex
from llmrepl.providers.offline.unwrap import unwrap
from llmrepl.providers.offline.vocabulary import Term, Vocabulary

UNKNOWN_WEIGHT = 1.4
"""Weight of an unknown word; known ones weigh from 1 (in every answer) to 3 (in a single one)."""

BESIDE = 0.6
"""Weight factor of a term that only occurs in another wording of the same intent."""

GENERIC = 2.2
"""A wording of a single term that weighs less (chat, reply, model) fits only questions that say little else."""

LITERAL = 0.35
"""Share of literal word matches, as opposed to synonyms, in a score."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A question in many wordings, its answer in Markdown, and the page of docs/ with more details."""

    name: str
    asked: tuple[str, ...]
    answer: str
    page: str


@dataclass(frozen=True, slots=True)
class Match:
    """An intent and its score; 1 if one of its wordings has exactly the meaning of the question."""

    intent: Intent
    score: float
    explained: frozenset[int]
    """Indices of the question's terms that the intent covers."""


_Parts = tuple[tuple[str, ...], ...]
"""A wording: the possible concepts of each of its terms."""


@dataclass(frozen=True, slots=True)
class _Wording:
    intent: int
    parts: _Parts
    weight: float


class IntentTable:
    """All intents in the Markdown files of a directory; `vocabulary` learns their words."""

    def __init__(self, directory: Path, vocabulary: Vocabulary) -> None:
        self.intents = [intent for file in sorted(directory.glob("*.md")) for intent in read_intents(file)]
        self._texts = TextIndex()
        self._topics = TopicIndex()
        rows: list[list[_Parts]] = []
        for intent in self.intents:
            learned = [vocabulary.learn(text) for text in intent.asked]
            rows.append([_parts(terms) for terms in learned])
            self._topics.add(zip(intent.asked, learned, strict=True))
            for text in intent.asked:
                self._texts.add(text)
        self._texts.finish()
        self._topics.finish()
        self._vocabularies = [frozenset(c for parts in row for part in parts for c in part) for row in rows]
        self._weights = _weights(self._vocabularies)
        self._wordings = [
            _Wording(n, parts, sum(map(self._weigh, parts))) for n, row in enumerate(rows) for parts in row
        ]
        self._by_concept: dict[str, set[int]] = {}
        for number, wording in enumerate(self._wordings):
            for part in wording.parts:
                for concept in part:
                    self._by_concept.setdefault(concept, set()).add(number)

    def rank(self, terms: Sequence[Term], text: str) -> list[Match]:
        """Return the intents related to a question, best first."""
        likeness = self._texts.compare(text)
        if not terms:
            return self._by_words(likeness)
        weights = [self._heard(term) for term in terms]
        total = sum(weights)
        said = {concept for term in terms for concept in term.concepts}
        best: dict[int, float] = {}
        for number in {n for concept in said for n in self._by_concept.get(concept, ())}:
            wording = self._wordings[number]
            if 2 * sum([not said.isdisjoint(part) for part in wording.parts]) < len(wording.parts):
                continue  # not half of it is in the question
            meant = self._score(wording, terms, weights, total)
            score = meant + LITERAL * (likeness.get(number, 0.0) - meant)
            if score > best.get(wording.intent, 0):
                best[wording.intent] = score
        ranked = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Match(self.intents[n], score, self._explained(n, terms)) for n, score in ranked]

    def topics(self, terms: Sequence[Term], text: str, most: int = 5) -> list[tuple[Intent, float]]:
        """Return the intents that a question is about by its words in any wording, best first; the best has 1."""
        return [(self.intents[n], score) for n, score in self._topics.rank(text, terms)[:most]]

    def _by_words(self, likeness: Mapping[int, float]) -> list[Match]:
        """Match a question made only of common words, such as `what is this`."""
        best: dict[int, float] = {}
        for number, score in likeness.items():
            wording = self._wordings[number]
            if not wording.parts and score > best.get(wording.intent, 0):
                best[wording.intent] = score
        ranked = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))
        return [Match(self.intents[n], score, frozenset()) for n, score in ranked]

    def _heard(self, term: Term) -> float:
        """Return the weight of a question's term."""
        if not term.known:
            return UNKNOWN_WEIGHT
        return 0.6 if term.weak else self._weigh(term.concepts)

    def _score(self, wording: _Wording, terms: Sequence[Term], weights: Sequence[float], total: float) -> float:
        said = 0.0
        used: set[int] = set()
        for part in wording.parts:
            hits = [n for n, term in enumerate(terms) if part_of(part, term)]
            if hits:
                exact = any(part[0] == terms[n].concepts[0] for n in hits)
                said += self._weigh(part) * (1 if exact else 0.9)
                used.update(hits)
        vocabulary = self._vocabularies[wording.intent]
        heard = 0.0
        for n, term in enumerate(terms):
            if n in used:
                heard += weights[n]
            elif vocabulary.intersection(term.concepts):
                heard += BESIDE * weights[n]
        share = min(1.0, heard / total)
        if len(wording.parts) == 1 and wording.weight < GENERIC:
            share *= share
        return (said / wording.weight) * math.sqrt(share)

    def _explained(self, intent: int, terms: Sequence[Term]) -> frozenset[int]:
        vocabulary = self._vocabularies[intent]
        return frozenset(n for n, term in enumerate(terms) if vocabulary.intersection(term.concepts))

    def _weigh(self, concepts: Iterable[str]) -> float:
        return max(self._weights.get(concept, UNKNOWN_WEIGHT) for concept in concepts)


def part_of(part: Sequence[str], term: Term) -> bool:
    """Whether a term of a question can have the meaning of a part of a wording."""
    return any(concept in term.concepts for concept in part)


def read_intents(file: Path) -> list[Intent]:
    """Read the intents of a file: each has a heading, wordings in `>` lines, an answer and a page."""
    found = []
    for block in file.read_text(encoding="utf-8").split("\n## "):
        name, _, rest = block.removeprefix("## ").partition("\n")
        lines = rest.strip().splitlines()
        asked = "; ".join(line[2:] for line in lines if line.startswith("> "))
        body = "\n".join(line for line in lines if not line.startswith(("> ", "More: "))).strip()
        page = next((line.removeprefix("More: ") for line in lines if line.startswith("More: ")), "")
        found.append(Intent(name.strip(), tuple(text.strip() for text in asked.split(";")), unwrap(body), page))
    return found


def _parts(terms: Sequence[Term]) -> _Parts:
    return tuple(dict.fromkeys(term.concepts for term in terms))


def _weights(vocabularies: Sequence[frozenset[str]]) -> dict[str, float]:
    """Weigh concepts: 3 if only one intent has it, near 1 if most have."""
    count: dict[str, int] = {}
    for vocabulary in vocabularies:
        for concept in vocabulary:
            count[concept] = count.get(concept, 0) + 1
    scale = math.log(max(2, len(vocabularies)))
    return {concept: 1 + 2 * (1 - math.log(n) / scale) for concept, n in count.items()}
