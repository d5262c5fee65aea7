"""A conversation goes on from protocol to protocol: each gets all that it can take, and nobody else's reasoning."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from itertools import chain
from typing import Any

import pytest

from tests.cli_runner import CliRunner
from tests.providers.loopback import KEY, Server, ndjson, serving, sse, status, stream

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGE = base64.b64encode(PNG).decode()
MODELS = {
    "responses": "openai/gpt-8",
    "messages": "anthropic/claude-opus-8",
    "gemini": "gemini/gemini-8-pro",
    "ollama": "ollama/qwen8",
    "chat": "openrouter/maker/model-8",
}
Said = list[tuple[str, str, bool]]
"""The conversation as a server sees it: role, text, and whether an image is with it."""


class Refused(Exception):
    """What a strict server says of a request."""


def need(condition: object, why: str) -> None:
    if not condition:
        raise Refused(why)


def only(keys: Iterable[str], *allowed: str) -> None:
    need(set(keys) <= set(allowed), f"unexpected fields: {sorted(set(keys) - set(allowed))}")


def opaque(items: Iterable[str], own: set[str]) -> None:
    for item in items:
        need(item in own, f"reasoning that is not mine: {item}")


def responses(body: dict[str, Any], own: set[str]) -> Said:
    only(body, "model", "input", "stream", "store", "instructions", "include", "reasoning")
    need(body["store"] is False and body["include"] == ["reasoning.encrypted_content"], "state")
    said: Said = []
    for item in body["input"]:
        if item.get("type") == "reasoning":
            only(item, "type", "summary", "encrypted_content")
            opaque([item["encrypted_content"]], own)
            continue
        parts = {part["type"]: part for part in item["content"]}
        need(set(parts) <= ({"output_text"} if item["role"] == "assistant" else {"input_text", "input_image"}), "parts")
        if "input_image" in parts:
            need(parts["input_image"]["image_url"] == f"data:image/png;base64,{IMAGE}", "image")
        text = parts["output_text" if item["role"] == "assistant" else "input_text"]["text"]
        said.append((item["role"], text, "input_image" in parts))
    return said


def messages(body: dict[str, Any], own: set[str]) -> Said:
    only(body, "model", "messages", "max_tokens", "stream", "system")
    said: Said = []
    for message in body["messages"]:
        kinds = [block["type"] for block in message["content"]]
        need(set(kinds) <= ({"thinking", "text"} if message["role"] == "assistant" else {"image", "text"}), "blocks")
        need("thinking" not in kinds[1:] or kinds[0] == "thinking", "thinking comes first")
        for block in message["content"]:
            if block["type"] == "thinking":
                only(block, "type", "thinking", "signature")
                opaque([block["signature"]], own)
            elif block["type"] == "image":
                need(block["source"] == {"type": "base64", "media_type": "image/png", "data": IMAGE}, "image")
            else:
                need(block["text"], "text content blocks must be non-empty")
        text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
        said.append((message["role"], text, "image" in kinds))
    return said


def gemini(body: dict[str, Any], own: set[str]) -> Said:
    only(body, "contents", "systemInstruction", "generationConfig")
    said: Said = []
    for content in body["contents"]:
        parts = content["parts"]
        for part in parts:
            need(len({"text", "inlineData"} & set(part)) == 1, "a part has one kind of data")
            opaque([part["thoughtSignature"]] if "thoughtSignature" in part else [], own)
        images = [part["inlineData"] for part in parts if "inlineData" in part]
        need(all(one == {"mimeType": "image/png", "data": IMAGE} for one in images), "image")
        role = {"user": "user", "model": "assistant"}[content["role"]]
        said.append((role, "".join(part.get("text", "") for part in parts), bool(images)))
    return said


def ollama(body: dict[str, Any], own: set[str]) -> Said:
    only(body, "model", "messages", "stream")
    for message in body["messages"]:
        only(message, "role", "content", "images")
        need(message.get("images", [IMAGE]) == [IMAGE], "images are bare base64")
    spoken = [message for message in body["messages"] if message["role"] != "system"]
    return [(message["role"], message["content"], "images" in message) for message in spoken]


def completions(body: dict[str, Any], own: set[str]) -> Said:
    only(body, "model", "messages", "stream", "stream_options", "usage")
    said: Said = []
    for message in body["messages"]:
        only(message, "role", "content", "reasoning_details")
        opaque([detail["data"] for detail in message.get("reasoning_details", ())], own)
        parts = message["content"]
        parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
        images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        need(all(url == f"data:image/png;base64,{IMAGE}" for url in images), "image")
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        said.append((message["role"], text, bool(images)))
    return [one for one in said if one[0] != "system"]


CHECKS: dict[str, Callable[[dict[str, Any], set[str]], Said]] = {
    "responses": responses,
    "messages": messages,
    "gemini": gemini,
    "ollama": ollama,
    "chat": completions,
}


def reply(kind: str, text: str, secret: str) -> bytes:
    """A reply with reasoning that only its maker can read, where the protocol has that."""
    if kind == "responses":
        item = {"type": "reasoning", "summary": [], "encrypted_content": secret}
        done = {"status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 9}}
        return sse(
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.output_text.delta", "output_index": 1, "delta": text},
            {"type": "response.completed", "response": done},
        )
    if kind == "messages":
        deltas = [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": secret},
            {"type": "text_delta", "text": text},
        ]
        return sse(
            {"type": "message_start", "message": {"usage": {"input_tokens": 9}}},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        )
    if kind == "gemini":
        parts = [{"text": "hm", "thought": True}, {"text": text}, {"text": "", "thoughtSignature": secret}]
        return sse({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    if kind == "ollama":
        return ndjson({"message": {"content": text, "thinking": "hm"}, "done": True})
    details = [{"type": "reasoning.encrypted", "data": secret, "index": 0}]
    return sse({"choices": [{"delta": {"content": text, "reasoning_details": details}, "finish_reason": "stop"}]})


class StrictServer:
    """All protocols at one address. `seen` has the conversation and the reasoning of each request."""

    def __init__(self) -> None:
        self.own: dict[str, set[str]] = {kind: set() for kind in CHECKS}
        self.seen: list[tuple[str, Said, str]] = []
        self.refused: list[str] = []

    def answer(self, server: Callable[[], Server]) -> Callable[[BaseHTTPRequestHandler], None]:
        def turn(handler: BaseHTTPRequestHandler) -> None:
            request = server().seen[-1]
            ends = {"responses": "responses", "messages": "messages", "api/chat": "ollama", "completions": "chat"}
            kind = next((name for end, name in ends.items() if request.path.endswith(end)), "gemini")
            if request.method == "GET":
                status(404)(handler)
                return
            try:
                said = CHECKS[kind](request.body, self.own[kind])
                roles = [role for role, _, _ in said]
                need(roles == ["user", "assistant"] * (len(roles) // 2) + ["user"], f"roles: {roles}")
            except (Refused, KeyError, TypeError) as error:
                self.refused.append(f"{kind}: {error!r}")
                status(400, {"error": {"message": repr(error)}})(handler)
                return
            secret = f"{kind}-secret-{len(self.seen)}"
            self.own[kind].add(secret)
            self.seen.append((kind, said, str(request.body)))
            stream(reply(kind, f"answer {len(self.seen)}", secret))(handler)

        return turn


ORDER = [kind for kind in CHECKS for _ in range(2)] + ["responses", "messages", "gemini", "chat"]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_conversation_goes_through_all_protocols_and_back(cli: CliRunner, resumed: bool) -> None:
    strict, found = StrictServer(), list[Server]()
    (cli.cwd / "dot.png").write_bytes(PNG)
    with serving(strict.answer(lambda: found[0])) as server:
        found.append(server)
        names = (
            "OPENAI_BASE_URL",
            "ANTHROPIC_BASE_URL",
            "GOOGLE_GEMINI_BASE_URL",
            "OLLAMA_HOST",
            "OPENROUTER_BASE_URL",
        )
        cli.environ |= dict.fromkeys(names, server.url)
        keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY")
        cli.environ |= dict.fromkeys(keys, KEY)
        lines: list[list[str]] = []
        for number, kind in enumerate(ORDER, 1):
            attach = [":attach dot.png"] if number in (1, 6) else []
            lines.append([f":model {MODELS[kind]}", *attach, f"question {number}"])
        if resumed:  # each turn by a shell of its own
            for number, turn in enumerate(lines):
                words = ("chat", "-r", "talk") if number else ("chat", "--name", "talk", "-m", MODELS[ORDER[0]])
                ran = cli.script(*turn, words=words)
                assert ran.code == 0, ran.err
        else:
            ran = cli.script(*chain(*lines), words=("chat", "--name", "talk", "-m", MODELS[ORDER[0]]))
            assert ran.code == 0, (ran.err, strict.refused)
    assert not strict.refused and [kind for kind, _, _ in strict.seen] == ORDER
    whole: Said = []
    for number, (kind, said, body) in enumerate(strict.seen, 1):
        whole.append(("user", f"question {number}", number in (1, 6)))
        assert said == whole, f"{kind} got less than all of it"
        whole.append(("assistant", f"answer {number}", False))
        kept = {secret for secret in strict.own[kind] if f"'{secret}'" in body}
        before = {f"{kind}-secret-{place}" for place, other in enumerate(ORDER[: number - 1]) if other == kind}
        assert kept == (set() if kind == "ollama" else before), f"{kind} gets back all of its own reasoning"
    turns = cli.session("talk")["turns"]
    assert [turn["answered_by"] for turn in turns] == [MODELS[kind] for kind in ORDER]
