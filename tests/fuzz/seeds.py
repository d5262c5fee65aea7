"""Seeds for fuzzing: small inputs in the format that each reader expects."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile

from tests.providers import recorded
from tests.sessions.importing.samples import SAMPLES
from tests.sessions.test_import_sources import CASES

REPLIES = {name: raw for name, (dialect, raw, _) in recorded.REPLIES.items() if name == dialect}
"""A streamed reply in each protocol."""

WHOLE = {
    "openai": b'{"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}], "usage": '
    b'{"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.1}}',
    "responses": b'{"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_tokens"}, '
    b'"output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}], '
    b'"usage": {"input_tokens": 3}}',
    "anthropic": b'event: message_start\ndata: {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}\n\n'
    b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "\\ud83d"}}\n\n'
    b'event: error\ndata: {"type": "error", "error": {"message": "overloaded"}}\n\n',
    "gemini": b'[{"candidates": [{"content": {"parts": [{"text": "Hi", "thought": true}, {"text": "!"}]}, '
    b'"finishReason": "MAX_TOKENS"}], "usageMetadata": {"promptTokenCount": 3}}]',
    "ollama": b'{"message": {"content": "Hi", "thinking": "hm"}, "done": false}\n{"done": true, "eval_count": -1}\n',
}
"""A reply in each protocol that came another way: whole, cut off, with counts that make no sense."""

PACKED = gzip.compress(REPLIES["openai"], mtime=0)

JOURNALS = (
    b'{"opened": {"pid": 1, "base": [10, 20]}}\n{"turn": 3, "is": {"messages": [{"role": "user", "content": "q"}]}, '
    b'"open": true}\n{"text": "an"}\n{"text": "swer"}',
    b'{"head": {"model": "m", "system": null}}\n{"turn": 1, "is": {"messages": []}}\n{"moved": "b.json"}',
)

SCRIPTS = (
    b'#!/usr/bin/env llm\n:# a comment\nhello\n:set temperature 0.5\n"""\n:no command\n"""\n::colon\n',
    b":sessions list --since 30d --format json\n:save a 'b c\n:system Be brief.\n:nosuch\n:export md \"x\n",
    b":set\n:tag a b\n:help sessions\n:branch --at 3\n:edit\n: \n:\xc2\xa0\n:\xe2\x80\xae\n:sessions \x1b[31m\n",
)

CONFIGURATIONS = (
    b'default_model = "offline/echo"\ntemperature = 0.7\nmarkdown = true\n[providers.groq]\nbase_url = "https://x"\n',
    b'[prompts]\nreview = "Review this"\n[prices."a/b"]\ninput = 1.0\noutput = "2"\n[budget]\nnosuch = [1, {a = 1}]\n',
    b'top_p = nan\nmax_tokens = 9999999999999999999999\nreasoning = "\x1b[31m"\n[a.b.c]\n"\\u202e" = 1979-05-27\n',
)

MARKDOWN = (
    b"# A title\n\nSome **bold** and `code`, *not\n\n- one\n- two\n  1. three\n\n```py\nx = 1\n```\n\n> quoted\n",
    b"| a | b |\n|---|:-:|\n| 1 | \xe6\x97\xa5\xe6\x9c\xac |\n\n[link](https://x.y 'z')\n\n---\nline  \nbreak\\\n&amp;",
    b"tab\there \xf0\x9f\x8e\x89\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb\xcc\x81 \x1b[2J\x07 ~~x~~ $x$ \r\n\r bare",
)


def _database() -> bytes:
    with sqlite3.connect(":memory:") as db:
        db.executescript(
            "create table conversations (id text primary key, name text, model text);"
            "create table responses (id text primary key, model text, prompt text, system text, response text,"
            " conversation_id text, duration_ms int, datetime_utc text, input_tokens integer, output_tokens integer);"
            "insert into conversations values ('c', 'A name', 'm');"
            "insert into responses values ('r', 'm', 'question', null, 'answer', 'c', 5, '2024-01-08T14:30:22', 3, 2);"
        )
        return db.serialize()


def _zip(raw: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("conversations.json"), raw)
    return packed.getvalue()


def _node(parent: str | None, role: str, text: str) -> dict[str, object]:
    content = {"content_type": "text", "parts": [text]}
    return {"parent": parent, "children": [], "message": {"author": {"role": role}, "content": content}}


_CHATGPT = json.dumps(
    [
        {
            "title": "T",
            "id": "1",
            "create_time": 1704724222.5,
            "current_node": "b",
            "mapping": {"a": _node(None, "user", "question"), "b": _node("a", "assistant", "answer")},
        }
    ]
).encode()

_EXPORTS = {
    **{name: ("\n".join(map(json.dumps, records)).encode(),) for name, records in CASES.items()},
    "llm": (_database(),),
    "chatgpt": (_CHATGPT, _zip(_CHATGPT)),
    "openai": (
        b'{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, '
        b'{"role": "assistant", "content": [{"type": "text", "text": "a"}]}], "model": "m"}\n{"x": []}\n',
    ),
    "llmrepl": (
        b"# Chat Session: a.json\n\n**Model:** m\n\n## Turn 1\n\n### User\n\nq\n\n### Assistant\n\na\n",
        b"Session: a.json\nModel: m\nSystem: s\n\n[1]\nUSER: q\nASSISTANT: a\n",
    ),
}
EXPORTS = {
    source: (*_EXPORTS.get(source, ()), *(raw for name, raw in SAMPLES.values() if name == source))
    for source in dict(SAMPLES.values())
}
"""Files to import from each source."""
