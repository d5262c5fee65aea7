"""Import of content that is not plain text: attachments of Claude.ai, annotations and canvases of ChatGPT."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmrepl.sessions.importing import read
from llmrepl.sessions.importing.found import FoundConversation

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _only(path: Path, document: object) -> FoundConversation:
    path.write_text(json.dumps(document), encoding="utf-8")
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation)
    return item


def _texts(item: FoundConversation) -> list[str]:
    return [
        message.content for turn in item.session.turns for message in turn.messages if isinstance(message.content, str)
    ]


def _chatgpt(text: str, recipient: str = "all", kind: str = "text") -> dict[str, Any]:
    content = {"content_type": kind, "text": text} if kind == "code" else {"content_type": kind, "parts": [text]}
    asked = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Question"]}}
    reply = {"author": {"role": "assistant"}, "content": content, "recipient": recipient}
    mapping = {"1": {"parent": None, "message": asked}, "2": {"parent": "1", "message": reply}}
    return {"title": "Marks", "mapping": mapping, "current_node": "2"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A\ue200cite\ue202turn0search0\ue202turn1search2\ue201.", "A."),
        ("\ue203A\ue204\ue200cite\ue202turn0search0\ue201\ue206 b", "A b"),
        ("See \ue200url\ue202the docs\ue202https://example.com\ue201.", "See the docs."),
        ('In \ue200entity\ue202["city","Paris","capital"]\ue201.', "In Paris."),
        ("In \ue200entity\ue202[broken\ue201here.", "In here."),
        ("Cut \ue200cite", "Cut cite"),
    ],
)
def test_citation_marks_of_chatgpt_are_removed(tmp_path: Path, text: str, shown: str) -> None:
    assert _texts(_only(tmp_path / "one.json", _chatgpt(text))) == ["Question", shown]


def test_a_rewritten_canvas_is_a_reply(tmp_path: Path) -> None:
    call = json.dumps({"updates": [{"pattern": ".*", "multiple": False, "replacement": "New text."}]})
    item = _only(tmp_path / "one.json", _chatgpt(call, "canmore.update_textdoc", "code"))
    assert _texts(item) == ["Question", "New text."]


def test_the_text_of_claude_ai_attachments_is_kept_and_the_others_are_counted(tmp_path: Path) -> None:
    asked = {
        "sender": "human",
        "text": "Summarize this",
        "attachments": [{"file_name": "notes.txt", "extracted_content": "Buy milk."}, {"file_name": "empty.bin"}],
        "files": [{"file_name": "notes.txt"}, {"file_name": "photo.png"}],
    }
    reply = {"sender": "assistant", "text": "", "content": [{"type": "text", "text": "Milk."}]}
    item = _only(tmp_path / "one.json", {"uuid": "a", "name": "Notes", "chat_messages": [asked, reply]})
    assert _texts(item) == ["Summarize this\n\nnotes.txt:\nBuy milk.", "Milk."]
    assert item.notes == ("2 attachments left out",)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_openai_messages_is_one_conversation(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "messages.json"
    messages = [{"role": "user", "content": "Question"}, {"role": "assistant", "content": "Answer"}]
    path.write_text(json.dumps(messages, indent=indent))
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation) and _texts(item) == ["Question", "Answer"]


def test_a_codex_transcript_of_events_alone_is_imported(tmp_path: Path) -> None:
    records: list[tuple[str, dict[str, str]]] = [
        ("session_meta", {"id": "x"}),
        ("turn_context", {"model": "gpt-5"}),
        ("event_msg", {"type": "user_message", "message": "Question"}),
        ("event_msg", {"type": "agent_reasoning", "text": "hm"}),
        ("event_msg", {"type": "agent_message", "message": "Answer"}),
    ]
    path = tmp_path / "rollout.jsonl"
    path.write_text("\n".join(json.dumps({"type": kind, "payload": payload}) for kind, payload in records))
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation) and _texts(item) == ["Question", "Answer"]
    assert item.session.model == "openai/gpt-5" and item.source_id == "x"
