"""Full-text search over the documentation, split into sections."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MOST_WORDS = 24
"""Maximum number of different words of a question that are looked up."""

LEAST_COVERAGE = 0.5
"""Minimum fraction of a question's words, by weight, that a matching section covers."""

FOR_BUILDERS = frozenset({"architecture.md", "changelog.md", "contributing.md"})
"""Pages for developers, which rank below those for users."""

COMMANDS = "commands.md"
"""The page with every command and its options, generated from the table of commands."""

_STOP = frozenset(
    """
    a about actually after again all also am an and any are as at be because been but by can cannot could did do does
    doing done dont else ever explain find for from get gets getting give go got had happen happened happens has have
    help her here him his how i if in into is isn it its just know learn let like ll llm llmrepl made make makes many
    may me might mine more much must my need not of off on one or our out over please possible r re really s see set
    shall she shell should show so some something t tell than thanks that the their them then there these they thing
    things this those to too u up us use used using ve very want wants was way we were what whats when where which
    while who whom whose why will with work works would yes you your
    """.split()
)

_ALIKE = (
    "amount bill billing charge cost expense money pay price spend spent",
    "branch fork",
    "bye close exit leave quit",
    "cancel interrupt stop abort",
    "cheap free",
    "chat conversation session dialog dialogue",
    "completion complete autocomplete tab",
    "config configuration configure option preference setting",
    "credential key password token",
    "crash kill lost lose power recover",
    "delete erase remove trash",
    "directory folder dir",
    "find grep search lookup",
    "install installation setup",
    "keybinding keyboard keys shortcut",
    "limit budget cap",
    "md markdown",
    "multiline paste multi newline",
    "offline local",
    "open load resume continue reopen",
    "persona role instruction system",
    "pipe piped script scripting automate batch stdin",
    "provider server vendor host",
    "retry regenerate",
    "start begin started beginner tutorial introduction",
    "store write keep save",
    "switch change choose select pick",
    "undo revert",
)


def _stem(word: str) -> str:
    return re.sub(r"(ing|ed|es|e|s)$", "", word)


def _meanings() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for row in _ALIKE:
        alike = frozenset(row.split())
        for stem in map(_stem, alike):
            found[stem] = found.get(stem, frozenset()) | alike
    return found


_MEANINGS = _meanings()


@dataclass(frozen=True, slots=True)
class Section:
    """The text under a heading: `page` is a file name, `path` the headings from the page's title down."""

    page: str
    path: tuple[str, ...]
    text: str


class DocsSearch:
    """Full-text search over the sections of `docs`/*.md, built in memory (about 10 ms)."""

    def __init__(self, docs: Path) -> None:
        self._sections = [s for page in sorted(docs.glob("*.md")) for s in sections(page) if s.text]
        # An interface may stream each reply in a thread of its own; they run one after another.
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute("CREATE VIRTUAL TABLE section USING fts5 (heading, above, text, code, tokenize = porter)")
        rows = (
            (n, s.path[-1], f"{s.page} {' '.join(s.path[:-1])}", *_prose_and_code(s.text))
            for n, s in enumerate(self._sections)
        )
        self._db.executemany("INSERT INTO section (rowid, heading, above, text, code) VALUES (?, ?, ?, ?, ?)", rows)

    def search(self, question: str, limit: int = 5, least: float = LEAST_COVERAGE) -> list[Section]:
        """Return the sections that answer `question`, best first; empty if there is no answer."""
        terms = words(question)
        if not any(map(str.isalpha, terms)):
            return []
        matches = [frozenset(self._rows(_either(word))) for word in terms]
        headed = [frozenset(self._rows(f"{{heading}} : {_either(word)}")) for word in terms]
        weights = [math.log(1 + len(self._sections) / (len(rows) or 0.5)) for rows in matches]
        scored = []
        for row, rank in self._ranked(terms):
            coverage = sum(weight for rows, weight in zip(matches, weights, strict=True) if row in rows) / sum(weights)
            if coverage >= least:
                named = sum(row in rows for rows in headed) / len(headed)
                weight = 0.3 if self._sections[row].page in FOR_BUILDERS else 1 + named
                scored.append((coverage * rank * weight, row))
        scored.sort(reverse=True)
        return [self._sections[row] for _, row in scored[:limit]]

    def nearest(self, question: str, limit: int, page: str = "") -> list[Section]:
        """Return the best sections even for a poor match, optionally of one `page`."""
        ranked = [self._sections[row] for row, _ in self._ranked(words(question))] if words(question) else []
        fitting = [s for s in ranked if (s.page == page if page else s.page not in FOR_BUILDERS)]
        return fitting[:limit]

    def option(self, flag: str) -> list[tuple[str, str]]:
        """The commands that have an option such as `--limit`, each with the line about it in the list of commands."""
        line = re.compile(rf"^- `(?:-\w, )?(?:--[\w-]+, )*{re.escape(flag)}\b[^`]*`: .*$", re.MULTILINE)
        found = ((s.path[-1], line.search(s.text)) for s in self._sections if s.page == COMMANDS)
        return [(name, hit[0].removeprefix("- ")) for name, hit in found if hit]

    def has_command(self, word: str) -> bool:
        """Whether a command, or another name of one, begins with `word`."""
        sections = [s for s in self._sections if s.page == COMMANDS]
        names = [s.path[-1] for s in sections] + re.findall(r"(?<=`)\w+(?=`)", " ".join(_aliases(s) for s in sections))
        return any(name.split()[0] == word for name in names)

    def _rows(self, query: str) -> Iterator[int]:
        for (row,) in self._db.execute("SELECT rowid FROM section WHERE section MATCH ?", (query,)):
            yield row

    def _ranked(self, terms: list[str]) -> Iterator[tuple[int, float]]:
        """Yield rows with scores, higher is better: heading words count ten times, phrases add to the score."""
        phrases = [f'"{first} {second}"' for first, second in pairwise(terms)]
        query = " OR ".join([*map(_either, terms), *phrases])
        sql = "SELECT rowid, -bm25(section, 10, 2, 1, 0.2) FROM section WHERE section MATCH ? ORDER BY 2 DESC LIMIT 50"
        yield from self._db.execute(sql, (query,))


def words(question: str) -> list[str]:
    """Return the significant words of `question` without repetition; `:set` and `--since` are always significant."""
    spoken = re.findall(r"(:|--)?([^\W_]+)", question.lower())
    return list(dict.fromkeys(word for sigil, word in spoken if sigil or word not in _STOP))[:MOST_WORDS]


def sections(page: Path) -> list[Section]:
    """Split a Markdown page at its ATX headings, ignoring `#` in code blocks."""
    found: list[Section] = []
    path: list[str] = [page.stem]
    lines: list[str] = []
    fence = ""
    for line in page.read_text(encoding="utf-8").splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        heading = None if fence else re.match(r"(#{1,6})\s+(.*?)\s*#*$", line)
        if mark and not fence:
            fence = mark[1]
        elif mark and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        if heading:
            found.append(Section(page.name, tuple(path), "\n".join(lines).strip()))
            path, lines = [*path[: len(heading[1]) - 1], heading[2]], []
        else:
            lines.append(line)
    return [*found, Section(page.name, tuple(path), "\n".join(lines).strip())]


def _aliases(section: Section) -> str:
    return next((line for line in section.text.splitlines() if line.startswith("Also: ")), "")


def _prose_and_code(text: str) -> tuple[str, str]:
    """Return a section's prose, and each word of its code blocks once, so that long blocks do not rank higher."""
    parts = re.split(r"(?m)^ {0,3}(?:`{3,}|~{3,}).*$", text)
    return "\n".join(parts[::2]), " ".join(dict.fromkeys(" ".join(parts[1::2]).split()))


def _either(word: str) -> str:
    """Build the query for `word` or its synonyms."""
    alike = {word, *_MEANINGS.get(_stem(word), ())}
    return "(" + " OR ".join(f'"{other}"' for other in sorted(alike)) + ")"
