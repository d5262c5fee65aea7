"""Reasoning inside the text, between tags."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrepl.providers.base import ReasoningDelta, TextDelta
from llmrepl.providers.think_tags import TAGS, ThinkTags
from tests.providers.loopback import ndjson, sse
from tests.providers.test_event_reader import chunk, read


def split(*pieces: str) -> tuple[str, str]:
    """Return the reasoning and the text of a reply in these pieces."""
    tags = ThinkTags()
    events = [event for piece in pieces for event in tags.split(piece)] + tags.end()
    assert all(event.text for event in events)
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thought, "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("reply", "thought", "text"),
    [
        ("<think>\nlet me see\n</think>\n\nHello", "let me see", "Hello"),
        ("\n <think>a < b</think>Hello", "a < b", "Hello"),
        ("<think>\n\n</think>\n\nHello", "", "Hello"),
        ("<think>a</think><think>b</think>Hello", "ab", "Hello"),
        ("<think>it never ends", "it never ends", ""),
        ("<think>a</think>", "a", ""),
        ("[THINK]a[/THINK]Hello", "a", "Hello"),
        ("<thought>a</thought>Hello", "a", "Hello"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>Hello", "a", "Hello"),
        ("<|channel>thought\na<channel|>Hello", "a", "Hello"),
        ("Hello <think>no</think>", "", "Hello <think>no</think>"),
        ("<thing>Hello", "", "<thing>Hello"),
        ("<thin", "", "<thin"),
        ("[1] Hello", "", "[1] Hello"),
        ("  indented", "", "  indented"),
        ("  ", "", "  "),
        ("", "", ""),
        (" " * 5000 + "late", "", " " * 5000 + "late"),
    ],
)
def test_only_tags_at_the_beginning_hold_reasoning(reply: str, thought: str, text: str) -> None:
    assert split(reply) == (thought, text)
    assert split(*reply) == (thought, text)


_REPLY = st.lists(st.sampled_from(["<think>", "</think>", "<thi", "nk>", " ", "\n", "x", "<", "[THINK]"]), max_size=12)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(_REPLY.map("".join), st.lists(st.integers(0, 60), max_size=6))
def test_cuts_change_nothing_and_no_word_is_lost(reply: str, places: list[int]) -> None:
    borders = sorted({0, len(reply), *(min(place, len(reply)) for place in places)})
    whole = split(reply)
    assert split(*(reply[start:end] for start, end in pairwise(borders))) == whole
    assert "".join(whole).count("x") == reply.count("x")


@pytest.mark.parametrize("pieces", [["<think>hm</think>Hi"], ["<th", "ink>h", "m</thi", "nk>\n", "Hi"]])
def test_servers_without_a_parser_for_reasoning_are_read(pieces: list[str]) -> None:
    chat = sse(*(chunk({"content": piece}) for piece in pieces), "[DONE]")
    lines = [{"message": {"content": piece}} for piece in pieces]
    for dialect, body in (("openai", chat), ("ollama", ndjson(*lines, {"done": True}))):
        events, failure = read(dialect, body)
        assert failure is None
        assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "hm"
        assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Hi"


def test_every_opening_tag_has_a_closing_one() -> None:
    assert all(closing.replace("/", "") == opening for opening, closing in TAGS.items() if "|" not in opening)
