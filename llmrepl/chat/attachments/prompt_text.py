"""Text attachments as part of the prompt."""

from __future__ import annotations

from collections.abc import Iterable

from llmrepl.types import Attachment


def append_texts(prompt: str, attachments: Iterable[Attachment]) -> str:
    """Append text attachments to the prompt, each in a code fence longer than any inside it."""
    parts = [prompt]
    for attachment in attachments:
        if attachment.media_type.startswith("text/"):
            text = attachment.data.decode("utf-8", "replace").rstrip("\n")
            fence = "`" * max(3, _longest_run(text) + 1)
            parts.append(f"{attachment.name}:\n{fence}\n{text}\n{fence}")
    return "\n\n".join(part for part in parts if part)


def _longest_run(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    return longest
