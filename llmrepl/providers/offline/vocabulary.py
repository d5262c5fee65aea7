"""Map the words of a question to concepts, with synonyms, stems and spelling correction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

MOST_WORDS = 60
"""Maximum words of a question that are read."""

UNKNOWN = "?"
OUTSIDE, TOPIC = "outside", "topic"
"""The sections of words that are about something else: what only a language model can do, and the world's topics."""

STOP_WORDS = frozenset(
    """
    a about actually after all also am an and any anybody anyone anything are as at be because been being but by can
    could d did do does doing done each either else even ever everything exactly find for from get gets getting
    give gives go goes going got had happen happened happens has have having her here him his how i id if ill im in
    into is it its ive just kind know let lets like ll look lot lots made makes may me mean means might mine more
    most much must my myself need needs neither nor now of on only onto or our out over own please pls plz possible
    possibly quite r rather re really s see seem seems shall she should so some somebody somehow someone something
    somewhere still stuff such t tell than that thats the their them then there these they thing things this
    those though through till to too try trying u under until up upon ur us use used using ve very via want wanted wants
    was way ways we well were what whats when whenever which while whole whose why will with within wont work
    would wouldnt yeah yes yet you your youre etc eg ie maybe hmm um uh oh ah well sir mate guys man dude kindly
    one ones during since sure already quickly hm five four normal normally usually
    believe guess suppose able allow allowed way possible take set come came keep say says said been
    wie ich ein eine einen einem mein meine meinen der das den dem und oder nicht ist es gibt kann können man mit ohne
    für zum zur auf im von vom bei als dass wird werden habe hat bitte mir mich du sie wir hier noch nur sind warum weil
    every per again back first right next around across between before both few once two
    """.split()
)
"""Insignificant words, except those listed as synonyms."""

_ARTICLES = frozenset({"a", "an", "the"})
_ELSEWHERE = (OUTSIDE, TOPIC)
_MODEL_NAME = re.compile(
    r"(gpt|claude|gemini|llama|qwen|mistral|mixtral|deepseek|grok|phi|gemma|o[134]|sonnet|opus)[-.:\d]"
)
_FAMILIES = {
    **dict.fromkeys(("gpt", "o1", "o3", "o4"), "openai"),
    **dict.fromkeys(("claude", "sonnet", "opus"), "anthropic"),
    **dict.fromkeys(("llama", "qwen", "phi", "gemma"), "ollama"),
    **dict.fromkeys(("mistral", "mixtral", "deepseek", "grok"), "groq"),
    "gemini": "gemini",
}
_QUOTED = re.compile(
    r"(?:\bas|\bnamed|\bcalled|\bname|\bword|\bphrase|\btag|\bfind|\bsearch|\bunder|\bfor)"
    r" ?(['\"‘“])[^'\"’”]+['\"’”]"
)
"""A quoted name or text, which does not affect the meaning of a question."""

_KEYS = (
    (re.compile(r"(?:\bctrl|\bcontrol|\bctl|\bstrg|\^)(?: ?[-+ ] ?)?([a-z_])(?![a-z])"), r"ctrl-\1"),
    (re.compile(r"\b(?:ctrl|control) ?[-+ ] ?(enter|return|left|right)\b"), r"ctrl-\1"),
    (re.compile(r"\b(?:alt|option|meta|esc|opt) ?[-+, ] ?(enter|return|p|b|f)\b"), r"alt-\1"),
    (re.compile(r"\bshift ?[-+ ] ?(?:enter|return)\b"), "shift-enter"),
    (re.compile(r"https?://\S+|\bwww\.\S+"), " url "),
    (re.compile(r"\$ ?\d[\d.,]*"), " dollars "),
    (
        re.compile(r"(?<![\w.-])\d+(?: ?[-+*/x×^] ?| (?:times|plus|minus|divided by|percent of) )(?=\d)|\b\w ?\^ ?\d"),
        " arithmetic ",
    ),
    (_QUOTED, " "),
    (re.compile(r"['’`´]s\b|['’`´]"), ""),
    (re.compile(r"(?<!\S)[:;]-?[)(dp](?!\S)"), " "),
)
_HUMPS = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
"""Where the words of a name such as RateLimitError meet."""

_SIMPLE = re.compile(r"[a-z ]*")
_KEY_NAMES = re.compile(r"\b(?:ctrl|control|ctl|strg|alt|option|opt|meta|esc|shift)\b")
_SHORT_FORMS = dict(
    pair.strip().split("=")
    for pair in """
    r=are;u=you;ur=your;wat=what;wut=what;y=why;teh=the;hte=the;wanna=want to;gonna=going to;gimme=give me
    lemme=let me;dunno=do not know;w/o=without;w/=with;abt=about;msg=message;msgs=messages;cmd=command;cmds=commands
    hwo=how;ohw=how;waht=what;wher=where;whre=where;wehre=where;ky=key;kye=key;fra=far;lst=last;nad=and;fiel=file
    cant=can not;dont=do not;doesnt=does not;isnt=is not;wont=will not;pls=please;thx=thanks;ty=thanks;sesh=session
    pw=password;sth=something;smth=something;ppl=people;convos=conversations
    """.strip()
    .replace("\n", ";")
    .split(";")
)
"""Abbreviations of casual typing."""

_SUFFIXES = frozenset(
    (".md", ".json", ".jsonl", ".html", ".htm", ".csv", ".txt", ".pdf", ".docx", ".png", ".jpg", ".gguf")
)
_MARKS = frozenset("?:~$!|")
"""Symbols that are significant on their own."""

_CODE = re.compile(r"[45]\d\d")
"""An HTTP status, the one kind of number that means something by itself."""

_SPELLABLE = re.compile(r"[a-z]{4,14}")


class Term(NamedTuple):
    """A word or phrase of a question: its possible concepts, its spelling, and whether it is insignificant."""

    concepts: tuple[str, ...]
    text: str
    weak: bool = False

    @property
    def known(self) -> bool:
        """Whether it is in the vocabulary."""
        return self.concepts != (UNKNOWN,)


class Vocabulary:
    """The synonyms in `words.txt` of a directory, and words added by `learn`.

    Words in `not_slips.txt` are not corrected.
    """

    def __init__(self, directory: Path) -> None:
        self.sections: dict[str, str] = {}
        self._phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._longest: dict[str, int] = {}
        """How many words the longest phrase has that begins with a stem."""
        self._learned: set[str] = set(STOP_WORDS)
        self._words: dict[str, tuple[str, ...]] = {}
        self._stems: dict[str, tuple[str, ...]] = {}
        lines = (directory / "not_slips.txt").read_text(encoding="utf-8").splitlines()
        self._not_slips = frozenset(word for line in lines if not line.startswith("#") for word in line.split())
        for concept, section, words in _rows(directory / "words.txt"):
            self.sections[concept] = section
            for word in words:
                self._add(word.replace("_", " ").split(" "), concept)

    def learn(self, text: str) -> tuple[Term, ...]:
        """Return the terms of a correctly spelled phrase, adding its new words as concepts."""
        for word in split_words(text):
            if word not in self._learned:
                self._learned.add(word)
                self._learn(word)
        return tuple(self._here(term) for term in self.terms(text, correct=False) if term.known)

    def _learn(self, word: str) -> None:
        for part in [word] if self._lookup(word) else _parts(word):
            known = self._lookup(part)
            here = known and not all(self.sections.get(concept) in _ELSEWHERE for concept in known)
            if not here and part not in STOP_WORDS and len(part) > 1 and (not part.isdigit() or _CODE.fullmatch(part)):
                self._add([part], stem(part))

    def _here(self, term: Term) -> Term:
        """An term without the meanings that are not about the shell, if it has others."""
        if not self.elsewhere(term):
            return term
        here = tuple(concept for concept in term.concepts if self.sections.get(concept) not in _ELSEWHERE)
        return term._replace(concepts=here or term.concepts)

    def terms(self, text: str, correct: bool = True) -> list[Term]:
        """Return the significant terms of `text` in order, with spelling corrected if `correct`."""
        words = [word for word in self._words_of(text) if word not in _ARTICLES]
        stems = [stem(word) for word in words]
        found: list[Term] = []
        at = 0
        while at < len(words):
            size, concepts = self._phrase_at(words, stems, at)
            written = " ".join(words[at : at + size])
            at += size
            if concepts and self.sections.get(concepts[0]) == "silent":
                continue
            if concepts:
                found.append(self._item(concepts, written))
            elif written not in STOP_WORDS and len(written) > 1 and (not written.isdigit() or _CODE.fullmatch(written)):
                near = self._lookup(self._near(written)) if correct else ()
                found.append(self._item(near, written) if near else Term((UNKNOWN,), written))
        return found

    def knows(self, word: str) -> bool:
        """Whether the table lists a word just as it is, such as `:wq`."""
        return word in self._words

    def section(self, term: Term) -> str:
        """Return the section of the table that contains a term's first concept."""
        return self.sections.get(term.concepts[0], "")

    def elsewhere(self, term: Term) -> str:
        """Return OUTSIDE or TOPIC if a term cannot refer to the shell, otherwise an empty string."""
        for concept in term.concepts:
            if (section := self.sections.get(concept)) in (OUTSIDE, TOPIC):
                return section
        return ""

    def _item(self, concepts: tuple[str, ...], text: str) -> Term:
        sections = [self.sections.get(concept, "") for concept in concepts]
        return Term((*concepts, "vendor") if "vendor" in sections else concepts, text, sections[0] == "weak")

    def _add(self, words: list[str], concept: str) -> None:
        if len(words) > 1:
            key = tuple(stem(word) for word in words if word not in _ARTICLES)
            self._phrases[key] = _joined(self._phrases.get(key, ()), concept)
            self._longest[key[0]] = max(self._longest.get(key[0], 1), len(key))
            return
        self._words[words[0]] = _joined(self._words.get(words[0], ()), concept)
        self._stems[stem(words[0])] = _joined(self._stems.get(stem(words[0]), ()), concept)

    def _lookup(self, word: str) -> tuple[str, ...]:
        if word in STOP_WORDS and word not in self._words:
            return ()
        return self._words.get(word) or self._stems.get(stem(word), ())

    def _phrase_at(self, words: list[str], stems: list[str], at: int) -> tuple[int, tuple[str, ...]]:
        """Return the number of words in the phrase at `at`, and its concepts, which may be empty."""
        for size in range(min(self._longest.get(stems[at], 1), len(words) - at), 1, -1):
            if concepts := self._phrases.get(tuple(stems[at : at + size])):
                return size, concepts
        return 1, self._lookup(words[at])

    def _words_of(self, text: str) -> Iterator[str]:
        for word in split_words(text):
            if word in self._words or self._lookup(word):
                yield word
            elif family := _MODEL_NAME.match(word.rpartition("/")[2]):
                yield _FAMILIES[family[1]]
            else:
                for part in _parts(word):
                    yield from self._compound(part)

    def _compound(self, word: str) -> list[str]:
        """Split an unknown word such as `logfile`, or remove doubled letters: `hii`."""
        if self._lookup(word) or word in self._not_slips or word in STOP_WORDS or not word.isalpha():
            return [word]
        once = re.sub(r"(.)\1+", r"\1", word)
        if self._lookup(once):
            return [once]
        halves = ((word[:n], word[n:]) for n in range(4, len(word) - 3))
        return next(([one, other] for one, other in halves if one in self._words and other in self._words), [word])

    def _near(self, word: str) -> str:
        """Return the known word that `word` misspells, or an empty string."""
        if not _SPELLABLE.fullmatch(word) or word in self._not_slips:
            return ""
        most = 1 if len(word) < 8 else 2
        near = [
            (distance, abs(len(known) - len(word)), known)
            for known in self._words
            if abs(len(known) - len(word)) <= most
            and (most == 1 or known[-1] == word[-1])
            and known[0] == word[0]
            and len(known) > 3
            and known.isalpha()
            and (distance := slips(word, known, most)) <= most
        ]
        return min(near)[2] if near else ""


@lru_cache(maxsize=8)
def split_words(text: str) -> list[str]:
    """Split a text into lower-case words without surrounding punctuation."""
    text = _HUMPS.sub(" ", text).lower()
    if not _SIMPLE.fullmatch(text) or _KEY_NAMES.search(text):
        for pattern, instead in _KEYS:
            text = pattern.sub(instead, text)
    words = (word if set(word) <= _MARKS else _bare(word) for word in text.split()[:MOST_WORDS])
    plain = (word if set(word) <= _MARKS else word.rstrip("?:") for word in words)
    return [part for word in plain if word for part in _SHORT_FORMS.get(word, word).split()]


def _bare(word: str) -> str:
    return word.lstrip("\"'([{<,;*_“”«»-").rstrip("\"')]}>,;!.*_“”«»…")


@cache
def stem(word: str) -> str:
    """Return a word without its ending: `saves`, `saved` and `saving` have the same stem."""
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending, least in (("ing", 3), ("ed", 3), ("es", 3), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def slips(one: str, other: str, most: int) -> int:
    """Count the edits between two words (Damerau-Levenshtein distance), up to `most`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            best = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > most:
            return most + 1
    return row[-1]


def _rows(file: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the concepts of a table with section and words."""
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            concept, _, words = line.partition(": ")
            yield concept, section, words.split()


def _parts(word: str) -> list[str]:
    """Split an unknown word into parts: `--no-save`, `notes.md`, `openai/gpt`."""
    if suffix := re.fullmatch(r"[\w/~-]*\w(\.[a-z]{2,5})", word):
        return [suffix[1], "file"] if suffix[1] in _SUFFIXES else ["file"]
    return [part for part in re.split(r"[^\w$+#]+|_+|(?<=\d)(?=s$)", word.strip(":/!@-")) if part]


def _joined(concepts: tuple[str, ...], concept: str) -> tuple[str, ...]:
    return concepts if concept in concepts else (*concepts, concept)
