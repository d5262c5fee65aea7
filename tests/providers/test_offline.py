"""The built-in models: the echo, and the guide that answers out of the documentation."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.errors import UsageError
from llmrepl.providers.base import Event, Finish, Options, Request, TextDelta
from llmrepl.providers.offline.docs_search import DocsSearch, sections
from llmrepl.providers.offline.provider import OfflineProvider, count_tokens
from llmrepl.system.resources import packaged
from llmrepl.types import Message, Usage

PAGES = {
    "sessions.md": """# Sessions

A conversation is a session, a JSON file.

## Save a session

`:save NAME` gives the session a name.

## Export a session

`:export md notes.md` writes the conversation as Markdown, `:export html` as a page for a browser.

```sh
# not a heading
llm sessions export NAME md
```

## Delete a session

`:delete NAME` moves it to the trash.
""",
    "money.md": """# Money

## What a turn costs

The price of the tokens. `:cost` shows it, `:cost detailed` turn by turn.

## Budgets

`:budget 2` refuses what would pass 2 USD.
""",
    "keys.md": """# Keys and providers

## API keys

`OPENAI_API_KEY` in the environment, or `llm keys set openai`.

## The settings

`:set temperature 0.2` changes a setting for this shell.
""",
}


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("docs")
    for name, text in PAGES.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def run(docs: Path, model: str, *prompts: str, options: Options | None = None) -> list[Event]:
    """The events of the reply to the last of `prompts`, the others having been asked before it."""
    messages = [Message("user", prompts[0])]
    for prompt in prompts[1:]:
        messages += [Message("assistant", "an answer"), Message("user", prompt)]
    return list(OfflineProvider(docs).stream(Request(model, messages, options=options or Options())))


def ask(docs: Path, *prompts: str) -> str:
    return text_of(run(docs, "guide", *prompts))


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@settings(max_examples=200, derandomize=True)
@given(st.text(st.characters()))
def test_echo_repeats_any_text_exactly_and_ends(prompt: str) -> None:
    events = run(Path(), "echo", prompt)
    assert text_of(events) == prompt
    assert events[-2:] == [Usage(count_tokens(prompt), count_tokens(prompt), cost=0.0), Finish("stop")]


def test_echo_streams_words() -> None:
    pieces = [event.text for event in run(Path(), "echo", "one two,\n three") if isinstance(event, TextDelta)]
    assert pieces == ["one", " two", ",", "\n three"]


def test_echo_counts_only_the_last_message() -> None:
    events = run(Path(), "echo", "a b c d", "three words here.")
    assert Usage(4, 4, cost=0.0) in events


def test_echo_of_nothing_is_a_whole_reply() -> None:
    assert run(Path(), "echo", "") == [Usage(0, 0, cost=0.0), Finish("stop")]


@pytest.mark.parametrize("stream", [True, False])
def test_max_tokens_cuts_the_reply(stream: bool) -> None:
    events = run(Path(), "echo", "one two three", options=Options(max_tokens=2, stream=stream))
    assert text_of(events) == "one two"
    assert events[-2:] == [Usage(3, 2, cost=0.0), Finish("length")]
    assert run(Path(), "echo", "one two", options=Options(max_tokens=2))[-1] == Finish("stop")


def test_without_streaming_the_reply_is_one_piece() -> None:
    events = run(Path(), "echo", "one two three", options=Options(stream=False))
    assert events[0] == TextDelta("one two three")


def test_a_turn_costs_the_same_however_long_the_conversation() -> None:
    class Long(Sequence[Message]):
        reads = 0

        def __len__(self) -> int:
            return 10_000

        @overload
        def __getitem__(self, key: int) -> Message: ...
        @overload
        def __getitem__(self, key: slice) -> Sequence[Message]: ...
        def __getitem__(self, key: int | slice) -> Message | Sequence[Message]:
            wanted = range(len(self))[key]
            self.reads += 1 if isinstance(wanted, int) else len(wanted)
            return Message("user", "hello") if isinstance(wanted, int) else [Message("user", "hello")] * len(wanted)

    for model in ("echo", "guide"):
        conversation = Long()
        list(OfflineProvider(packaged("docs")).stream(Request(model, conversation)))
        assert 1 <= conversation.reads <= 20


def test_an_unknown_model_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="offline/guide or offline/echo"):
        run(Path(), "gpt-4o", "hello")


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("how do I export a session to markdown?", "Export a session"),
        ("How can I get my conversation out as HTML?", "Export a session"),
        ("how do I store my chat under a name", "Save a session"),
        ("what did this cost me?", "What a turn costs"),
        ("can I set a spending limit, a budget?", "Budgets"),
        ("where do I put my api key", "API keys"),
        ("what does :set do?", "The settings"),
        ("removing sessions", "Delete a session"),
    ],
)
def test_the_guide_answers_with_the_fitting_section_and_its_page(docs: Path, question: str, heading: str) -> None:
    first = ask(docs, question).splitlines()[0]
    assert heading in first
    assert "docs/" in first


def test_the_answer_holds_the_section_as_it_stands(docs: Path) -> None:
    answer = ask(docs, "how do I export a session to markdown?")
    assert "**Sessions › Export a session** (docs/sessions.md)" in answer
    assert "```sh\n# not a heading\nllm sessions export NAME md\n```" in answer


@pytest.mark.parametrize(
    "question",
    ["what is the capital of France?", "write a poem about the sea", "2+2", "?", "", "so what is it", "\ud800 \x1b[2J"],
)
def test_the_guide_says_when_the_documentation_has_no_answer(docs: Path, question: str) -> None:
    answer = ask(docs, question)
    assert "has no answer" in answer
    assert "offline/guide" in answer


@pytest.mark.parametrize("greeting", ["hello", "Hi!", "hey there", "What are you?", "good morning", "help"])
def test_the_guide_greets_and_says_what_it_is(docs: Path, greeting: str) -> None:
    answer = ask(docs, greeting)
    assert "I am offline/guide" in answer
    assert "not a language model" in answer


def test_a_follow_up_is_understood_with_the_question_before_it(docs: Path) -> None:
    assert "Export a session" in ask(docs, "how do I export a session to markdown?", "and to html?")
    assert "Delete a session" in ask(docs, "how do I save a session?", "and delete it?")


def test_more_goes_on_to_the_next_best_section_until_there_is_none(docs: Path) -> None:
    asked = ["how do I save a session?", "more", "tell me more"]
    told = [ask(docs, *asked[: n + 1]).splitlines()[0] for n in range(len(asked))]
    assert "Save a session" in told[0]
    assert len(set(told)) == 3
    assert "no more" in told[-1]
    assert "no more" in ask(docs, "capital of France?", "more")


def test_the_guide_streams_in_small_pieces_and_costs_nothing(docs: Path) -> None:
    events = run(docs, "guide", "how do I export a session?")
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert max(map(len, pieces)) < 40
    assert events[-2] == Usage(7, count_tokens("".join(pieces)), cost=0.0)
    assert events[-1] == Finish("stop")


def test_pages_for_users_come_before_those_for_builders(tmp_path: Path) -> None:
    (tmp_path / "architecture.md").write_text("# Zebras\n\nZebras, zebras.\n", encoding="utf-8")
    (tmp_path / "animals.md").write_text("# Animals\n\nThere are zebras among other animals.\n", encoding="utf-8")
    assert "docs/animals.md" in ask(tmp_path, "zebras").splitlines()[0]
    (tmp_path / "animals.md").unlink()
    assert "docs/architecture.md" in ask(tmp_path, "zebras").splitlines()[0]


def test_a_long_section_is_cut_and_names_its_page(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("# Zebras\n\n" + "\n\n".join(f"zebra {n}" for n in range(200)), encoding="utf-8")
    answer = ask(tmp_path, "zebras")
    assert "zebra 20" in answer
    assert "zebra 199" not in answer
    assert answer.endswith("There is more of it in docs/long.md.")


def test_headings_inside_fences_are_text(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n~~~~\n# b\n~~~\n# c\n~~~~\n## D ##\ntext\n# E\n", encoding="utf-8")
    assert [(s.path, s.text) for s in sections(page)] == [
        (("page",), ""),
        (("A",), "~~~~\n# b\n~~~\n# c\n~~~~"),
        (("A", "D"), "text"),
        (("E",), ""),
    ]


def test_the_documentation_is_found_and_opens_quickly() -> None:
    assert (packaged("docs") / "architecture.md").is_file()
    took = []
    for _ in range(3):
        began = time.perf_counter()
        DocsSearch(packaged("docs")).search("how do I export a session to markdown?")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_the_offline_models_load_none_of_the_slow_libraries() -> None:
    program = "import sys, llmrepl.providers.offline.provider; print(*{'httpx', 'pydantic', 'rich'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == ""
