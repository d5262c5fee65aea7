"""The provider that is always there: no key, no network, no weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.providers.base import Event, Finish, Request, TextDelta
from llmrepl.providers.offline.docs_search import DocsSearch, Section, words
from llmrepl.providers.vendors import OFFLINE_MODELS as MODELS
from llmrepl.types import Message, Usage

LONGEST = 60
"""Of a longer section so many lines are quoted; the page has the rest."""

_PIECE = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
_TOKEN = re.compile(r"\w+|[^\w\s]")

_GREETING = """Hello! I am offline/guide: I answer questions about this shell out of its own documentation. I need no \
key and no network, and I am a search, not a language model.

Ask me, for example:

- how do I export a session to markdown?
- how do I choose another model?
- what happens when the shell is killed?

`:help` lists the commands, and `:exit` or Ctrl-D leaves."""

_NO_ANSWER = """The documentation of this shell has no answer to that.

I am offline/guide: I only search the shell's own documentation, and I am not a language model. Ask about the shell in \
other words, see `:help`, or talk to a language model: `:model` shows and switches the model."""

_SMALL_TALK = (
    (r"(hello|hi|hey|hiya|howdy|greetings|good (morning|day|afternoon|evening))( there| guide)?", _GREETING),
    (r"(who|what) (are|r) (you|u)|what is (this|offline/?guide)|help( me)?", _GREETING),
    (r"(many )?(thanks|thank you|thx|cheers|great|ok|okay)( a lot| so much| very much)?", "You are welcome."),
    (r"(good ?)?bye( bye)?|see you|exit|quit", "Leave with `:exit` or Ctrl-D. What was said is saved."),
)
_MORE = re.compile(r"(tell me |show me )?(more|next|go on|continue|and then|what else)( please)?")
_FOLLOWS = re.compile(r"(and|or|but|also|then|what about|how about|what if)\b")


class OfflineProvider:
    """`guide` answers out of the pages in the directory `docs`, `echo` repeats the last message.

    Tokens are those of a tokenizer of its own, in which each word and each punctuation mark is one. The cost is 0. A
    request is read only as far as it is needed, so its price in time does not grow with the conversation.
    """

    name = "offline"

    def __init__(self, docs: Path) -> None:
        self._docs = docs

    @cached_property
    def _handbook(self) -> DocsSearch:
        return DocsSearch(self._docs)

    def stream(self, request: Request) -> Iterator[Event]:
        """The reply in pieces of a word each, its usage and its end. Raises UsageError for an unknown model."""
        if request.model not in MODELS:
            raise UsageError(f"offline has no model {request.model!r}", "choose offline/guide or offline/echo")
        prompt = request.messages[-1].content if request.messages else ""
        answer = prompt if request.model == "echo" else self._guide(request.messages)
        yield from _streamed(prompt, answer, request)

    def _guide(self, messages: Sequence[Message]) -> str:
        questions = _questions(messages)
        asked = _plain(questions[0])
        for pattern, reply in _SMALL_TALK:
            if re.fullmatch(pattern, asked):
                return reply
        skip = next((n for n, text in enumerate(questions) if not _MORE.fullmatch(_plain(text))), len(questions))
        if skip:  # asked for more of the same
            hits = self._hits(questions[skip:])[skip:]
            return _told(hits) if hits else "The documentation has no more on that."
        hits = self._hits(questions)
        return _told(hits) if hits else _NO_ANSWER

    def _hits(self, questions: Sequence[str]) -> list[Section]:
        """What answers the first of `questions`, which may only be understood together with the one before it."""
        if not questions:
            return []
        question, *before = questions
        follows = bool(_FOLLOWS.match(_plain(question))) or len(words(question)) < 2
        if follows and before and (both := self._handbook.search(f"{question} {before[0]}")):
            return both
        return self._handbook.search(question)


def count_tokens(text: str) -> int:
    """The tokens of `text`: its words and punctuation marks."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _questions(messages: Sequence[Message], most: int = 6) -> list[str]:
    """The last questions of the user, the newest first."""
    recent = messages[-2 * most :]
    return [message.content for message in reversed(recent) if message.role == "user"][:most] or [""]


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[.!?,;:…]", " ", text.lower()).split())


def _told(hits: Sequence[Section]) -> str:
    """The best section, with its heading and page, and where else to look."""
    best, *others = hits
    lines = best.text.splitlines()
    cut = len(lines) > LONGEST
    if cut:
        blank = next((n for n in range(LONGEST, 0, -1) if not lines[n].strip()), LONGEST)
        lines = lines[:blank]
    told = [f"**{' › '.join(best.path)}** (docs/{best.page})", "", *lines]
    if cut:
        told += ["", f"There is more of it in docs/{best.page}."]
    also = [f"“{other.path[-1]}” (docs/{other.page})" for other in others[:2]]
    if also:
        told += ["", f"See also: {', '.join(also)}."]
    return "\n".join(told)


def _streamed(prompt: str, answer: str, request: Request) -> Iterator[Event]:
    most = request.options.max_tokens
    written = 0
    for piece in [answer] if not request.options.stream and most is None else _PIECE.findall(answer):
        if most is not None and written >= most:
            break
        written += count_tokens(piece)
        yield TextDelta(piece)
    yield Usage(prompt_tokens=count_tokens(prompt), completion_tokens=written, cost=0.0)
    yield Finish("stop" if most is None or written < most or written == count_tokens(answer) else "length")
