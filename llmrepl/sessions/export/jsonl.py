"""JSONL of OpenAI's messages: one conversation a line, as fine-tuning and evaluation tools read it.

The format: https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

from __future__ import annotations

import json

from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session


def render(session: Session, _options: ExportOptions) -> str:
    """What the model is shown, as one line: the system prompt and the context, without turns that left it."""
    messages = [{"role": "system", "content": session.system}] if session.system else []
    messages += [{"role": message.role, "content": message.content} for message in session.context()]
    # Characters outside ASCII stay as they are, but for those that some readers take for a line end.
    line = json.dumps({"messages": messages}, ensure_ascii=False)
    for end in ("\x85", "\u2028", "\u2029"):
        line = line.replace(end, f"\\u{ord(end):04x}")
    return f"{line}\n"
