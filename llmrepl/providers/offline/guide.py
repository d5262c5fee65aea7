"""The guide: answers questions about the shell from a table of intents and from the documentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import dropwhile
from pathlib import Path

from llmrepl.providers.offline.docs_search import DocsSearch, Section
from llmrepl.providers.offline.intents import Intent, IntentTable, Match
from llmrepl.providers.offline.unwrap import unwrap
from llmrepl.providers.offline.vocabulary import OUTSIDE, TOPIC, Term, Vocabulary

SURE, LEAD = 1.0, 0.15
"""Minimum of the combined scores (of 1.5) of an intent to be the answer, and of its lead over the next one."""

COVERED = 0.5
"""Minimum share of the terms of a question that the wordings of its answer must have."""

VERBATIM = 0.95
"""Minimum score of a question that is taken for one of the wordings."""

NEAR = 0.02
"""Maximum difference in score of another wording that fits as well."""

POSSIBLE = 0.5
"""Minimum score of an intent to be offered as a possible answer."""

FAINT = 0.42
"""The same if half of the question is unknown, or if both rankings put that intent first."""

FITS = 0.68
"""Minimum score of a question together with the earlier ones that it refers to."""

STRANGE = 0.78
"""Minimum score if half of the question is unknown."""

COMPLETE = 0.85
"""Minimum score for a question of several terms to stand alone."""

ONLY_THIS_SHELL = "I only know this shell. To chat with a model: `:keys set openrouter`, or start Ollama."

QUOTED = 0.75
"""The share of a question that a section of the documentation must cover to be quoted."""

LONGEST_QUOTE = 20
"""Maximum lines quoted from a section."""

LONGEST_QUESTION = 400
"""Maximum characters of a question; longer text is meant for a language model."""

_ANSWERS = Path(__file__).with_name("answers")
_ONLY_A_MARK = ("?", "??", "???")
_CIVIL = frozenset({"hello", "thanks", "great"})
"""Concepts that are insignificant beside others."""

_PASSING = frozenset({"hello", "thanks"})
_REPLACED = frozenset({"action", "format", "vendor", "period", "scope", "thing"})
"""The sections of words of which a follow-up question keeps only its own: `export to md`, then `and html?`."""
_FRAGMENTS = frozenset({"format", "period", "scope"})

_MORE = re.compile(
    r"(ok(ay)? )?(and )?((tell|show|give) me )?(some |an? )?"
    r"(more|next|what else|examples?|details?|elaborate|why|how|how so|explain|more (details?|info|information))"
    r"( please| pls)?"
)
_FOLLOWS = re.compile(
    r"((ok|okay|cool|thanks|great|yes|no|ah|hm+) )*(and|or|but|also|then|plus|same for|(what|how) (about|if))\b"
)
_REFERS = re.compile(
    r"\b(it|them|one|ones|the same)\b|\b(that|these|those|too|as well|instead)$|\b(does|is|was|can|will|with|of) that\b"
    r"|^(is|are|does|was) this \w+$"
)
_OBJECT = re.compile(
    r"\b(it|that|them|those)( again| back| too| later| now| then)?$|^(is|are|does|was) (it|that|this|they) \w+$"
)


_OTHERS_COMMAND = re.compile(r"^/([a-z]+)$|(?<=\S )/([a-z]+)(?!\S)")
"""A command of another program, alone or in a question about it."""

_ORDERS = re.compile(
    r"(please |can you |could you |pls )*((explain|describe|define|solve|calculate|compute|write|compose|draft|invent"
    r"|prove|suggest|recommend|convert|translate) |(tell me|give me) (about|an?|\d+|some) |who (is|was|are|were) "
    r"|what (is|are) (the|an?) )"
)
"""How people begin what only a language model can do, if there is a word in it that is not known here."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the guide, with what it is based on: names of intents, pages of docs/, `outside` or `nothing`."""

    text: str
    topics: tuple[str, ...]
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Meaning:
    """An interpreted question: its terms, possibly with terms of earlier questions, and the matching intents."""

    text: str
    terms: Sequence[Term]
    matches: Sequence[Match]
    merged: bool = False
    """Whether it has terms of earlier questions."""

    @property
    def score(self) -> float:
        return self.matches[0].score if self.matches else 0.0

    @property
    def complete(self) -> bool:
        """Whether it can be understood without earlier questions."""
        return self.score >= COMPLETE and not self.short

    @property
    def short(self) -> bool:
        """Whether it has a single term."""
        return sum(not term.weak for term in self.terms) < 2

    def covered_by(self, intent: Intent) -> float:
        """Return the share of the terms that occur in the wordings of an intent."""
        found = next((match.explained for match in self.matches if match.intent is intent), frozenset[int]())
        return len(found) / max(1, len(self.terms))

    def explains(self, first: int) -> bool:
        """Whether the best intent covers each of the `first` significant terms."""
        said = (n for n, term in enumerate(self.terms[:first]) if not term.weak)
        return bool(self.matches) and self.matches[0].explained.issuperset(said)

    @property
    def strange(self) -> bool:
        """Whether at least half of it is unknown or off topic."""
        unknown = sum(not term.known or term.concepts[0].startswith("@") for term in self.terms)
        return 2 * unknown >= max(1, len(self.terms))


class Guide:
    """Answers questions about the shell from `answers` and from the pages in `docs`. Deterministic."""

    def __init__(self, docs: Path, answers: Path = _ANSWERS) -> None:
        self._docs = docs
        self._vocabulary = Vocabulary(answers)
        self._table = IntentTable(answers, self._vocabulary)

    @cached_property
    def _search(self) -> DocsSearch:
        return DocsSearch(self._docs)

    def reply(self, questions: Sequence[str]) -> Reply:
        """Answer the first of `questions`, the newest; the others are earlier ones, newest first."""
        plain = [_plain(question) for question in questions]
        more = next((n for n, text in enumerate(plain) if not _MORE.fullmatch(text)), len(plain))
        if more:
            return self._more(questions[more:], more - 1)
        if len(questions[0]) > LONGEST_QUESTION:
            return Reply(ONLY_THIS_SHELL, ("outside",))
        meaning = self._understand(questions)
        return self._syntax(questions[0], meaning) or self._answer(meaning)

    def _syntax(self, question: str, meaning: _Meaning) -> Reply | None:
        """The answer to a question about an option, or a command that does not exist; None if it has neither."""
        if meaning.score >= STRANGE:
            return None
        flag = re.search(r"(?<!\S)--[a-z][a-z-]+", question)
        if flag and (commands := self._search.option(flag[0])):
            lines = [f"- `{name}`: {line}" for name, line in commands[:4]]
            return Reply("\n".join([*lines, "", "More: docs/commands.md"]), ("docs/commands.md",))
        name = re.search(r"(?<!\S):([a-z]{3,})(?![\w:/.-])", question)
        if name and not self._search.has_command(name[1]) and not self._vocabulary.knows(f":{name[1]}"):
            return Reply(f"There is no command `:{name[1]}`. `:help all` lists the commands.", ("nothing",))
        return None

    def _understand(self, questions: Sequence[str]) -> _Meaning:
        """Interpret the newest question, together with earlier ones if it refers to them."""
        for found in _OTHERS_COMMAND.finditer(questions[0].lower()):
            name = found[1] or found[2]
            command = self._meaning(name, self._terms_of(name))
            if command.score >= COMPLETE:
                return command
        alone = self._meaning(questions[0], self._terms_of(questions[0]))
        plain = _plain(questions[0])
        follows = bool(_FOLLOWS.match(plain)) or (plain[:1].isalnum() and self._fragment(alone.terms))
        if not (follows or _REFERS.search(plain)) or not alone.terms or alone.complete:
            return alone
        before = self._before(questions[1:])
        replaced = {self._vocabulary.section(term) for term in alone.terms} & _REPLACED
        earlier = [term for term in before if not term.weak and self._vocabulary.section(term) not in replaced]
        if not earlier:
            return alone
        terms = [*alone.terms, *earlier]
        text = " ".join(term.text for term in terms)
        both = _Meaning(text, terms, self._table.rank(terms, text), merged=True)
        if follows:
            least = alone.score - (0.25 if alone.short or alone.score < FITS else 0.0)
        elif alone.short and _OBJECT.search(plain):
            least = max(FITS, alone.score - 0.1)
        else:
            least = FITS if alone.score < FITS - 0.1 else 1.0
        return both if both.score >= least and both.explains(len(alone.terms) + 1) else alone

    def _terms_of(self, question: str) -> list[Term]:
        """Return the terms of a question without greetings and thanks."""
        terms = self._vocabulary.terms("help" if question.strip() in _ONLY_A_MARK else question)
        rest = list(dropwhile(lambda term: term.concepts[0] in _CIVIL, terms))
        return [term for term in rest if term.concepts[0] not in _PASSING] or terms

    def _before(self, questions: Sequence[str]) -> Sequence[Term]:
        """Return the topic of the conversation before the newest question."""
        for n, question in enumerate(questions):
            if not _MORE.fullmatch(_plain(question)):
                meaning = self._understand(questions[n:])
                if meaning.score >= POSSIBLE and meaning.matches[0].intent.name not in _PASSING:
                    return meaning.terms
        return ()

    def _fragment(self, terms: Sequence[Term]) -> bool:
        said = [term for term in terms if not term.weak]
        return bool(said) and all(self._vocabulary.section(term) in _FRAGMENTS for term in said)

    def _meaning(self, text: str, terms: Sequence[Term]) -> _Meaning:
        return _Meaning(text, terms, self._table.rank(terms, text))

    def _answer(self, meaning: _Meaning) -> Reply:
        if self._outside(meaning):
            return Reply(ONLY_THIS_SHELL, ("outside",))
        if meaning.merged and meaning.score >= FITS:
            return self._given(meaning.matches[0].intent)
        if meaning.score >= VERBATIM and all(match.score < meaning.score - NEAR for match in meaning.matches[1:2]):
            return self._given(meaning.matches[0].intent)
        ranked = self._ranked(meaning)
        if _is_sure(meaning, ranked):
            return self._given(ranked[0][0])
        intents = [intent for intent, _ in ranked]
        if len(clauses := _clauses(meaning.text)) > 1:
            return self._story(clauses, intents)
        agreed = bool(meaning.matches) and meaning.matches[0].intent is intents[0]
        if meaning.score >= (FAINT if meaning.strange or agreed else POSSIBLE):
            return self._offered(intents[:3], strange=meaning.strange)
        return self._searched(meaning)

    def _ranked(self, meaning: _Meaning) -> list[tuple[Intent, float]]:
        """Rank intents by the best wording and, half as important, by all wordings together: from 0 to 1.5."""
        by_name = {match.intent.name: match.intent for match in meaning.matches}
        scores = {match.intent.name: match.score for match in meaning.matches}
        for intent, score in self._table.topics(meaning.terms, meaning.text):
            by_name[intent.name] = intent
            scores[intent.name] = scores.get(intent.name, 0.0) + score / 2
        return [(by_name[name], scores[name]) for name in sorted(scores, key=lambda name: (-scores[name], name))]

    def _story(self, clauses: Sequence[str], intents: Sequence[Intent]) -> Reply:
        """Answer a long question by its clauses; `intents` are those of all of it, best first."""
        parts = [self._meaning(clause, self._terms_of(clause)) for clause in clauses]
        parts = sorted((part for part in parts if part.score >= POSSIBLE), key=lambda part: -part.score)
        if parts and parts[0].score >= STRANGE and parts[0].matches[0].intent in intents[:2]:
            return self._given(parts[0].matches[0].intent)
        likely = [*intents[:1], *(part.matches[0].intent for part in parts[:2]), *intents]
        candidates = list({intent.name: intent for intent in likely}.values())[:3]
        return self._offered(candidates) if candidates else Reply(ONLY_THIS_SHELL, ("outside",))

    def _outside(self, meaning: _Meaning) -> bool:
        """Whether a question is not about the shell."""
        sections = {self._vocabulary.elsewhere(term) for term in meaning.terms}
        if OUTSIDE in sections:
            return meaning.score < 0.85
        if _ORDERS.match(_plain(meaning.text)) and not all(term.known for term in meaning.terms):
            return meaning.score < STRANGE
        if TOPIC not in sections or any("session" in term.concepts for term in meaning.terms):
            return False
        return meaning.score < (STRANGE if meaning.strange else 0.7)

    def _given(self, best: Intent) -> Reply:
        return Reply(f"{best.answer}\n\nMore: docs/{best.page}", (best.name,))

    def _offered(self, intents: Sequence[Intent], *, strange: bool = False) -> Reply:
        """Offer possible answers, the likeliest in full."""
        best, *others = intents
        unsure = f"{ONLY_THIS_SHELL} If you mean the shell" if strange else "I am not sure what you mean"
        lines = [
            f"{unsure}{', perhaps' if strange else '. Perhaps'} this:",
            "",
            best.answer,
            "",
            f"More: docs/{best.page}",
        ]
        first = [other.answer.partition("\n\n")[0].rstrip(":.") for other in others]
        if others:
            lines += ["", "Or one of these:", ""]
        lines += [f"- {text}. More: docs/{other.page}" for text, other in zip(first, others, strict=True)]
        return Reply("\n".join(lines), tuple(intent.name for intent in intents), sure=False)

    def _searched(self, meaning: _Meaning) -> Reply:
        if meaning.strange:
            return Reply(ONLY_THIS_SHELL, ("outside",))
        if hits := self._search.search(meaning.text, least=QUOTED):
            quoted = f"I am not sure what you mean. The documentation says:\n\n{_quoted(hits)}"
            return Reply(quoted, (f"docs/{hits[0].page}",), sure=False)
        if meaning.terms and (near := self._search.nearest(meaning.text, 3)):
            lines = [f"- {section.path[-1]} (docs/{section.page})" for section in near]
            return Reply("\n".join(["I found no answer to that. The nearest headings are:", "", *lines]), ("nothing",))
        return Reply(ONLY_THIS_SHELL, ("outside",))

    def _more(self, questions: Sequence[str], nth: int) -> Reply:
        """Return further sections of the documentation about a question, one per request."""
        if not questions:
            return Reply(ONLY_THIS_SHELL, ("outside",))
        meaning = self._understand(questions)
        page, text = "", meaning.text
        if meaning.score >= POSSIBLE:
            intent = meaning.matches[0].intent
            page, text = intent.page, f"{' '.join(re.findall(r'`([^`]+)`', intent.answer))} {meaning.text}"
        hits = self._search.nearest(text, 5, page)[nth:]
        if not hits:
            return Reply("The documentation has no more on that.", ("nothing",))
        return Reply(_quoted(hits[:1]), (f"docs/{hits[0].page}",))


def _is_sure(meaning: _Meaning, ranked: Sequence[tuple[Intent, float]]) -> bool:
    """Whether the best of the ranked intents is the answer, and no other one is close behind."""
    if not ranked or (meaning.strange and meaning.score < STRANGE):
        return False
    score, *others = (score for _, score in ranked[:2])
    return score >= SURE and score - max(others, default=0.0) >= LEAD and meaning.covered_by(ranked[0][0]) >= COVERED


_BETWEEN = re.compile(r"[.!?;:]+\s+|,\s+|\s+(?:but|because|so that|which|and then|and i)\s+", re.IGNORECASE)


def _clauses(text: str, least: int = 14) -> list[str]:
    """Return the clauses of three words or more of a text; nothing for one of less than `least` words."""
    if len(text.split()) < least:
        return []
    return [clause for clause in _BETWEEN.split(text) if len(clause.split()) > 2]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[.!?,;:…]", " ", text.lower()).split())


def _quoted(hits: Sequence[Section]) -> str:
    """Quote the best section with heading and page, and list others."""
    best, *others = hits
    lines = unwrap(best.text).splitlines()
    cut = len(lines) > LONGEST_QUOTE
    if cut:
        blank = next((n for n in range(LONGEST_QUOTE, 0, -1) if not lines[n].strip()), LONGEST_QUOTE)
        lines = lines[:blank]
    text = [f"**{' › '.join(best.path)}** (docs/{best.page})", "", *lines]
    if cut:
        text += ["", f"There is more of it in docs/{best.page}."]
    if others:
        also = [f"“{other.path[-1]}” (docs/{other.page})" for other in others[:2]]
        text += ["", f"See also: {', '.join(also)}."]
    return "\n".join(text)
