"""Import of JSON from other programs: the format is detected by content, and the texts are complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmrepl.errors import LLMError
from llmrepl.sessions.importing import detect_source, read
from llmrepl.sessions.importing.found import FoundConversation
from llmrepl.sessions.importing.source_file import SourceFile

NOW = datetime(2026, 1, 2, tzinfo=UTC)
AT = "2026-01-01T10:00:00Z"


def _claude_code(kind: str, content: object, **more: object) -> dict[str, Any]:
    message = {"role": kind, "content": content} | ({"model": "claude-opus-4-1"} if kind == "assistant" else {})
    return {"type": kind, "sessionId": "c1", "uuid": "u", "timestamp": AT, "message": message, **more}


def _codex(kind: str, **payload: object) -> dict[str, Any]:
    return {"timestamp": AT, "type": kind, "payload": payload}


CASES: dict[str, list[Any]] = {
    "claude.ai": [
        [
            {
                "uuid": "a1",
                "name": "Greeting",
                "created_at": AT,
                "chat_messages": [
                    {"sender": "human", "text": "Question", "content": []},
                    {
                        "sender": "assistant",
                        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Answer"}],
                    },
                ],
            }
        ]
    ],
    "claude-code": [
        {"type": "summary", "summary": "Greeting", "leafUuid": "u"},
        _claude_code("user", "Caveat", isMeta=True),
        _claude_code("user", "Question"),
        _claude_code("assistant", [{"type": "thinking", "thinking": "hm"}]),
        _claude_code("assistant", [{"type": "text", "text": "Answer"}, {"type": "tool_use", "name": "Bash"}]),
        _claude_code("user", [{"type": "tool_result", "content": "done"}]),
    ],
    "codex": [
        _codex("session_meta", id="x1", timestamp=AT),
        _codex("turn_context", model="gpt-5"),
        _codex(
            "response_item",
            type="message",
            role="user",
            content=[{"type": "input_text", "text": "<environment_context>here</environment_context>"}],
        ),
        _codex("response_item", type="message", role="user", content=[{"type": "input_text", "text": "Question"}]),
        _codex("response_item", type="reasoning", summary=[]),
        _codex("response_item", type="function_call", name="shell"),
        _codex("response_item", type="function_call_output", output="done"),
        _codex("response_item", type="message", role="assistant", content=[{"type": "output_text", "text": "Answer"}]),
    ],
    "gemini-cli": [
        {
            "sessionId": "g1",
            "startTime": AT,
            "messages": [
                {"type": "user", "content": "Question", "timestamp": AT},
                {
                    "type": "gemini",
                    "content": "Answer",
                    "model": "gemini-2.5-pro",
                    "tokens": {"input": 3, "output": 4, "total": 7},
                },
            ],
        }
    ],
    "sharegpt": [{"conversations": [{"from": "human", "value": "Question"}, {"from": "gpt", "value": "Answer"}]}],
    "openai": [[{"messages": [{"role": "user", "content": "Question"}, {"role": "assistant", "content": "Answer"}]}]],
}


def _write(path: Path, documents: list[Any], indent: int | None = None) -> Path:
    path.write_text("\n".join(json.dumps(document, indent=indent) for document in documents))
    return path


@pytest.mark.parametrize("source", CASES)
@pytest.mark.parametrize("indent", [None, 1])
def test_each_source_is_detected_and_its_texts_arrive(tmp_path: Path, source: str, indent: int | None) -> None:
    documents = CASES[source]
    path = _write(tmp_path / "file", documents, indent if len(documents) == 1 else None)
    assert detect_source(SourceFile(path)) == source
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation)
    [turn] = item.session.turns
    texts = [(message.role, message.content) for message in turn.messages]
    assert texts == [("user", "Question"), ("assistant", "Answer")]
    assert item.origin[0] == source


def test_model_usage_and_what_was_left_out_are_kept(tmp_path: Path) -> None:
    items = {source: next(read(_write(tmp_path / source, CASES[source]), NOW)) for source in CASES}
    found = {source: item for source, item in items.items() if isinstance(item, FoundConversation)}
    assert found["claude-code"].session.model == "anthropic/claude-opus-4-1"
    assert found["codex"].session.model == "openai/gpt-5"
    assert found["gemini-cli"].session.model == "gemini/gemini-2.5-pro"
    usage = found["gemini-cli"].session.turns[0].usage
    assert usage is not None and usage.total_tokens == 7
    assert found["claude-code"].notes == ("1 tool call left out", "1 tool message left out")
    assert found["codex"].notes == ("1 tool call left out", "1 tool message left out")
    assert found["claude-code"].title == "Greeting"


def test_a_transcript_cut_in_its_last_line_keeps_the_others(tmp_path: Path) -> None:
    path = _write(tmp_path / "file", CASES["codex"])
    path.write_text(path.read_text() + '\n{"timestamp": "20')
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation)
    assert "1 damaged line left out" in item.notes


def test_half_of_a_json_object_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    text = json.dumps(CASES["gemini-cli"][0], indent=1)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(LLMError, match="nothing was imported from"):
        list(read(path, NOW))


def test_json_of_another_kind_is_no_source(tmp_path: Path) -> None:
    path = _write(tmp_path / "package.json", [{"name": "x", "version": 1}], 1)
    with pytest.raises(LLMError, match="is not in a format that can be imported"):
        list(read(path, NOW))


def _chatgpt(id: str, parent: str | None, role: str, content: dict[str, Any], recipient: str = "all") -> dict[str, Any]:
    message = {"author": {"role": role}, "content": content, "recipient": recipient}
    return {id: {"parent": parent, "children": [], "message": message}}


def test_chatgpt_code_and_canvas_are_text_and_citation_marks_are_not(tmp_path: Path) -> None:
    canvas = {"content_type": "code", "text": json.dumps({"name": "Essay", "content": "The essay."})}
    cited = {"content_type": "text", "parts": ["Done.\ue200cite\ue202turn0search0\ue201"]}
    nodes = (
        _chatgpt("1", None, "user", {"content_type": "text", "parts": ["Question"]})
        | _chatgpt("2", "1", "assistant", canvas, "canmore.create_textdoc")
        | _chatgpt("3", "2", "assistant", {"content_type": "code", "text": "print(1)"})
        | _chatgpt("4", "3", "assistant", cited)
    )
    path = _write(tmp_path / "one.json", [{"title": "Kinds", "mapping": nodes, "current_node": "4"}], 1)
    [item] = read(path, NOW)
    assert isinstance(item, FoundConversation)
    [turn] = item.session.turns
    assert [message.content for message in turn.messages] == ["Question", "The essay.", "print(1)", "Done."]
