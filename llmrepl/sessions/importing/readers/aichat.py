"""Import conversations of aichat: session files and messages.md. https://github.com/sigoden/aichat

A session is YAML with `model` and `messages`; `compressed_messages` are those that a summary replaced. messages.md has
a prompt and its reply under each `# CHAT:` line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from llmrepl.sessions.importing.conversation import Conversation, ImportedMessage, clean_text, local_time
from llmrepl.sessions.importing.found import FoundConversation, Skipped
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile, as_dict, as_list

NAME = "aichat"
HELP = "session or messages.md of aichat"
_RULE = "--------"
_HEADING = re.compile(r"^# CHAT: (?P<title>.*) \[(?P<at>\d{4}-[^\]\n]*)\](?P<scope> \([^\n]*\))?\n", re.M)
_MAPPING = re.compile(rb"(?:---\n)?[a-z_]+:\s")
_TOOLS = re.compile(r"\A<tool_calls>\n.*?\n</tool_calls>\n\n?", re.S)
_THOUGHTS = re.compile(r"\A\s*<think>\n.*?\n</think>\n", re.S)


def detect(file: SourceFile) -> bool:
    """Whether the file is a session or messages.md."""
    if file.head.startswith(b"# CHAT: "):
        return True
    keys = (rb"^model: ", rb"^messages:")
    return bool(_MAPPING.match(file.head)) and all(re.search(key, file.raw, re.M) for key in keys)


def read(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    """Yield the conversation of a session, or every exchange of messages.md. Raises ImportFileError."""
    if file.head.startswith(b"# CHAT: "):
        yield from _read_messages(file, now)
    else:
        yield _read_session(file, now)


def _read_session(file: SourceFile, now: datetime) -> FoundConversation | Skipped:
    from llmrepl.system import plain_yaml

    try:
        document = plain_yaml.load(file.text, as_text=True)
    except plain_yaml.PlainYAMLError as error:
        raise ImportFileError(file.name, f"{error} in YAML of aichat") from error
    session = as_dict(document)
    model = clean_text(session.get("model"))
    found = Conversation((NAME, ""), title=file.name.removesuffix(".yaml"), model=model.replace(":", "/", 1) or None)
    earlier = as_list(session.get("compressed_messages"))
    messages = as_list(session.get("messages"))
    if earlier and as_dict(messages[0] if messages else None).get("role") == "system":
        del messages[0]  # the summary of the earlier messages
        found.left_out["summary"] += 1
    for message in map(as_dict, [*earlier, *messages]):
        role = clean_text(message.get("role"))
        if role == "tool":
            found.left_out["tool message"] += 1
        elif role in ("user", "assistant", "system"):
            found.lines.append(ImportedMessage(role, _text(message.get("content"), found)))
        else:
            found.left_out["other message"] += 1
    return found.to_session(now)


def _text(content: object, found: Conversation) -> str:
    if not isinstance(content, list):
        if isinstance(content, dict):
            found.left_out["tool call"] += len(as_list(content.get("tool_results")))
            return clean_text(content.get("text"))
        return clean_text(content)
    texts = [clean_text(as_dict(part).get("text")) for part in content]
    if others := sum(not text for text in texts):
        found.left_out["non-text part"] += others
    return "\n\n".join(text for text in texts if text)


def _read_messages(file: SourceFile, now: datetime) -> Iterator[FoundConversation | Skipped]:
    text = file.text
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise ImportFileError(file.name, "no '# CHAT:' line in it is one that aichat writes")
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=True):
        at = local_time(heading["at"], now)
        found = Conversation((NAME, ""), title=heading["title"], created_at=at)
        prompt, rule, reply = text[heading.end() : end].partition(f"\n{_RULE}\n")
        reply = reply.rstrip("\n")
        if not (rule and reply.endswith(f"\n{_RULE}")):
            found.left_out["incomplete reply"] += 1
        reply = _THOUGHTS.sub("", reply.removesuffix(f"\n{_RULE}"), count=1)
        reply, calls = _TOOLS.subn("", reply, count=1)
        found.left_out["tool call"] += calls
        found.lines.append(ImportedMessage("user", clean_text(prompt), at=at))
        found.lines.append(ImportedMessage("assistant", clean_text(reply)))
        yield found.to_session(now)
