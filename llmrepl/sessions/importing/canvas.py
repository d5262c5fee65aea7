"""The document that ChatGPT writes beside a conversation, and its edits.

An edit replaces what a regular expression finds. Expressions of others are not run, since some take forever; nearly all
are literal text with escapes, and those are applied. Of the others the new text is shown alone.
"""

from __future__ import annotations

import re
from typing import Any

from llmrepl.sessions.importing.conversation import clean_text
from llmrepl.sessions.importing.source_file import as_dict, as_list

_EVERYTHING = (".*", "(?s).*", "^.*$", r"[\s\S]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_TOKEN = re.compile(r"\\(.)|([.^$*+?{}\[\]|()\\])|([^.^$*+?{}\[\]|()\\]+)", re.S)


class Canvas:
    """The text of the current document of a conversation."""

    def __init__(self) -> None:
        self._text = ""

    def take(self, call: dict[str, Any]) -> str:
        """Apply a call that creates, edits or comments the document; return what a reader sees of it."""
        if content := clean_text(call.get("content")):
            self._text = content
            return content
        if comments := [clean_text(as_dict(comment).get("comment")) for comment in as_list(call.get("comments"))]:
            return "\n\n".join(comment for comment in comments if comment)
        updates = [as_dict(update) for update in as_list(call.get("updates"))]
        applied = [self._edit(update) for update in updates]
        if applied and all(applied):
            return self._text
        return "\n\n".join(text for update in updates if (text := clean_text(update.get("replacement"))))

    def _edit(self, update: dict[str, Any]) -> bool:
        """Apply an edit; return whether that was possible."""
        pattern, replacement = clean_text(update.get("pattern")), clean_text(update.get("replacement"))
        if pattern in _EVERYTHING:
            self._text = replacement
            return True
        text = literal(pattern)
        if not text or text not in self._text:
            return False
        self._text = self._text.replace(text, replacement, -1 if update.get("multiple") is True else 1)
        return True


def literal(pattern: str) -> str | None:
    """Return the only text that a regular expression finds, or None if there may be others."""
    pieces = []
    for token in _TOKEN.finditer(pattern):
        escaped, special, plain = token.groups()
        if special or (escaped and escaped.isalnum() and escaped not in _ESCAPES):
            return None
        pieces.append(plain or _ESCAPES.get(escaped, escaped))
    return "".join(pieces)
