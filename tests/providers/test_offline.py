"""The built-in models: the echo, and the guide that answers from the documentation."""

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
from llmrepl.system.resources import packaged_directory
from llmrepl.types import Message, Usage
from tests.providers.pages import PAGES


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("docs")
    for name, text in PAGES.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def run(docs: Path, model: str, *prompts: str, options: Options | None = None) -> list[Event]:
    """Return the events of the reply to the last of `prompts`, after the others."""
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


def test_echo_of_an_empty_prompt_is_a_complete_reply() -> None:
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
        list(OfflineProvider(packaged_directory("docs")).stream(Request(model, conversation)))
        assert 1 <= conversation.reads <= 20


def test_an_unknown_model_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="offline/guide or offline/echo"):
        run(Path(), "gpt-4o", "hello")


def test_the_guide_streams_in_small_pieces_and_costs_nothing(docs: Path) -> None:
    events = run(docs, "guide", "how do I export a session?")
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert max(map(len, pieces)) < 40
    assert ":export md notes.md" in "".join(pieces)
    assert events[-2] == Usage(7, count_tokens("".join(pieces)), cost=0.0)
    assert events[-1] == Finish("stop")


def test_the_guide_knows_the_questions_before_the_last(docs: Path) -> None:
    assert ":export json" in ask(docs, "how do I export to markdown?", "and in JSON?")


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
    assert (packaged_directory("docs") / "architecture.md").is_file()
    took = []
    for _ in range(3):
        began = time.perf_counter()
        DocsSearch(packaged_directory("docs")).search("how do I export a session to markdown?")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


def test_the_offline_models_load_none_of_the_slow_libraries() -> None:
    slow = "{'httpx', 'pydantic', 'rich', 'sqlite3', 'llmrepl.providers.offline.guide'}"
    program = f"import sys, llmrepl.providers.offline.provider; print(*{slow} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == ""
