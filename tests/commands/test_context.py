"""What shapes a conversation: attachments, earlier prompts, summaries, the clipboard, and what is not to be kept."""

from __future__ import annotations

import json

import pytest

from llmrepl.commands.context import code_blocks
from tests.cli_runner import CHAT, Newcomer


def test_a_file_and_a_commands_output_go_with_the_next_prompt_only(newcomer: Newcomer) -> None:
    (newcomer.cwd / "notes.txt").write_text("a ``` b\n")
    ran = newcomer.script(":attach notes.txt", ":attach !echo from the shell", "look", "next", ":save talk")
    assert ran.code == 0
    first, second = (turn[0] for turn in newcomer.said("talk"))
    assert first == "look\n\nnotes.txt:\n````\na ``` b\n````\n\n$ echo from the shell:\n```\nfrom the shell\n```"
    assert second == "next"


def test_an_image_is_kept_beside_the_text_and_still_there_after_a_load(newcomer: Newcomer) -> None:
    (newcomer.cwd / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    newcomer.script(":attach dot.png", "look", ":save talk")
    newcomer.script("again", words=("chat", "-r", "talk"))
    message = json.loads((newcomer.cwd / "runs" / "talk.json").read_text())["turns"][0]["messages"][0]
    assert message["content"] == "look"
    assert message["attachments"] == [{"name": "dot.png", "media_type": "image/png", "data": "iVBORw0KGgo="}]


@pytest.mark.parametrize("what", ["nowhere.txt", ".", "raw.bin", "!exit 3"])
def test_what_cannot_be_attached_is_said(newcomer: Newcomer, what: str) -> None:
    (newcomer.cwd / "raw.bin").write_bytes(b"\xff\xfe\x00")
    ran = newcomer.script(f":attach {what}")
    assert ran.code == 2 and ran.err.startswith("error: ")


def test_incognito_leaves_no_trace_but_amounts(newcomer: Newcomer) -> None:
    newcomer.script("open", ":incognito on", "hidden words", ":incognito off", "open again")
    texts = [p.read_bytes() for p in newcomer.cwd.parent.rglob("*") if p.is_file()]
    assert texts and not any(b"hidden words" in text for text in texts)
    rows = json.loads(newcomer.llm("usage", "--breakdown-by", "session", "--json").out)
    assert sum(row["requests"] for row in rows) == 3
    assert next(row for row in rows if not row["session"])["requests"] == 1


def test_save_leaves_incognito_on_purpose(newcomer: Newcomer) -> None:
    newcomer.script(":incognito on", "said", ":save kept", "more")
    assert [turn[0] for turn in newcomer.said("kept")] == ["said", "more"]


def test_a_summary_takes_the_place_of_what_it_sums_up_and_the_turns_stay(newcomer: Newcomer) -> None:
    newcomer.script("one", "two", ":compact", ":save talk", "three", words=CHAT)
    session = json.loads((newcomer.cwd / "runs" / "talk.json").read_text())
    assert [turn["messages"][0]["content"] for turn in session["turns"]] == ["one", "two", "three"]
    assert session["meta"]["context_start"] == 2 and session["meta"]["summary"].startswith("Summarize")


def test_code_blocks_are_copied_byte_for_byte() -> None:
    text = "a\n```py\nx = 1\n\n  y\n```\nb\n~~~~\n```\nno end\n~~~~\n\n````\nopen"
    assert code_blocks(text) == ["x = 1\n\n  y\n", "```\nno end\n", "open"]
    assert code_blocks("no code") == []
