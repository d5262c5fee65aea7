"""JSONL export: one conversation per line as OpenAI messages, for fine-tuning and evaluation tools.

Format: https://platform.openai.com/docs/guides/supervised-fine-tuning
"""

from __future__ import annotations

import json

from llmrepl.sessions.export.facts import ExportOptions
from llmrepl.sessions.model import Session


def render(session: Session, _options: ExportOptions) -> str:
    """Render the context as one line: the system prompt, then the turns that are in the context."""
    messages = [{"role": "system", "content": session.system}] if session.system else []
    messages += [{"role": message.role, "content": message.content} for message in session.context()]
    # Non-ASCII characters are not escaped, except those that some readers treat as line breaks.
    line = json.dumps({"messages": messages}, ensure_ascii=False)
    for end in ("\x85", "\u2028", "\u2029"):
        line = line.replace(end, f"\\u{ord(end):04x}")
    return f"{line}\n"
