"""A small file of each source, in the shape that the program itself writes; the words in it are ours.

Every sample says the same: two prompts with their replies, so that one table of expectations fits all.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from llmrepl.sessions.export import export
from llmrepl.sessions.model import MessageRecord, Session, Turn

FIRST, SECOND = "How do I sort a dict?", "And in reverse?\n\n# not a heading of ours"
REPLY = "Use sorted(), like so:\n\n```python\nsorted(d.items())\n```\n> quoted\n#### small heading"
AGAIN = "Pass reverse=True. Schöne Grüße 👋"
TALK = [("user", FIRST), ("assistant", REPLY), ("user", SECOND), ("assistant", AGAIN)]
"""The messages of every sample."""

AT = "2026-01-02T10:00:00"
"""When every sample was begun, in UTC."""


def lines(records: list[Any]) -> bytes:
    """JSONL."""
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records).encode()


def document(value: object, indent: int | None = None) -> bytes:
    """JSON."""
    return json.dumps(value, ensure_ascii=False, indent=indent).encode()


def claude_code() -> bytes:
    """Claude Code 2.1.197: bookkeeping between the messages, a reply of two records with one usage."""
    usage = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 2,
        "cache_read_input_tokens": 5,
        "output_tokens": 7,
        "service_tier": "standard",
    }

    def record(kind: str, at: int, content: object, **more: object) -> dict[str, Any]:
        message: dict[str, Any] = {"role": kind, "content": content}
        if kind == "assistant":
            message |= {"id": f"msg_{more.pop('reply')}", "type": "message", "model": "claude-opus-4-8", "usage": usage}
        common = {"isSidechain": False, "userType": "external", "cwd": "/w", "sessionId": "s-1", "version": "2.1.197"}
        uuids = {"parentUuid": f"u{at - 1}", "uuid": f"u{at}"}
        return {
            **common,
            **uuids,
            "type": kind,
            "message": message,
            "timestamp": f"2026-01-02T10:00:{at:02}.100Z",
            **more,
        }

    return lines(
        [
            {"type": "queue-operation", "operation": "enqueue", "timestamp": f"{AT}Z", "sessionId": "s-1"},
            record("user", 0, "Caveat: the messages below", isMeta=True),
            record("user", 0, FIRST),
            {"type": "attachment", "attachment": {"type": "skill_listing"}, "uuid": "a", "sessionId": "s-1"},
            record("assistant", 1, [{"type": "thinking", "thinking": "hm", "signature": ""}], reply=1),
            record("assistant", 2, [{"type": "text", "text": REPLY}], reply=1),
            record("assistant", 3, [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}], reply=1),
            record("user", 4, [{"type": "tool_result", "content": "a b c"}]),
            record("user", 5, SECOND),
            record("assistant", 6, [{"type": "text", "text": AGAIN}], reply=2),
            {"type": "last-prompt", "lastPrompt": SECOND, "leafUuid": "u6", "sessionId": "s-1"},
            {"type": "summary", "summary": "Sorting", "leafUuid": "u6"},
        ]
    )


def codex() -> bytes:
    """Codex 0.169.0: what it says to the model itself, each message as item and as event, usage after the reply."""

    def record(kind: str, **payload: object) -> dict[str, Any]:
        return {"timestamp": f"{AT}.500Z", "type": kind, "payload": payload}

    def said(role: str, text: str) -> dict[str, Any]:
        kind = "output_text" if role == "assistant" else "input_text"
        return record("response_item", type="message", role=role, content=[{"type": kind, "text": text}])

    def counted(turns: int) -> dict[str, Any]:
        one = {"input_tokens": 18, "cached_input_tokens": 5, "output_tokens": 7, "reasoning_output_tokens": 0}
        total = {key: value * turns for key, value in one.items()}
        info = {"total_token_usage": total, "last_token_usage": one, "model_context_window": 258400}
        return record("event_msg", type="token_count", info=info, rate_limits=None)

    return lines(
        [
            record(
                "session_meta", id="s-1", timestamp=f"{AT}Z", cwd="/w", originator="codex_exec", cli_version="0.169.0"
            ),
            record("event_msg", type="task_started", turn_id="t"),
            said("developer", "You can run commands."),
            said("user", "<environment_context>\n  <cwd>/w</cwd>\n</environment_context>"),
            record("world_state", full=True, state={}),
            record("turn_context", turn_id="t", cwd="/w", model="gpt-5.4"),
            said("user", FIRST),
            record("event_msg", type="user_message", message=FIRST),
            record("response_item", type="reasoning", summary=[], encrypted_content="x"),
            record("response_item", type="function_call", name="shell", arguments="{}", call_id="c"),
            record("response_item", type="function_call_output", call_id="c", output="a b c"),
            said("assistant", REPLY),
            counted(1),
            counted(1),
            said("user", SECOND),
            said("assistant", AGAIN),
            record("event_msg", type="agent_message", message=AGAIN),
            counted(2),
            record("event_msg", type="task_complete", last_agent_message=AGAIN),
        ]
    )


def _gemini(kind: str, id: str, content: object) -> dict[str, Any]:
    message: dict[str, Any] = {"id": id, "timestamp": f"{AT}.000Z", "type": kind, "content": content}
    if kind == "gemini":
        message["tokens"] = {"input": 18, "output": 4, "cached": 5, "thoughts": 3, "tool": 0, "total": 25}
        message |= {"thoughts": [], "model": "gemini-2.5-flash"}
    return message


def gemini_cli() -> bytes:
    """Gemini CLI 0.61.0: JSONL of messages and changes; one message is rewritten, another one taken back."""
    context = "<session_context>\nThis is the Gemini CLI.\n</session_context>"
    return lines(
        [
            {"sessionId": "s-1", "projectHash": "p", "startTime": f"{AT}.000Z", "lastUpdated": "", "kind": "main"},
            {"$set": {"messages": [_gemini("user", "m0", [{"text": context}])], "lastUpdated": ""}},
            _gemini("user", "m1", [{"text": FIRST}]),
            _gemini("gemini", "m2", "Use"),
            {**_gemini("gemini", "m2", REPLY), "toolCalls": [{"id": "c", "name": "ls", "status": "success"}]},
            _gemini("user", "m3", [{"text": "a mistake"}]),
            _gemini("gemini", "m4", "what?"),
            {"$rewindTo": "m3"},
            {"$set": {"lastUpdated": "2026-01-02T11:00:00.000Z"}},
            _gemini("user", "m5", [{"text": SECOND}]),
            _gemini("gemini", "m6", AGAIN),
        ]
    )


def gemini_cli_object() -> bytes:
    """Gemini CLI up to 2025: one object."""
    messages = [
        _gemini("gemini" if role == "assistant" else role, f"m{at}", text) for at, (role, text) in enumerate(TALK)
    ]
    notice = {"id": "n", "timestamp": f"{AT}Z", "type": "info", "content": "Update available"}
    messages[1]["toolCalls"] = [{"id": "c", "name": "ls"}]
    about = {"sessionId": "s-1", "projectHash": "p", "startTime": f"{AT}.000Z", "lastUpdated": f"{AT}.000Z"}
    return document({**about, "messages": [messages[0], notice, *messages[1:]]}, indent=2)


def chatgpt() -> bytes:
    """ChatGPT's export: a tree with another version of the first reply."""

    def node(id: str, parent: str | None, children: list[str], role: str = "", text: str = "") -> dict[str, Any]:
        message = {
            "author": {"role": role},
            "create_time": 1767348000.0,
            "content": {"content_type": "text", "parts": [text]},
            "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
            "recipient": "all",
        }
        return {"id": id, "parent": parent, "children": children, "message": message if role else None}

    mapping = {
        "root": node("root", None, ["1"]),
        "1": node("1", "root", ["2", "x"], *TALK[0]),
        "x": node("x", "1", [], "assistant", "Another answer"),
        "2": node("2", "1", ["3"], *TALK[1]),
        "3": node("3", "2", ["4"], *TALK[2]),
        "4": node("4", "3", [], *TALK[3]),
    }
    about = {"title": "Sorting", "create_time": 1767348000.0, "conversation_id": "c-1", "default_model_slug": "gpt-4o"}
    return document([{**about, "mapping": mapping, "current_node": "4"}])


def claude_ai() -> bytes:
    """Claude.ai's export."""
    senders = {"user": "human", "assistant": "assistant"}
    messages = [
        {
            "uuid": f"m{at}",
            "sender": senders[role],
            "text": text,
            "content": [{"type": "text", "text": text}],
            "created_at": f"{AT}.000000Z",
            "attachments": [],
            "files": [],
        }
        for at, (role, text) in enumerate(TALK)
    ]
    about = {"uuid": "c-1", "name": "Sorting", "created_at": f"{AT}.000000Z", "account": {"uuid": "a"}}
    return document([{**about, "chat_messages": messages}])


def aichat() -> bytes:
    """A session of aichat, as its YAML library writes it."""
    return f"""model: openai:gpt-4o-mini
temperature: 0.2
save_session: true
messages:
- role: system
  content: 'Answer: briefly'
- role: user
  content: How do I sort a dict?
- role: assistant
  content: |-
{_indented(REPLY)}
- role: tool
  content:
    tool_results: []
    text: ''
- role: user
  content:
  - type: text
    text: |-
{_indented(SECOND, 6)}
  - type: image_url
    image_url:
      url: 0123abcd
- role: assistant
  content: Pass reverse=True. Schöne Grüße 👋
data_urls:
  0123abcd: https://example.com/a.png
""".encode()


def _indented(text: str, by: int = 4) -> str:
    return "\n".join(f"{' ' * by}{line}" if line else "" for line in text.split("\n"))


def aichat_messages() -> bytes:
    """messages.md of aichat: an exchange outside of sessions is a chat of its own."""
    exchange = "# CHAT: {} [{}Z]{}\n{}\n--------\n{}\n--------\n\n"
    tools = '<tool_calls>\n[{"call":{"name":"ls"}}]\n</tool_calls>\n\n'
    return (
        exchange.format("How do I sort", AT, " (coder)", FIRST, tools + REPLY)
        + exchange.format("And in reverse", AT, "", SECOND, AGAIN)
    ).encode()


def aider() -> bytes:
    """aider 0.86.2: its own words quoted, prompts as headings, and what both look like inside of a reply."""

    def prompt(text: str) -> str:
        return "\n" + "".join(f"#### {line}  \n" for line in text.split("\n"))

    def says(*words: str) -> str:
        return "".join(f"> {line}  \n" for line in words)

    began = says("/usr/bin/aider --message two\n\n# lines\n> quoted", "Aider v0.86.2")
    about = says("Model: openai/gpt-4o-mini with ask edit format", "Git repo: .git with 0 files")
    spent = says("Tokens: 1.2k sent, 59 received. Cost: $0.0002 message, $0.0002 session.")
    more = says("Tokens: 170 sent, 100 cache hit, 22 received. Cost: $0.000039 message, $0.00024 session.")
    talk = f"{prompt(FIRST)}\n{REPLY}\n\n{spent}{prompt('/tokens')}{says('$ 0.0000      108 system messages')}"
    talk += f"{prompt(SECOND)}\n{AGAIN}\n\n{more}{prompt('/exit')}"
    start = "\n# aider chat started at {} 10:00:00\n\n"
    chats = start.format("2026-01-02") + began + about + talk, start.format("2026-01-03") + began
    return "".join(chats).encode()


def gptme() -> bytes:
    """gptme 0.35.1: hidden instructions, a tool's answer as a system message, usage and cost of replies."""
    details = {
        "model": "openai/gpt-4o-mini",
        "cost": 0.0005,
        "usage": {"input_tokens": 11, "output_tokens": 7, "cache_read_tokens": 5, "cache_creation_tokens": 2},
    }

    def record(role: str, content: str, **more: object) -> dict[str, Any]:
        return {"role": role, "content": content, "timestamp": f"{AT}.500000", **more}

    return lines(
        [
            record("system", "You are gptme.", pinned=True, hide=True),
            record("user", FIRST),
            record("assistant", REPLY, metadata=details),
            record("system", "Ran command: ls"),
            record("user", SECOND, files=["/w/a.png"]),
            record("assistant", AGAIN, metadata=details),
        ]
    )


def lm_studio() -> bytes:
    """LM Studio 0.3: versions of messages, steps of a reply."""
    stats = {"promptTokensCount": 18, "predictedTokensCount": 7, "totalTokensCount": 25, "totalTimeSec": 1.5}
    info = {"identifier": "qwen3-8b", "indexedModelIdentifier": "qwen/qwen3-8b", "stats": stats}

    def text(words: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": words}]

    def user(words: str) -> dict[str, Any]:
        return {"versions": [{"type": "singleStep", "role": "user", "content": text(words)}], "currentlySelected": 0}

    def reply(words: str) -> dict[str, Any]:
        thought = {"type": "contentBlock", "style": {"type": "thinking"}, "content": text("hm")}
        said = {"type": "contentBlock", "content": text(words), "genInfo": info, "stepIdentifier": "1"}
        steps = [thought, {"type": "toolStatus", "callId": 1}, said, {"type": "debugInfoBlock", "debugInfo": "x"}]
        return {"type": "multiStep", "role": "assistant", "senderInfo": {"senderName": "qwen3-8b"}, "steps": steps}

    messages = [
        user(FIRST),
        {"versions": [reply("Another answer"), reply(REPLY)], "currentlySelected": 1},
        user(SECOND),
        {"versions": [reply(AGAIN)], "currentlySelected": 0},
    ]
    settings = {"fields": [{"key": "llm.prediction.systemPrompt", "value": "Answer: briefly"}]}
    about = {"name": "Sorting", "pinned": False, "createdAt": 1767348000000, "tokenCount": 50}
    used = {"identifier": "qwen3-8b", "indexedModelIdentifier": "qwen/qwen3-8b"}
    return document(
        {**about, "perChatPredictionConfig": settings, "messages": messages, "lastUsedModel": used}, indent=2
    )


def open_webui_chat() -> dict[str, Any]:
    """A chat of Open WebUI."""

    def message(id: str, parent: str | None, children: list[str], role: str, content: str) -> dict[str, Any]:
        usage = {"prompt_tokens": 18, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}}
        more = {"model": "llama3.2", "done": True, "usage": usage} if role == "assistant" else {"models": ["llama3.2"]}
        links = {"id": id, "parentId": parent, "childrenIds": children}
        return {**links, "role": role, "content": content, "timestamp": 1767348000, **more}

    thought = '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n> hm\n</details>\n'
    messages = {
        "1": message("1", None, ["2", "x"], "user", FIRST),
        "x": message("x", "1", [], "assistant", "Another answer"),
        "2": message("2", "1", ["3"], "assistant", thought + REPLY),
        "3": message("3", "2", ["4"], "user", SECOND),
        "4": message("4", "3", [], "assistant", AGAIN),
    }
    history = {"messages": messages, "currentId": "4"}
    return {"title": "Sorting", "models": ["llama3.2"], "params": {"system": "Answer: briefly"}, "history": history}


def open_webui() -> bytes:
    """What Export Chats of Open WebUI writes."""
    about = {"id": "c-1", "user_id": "u", "title": "Sorting", "created_at": 1767348000, "updated_at": 1767348000}
    return document([{**about, "chat": open_webui_chat(), "archived": False, "meta": {"tags": []}}])


def sharegpt() -> bytes:
    """ShareGPT."""
    senders = {"user": "human", "assistant": "gpt"}
    return document([{"id": "1", "conversations": [{"from": senders[role], "value": text} for role, text in TALK]}])


def openai_messages() -> bytes:
    """A line of a fine-tuning file."""
    return lines([{"messages": [{"role": role, "content": text} for role, text in TALK]}])


def exported() -> bytes:
    """An export of this program."""
    turns = [
        Turn(messages=[MessageRecord(role=role, content=text) for role, text in TALK[at : at + 2]]) for at in (0, 2)
    ]
    return export(Session(model="openai/gpt-4o", created_at=AT, turns=turns), "md", name="").encode()


def database(script: str, insert: str, rows: list[tuple[Any, ...]]) -> bytes:
    """A SQLite database."""
    with closing(sqlite3.connect(":memory:")) as db, db:
        db.executescript(script)
        db.executemany(insert, rows)
        db.commit()
        return db.serialize()


_ELIA = """
CREATE TABLE system_prompt (id INTEGER NOT NULL PRIMARY KEY, title VARCHAR NOT NULL, prompt VARCHAR);
CREATE TABLE chat (id INTEGER NOT NULL PRIMARY KEY, model VARCHAR NOT NULL, title VARCHAR, started_at DATETIME,
  archived BOOLEAN);
CREATE TABLE message (id INTEGER NOT NULL PRIMARY KEY, chat_id INTEGER, role VARCHAR NOT NULL, content VARCHAR NOT NULL,
  timestamp DATETIME, meta JSON, parent_id INTEGER, model VARCHAR);
INSERT INTO chat VALUES (1, 'gpt-4o-mini', '', '2026-01-02 10:00:00.000000', 0);
"""
_LLM = """
CREATE TABLE _llm_migrations (name TEXT PRIMARY KEY, applied_at TEXT);
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, options_json TEXT,
  response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT,
  input_tokens INTEGER, output_tokens INTEGER, token_details TEXT);
INSERT INTO conversations VALUES ('c-1', 'Sorting', 'gpt-4o-mini');
"""
_SAID = [
    (at, 1, role, text, f"2026-01-02 10:00:0{at}.000000", "{}", None, "gpt-4o-mini")
    for at, (role, text) in enumerate(TALK)
]
_RESPONSES = [
    (f"r{at}", "gpt-4o-mini", TALK[2 * at][1], TALK[2 * at + 1][1], "c-1", 750, f"2026-01-02T10:00:0{at}", 18, 7)
    for at in (0, 1)
]
_INSERT_RESPONSE = (
    "INSERT INTO responses (id, model, prompt, response, conversation_id, duration_ms, datetime_utc, input_tokens,"
    " output_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_CHAT = "INSERT INTO chat VALUES (?, 'u', ?, NULL, 0, 1767348000, 1767348000, ?, 0, '{}')"
_OPEN_WEBUI = """
CREATE TABLE chat (id VARCHAR(255) PRIMARY KEY, user_id VARCHAR(255) NOT NULL, title TEXT NOT NULL,
  share_id VARCHAR(255), archived INTEGER NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
  chat JSON, pinned BOOLEAN, meta JSON);
CREATE TABLE message (id TEXT PRIMARY KEY, user_id TEXT, channel_id TEXT, content TEXT, data JSON, created_at BIGINT);
"""

SAMPLES: dict[str, tuple[str, bytes]] = {
    "session.jsonl": ("claude-code", claude_code()),
    "rollout.jsonl": ("codex", codex()),
    "session-1.jsonl": ("gemini-cli", gemini_cli()),
    "session-1.json": ("gemini-cli", gemini_cli_object()),
    "chatgpt/conversations.json": ("chatgpt", chatgpt()),
    "claude/conversations.json": ("claude.ai", claude_ai()),
    "sorting.yaml": ("aichat", aichat()),
    "messages.md": ("aichat", aichat_messages()),
    ".aider.chat.history.md": ("aider", aider()),
    "sorting/conversation.jsonl": ("gptme", gptme()),
    "1767348000000.conversation.json": ("lm-studio", lm_studio()),
    "chat-export.json": ("open-webui", open_webui()),
    "sharegpt.json": ("sharegpt", sharegpt()),
    "tuning.jsonl": ("openai", openai_messages()),
    "export.md": ("llmrepl", exported()),
    "elia.sqlite": ("elia", database(_ELIA, "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _SAID)),
    "logs.db": ("llm", database(_LLM, _INSERT_RESPONSE, _RESPONSES)),
    "webui.db": (
        "open-webui",
        database(_OPEN_WEBUI, _INSERT_CHAT, [("c-1", "Sorting", json.dumps(open_webui_chat()))]),
    ),
}
"""For each sample, by the name of its file: its source, and the content of the file."""


def write(directory: Path, name: str) -> Path:
    """Write a sample below a directory."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(SAMPLES[name][1])
    return path
