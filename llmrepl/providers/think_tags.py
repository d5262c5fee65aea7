"""Separate reasoning in tags such as `<think>` … `</think>` at the beginning of a reply.

Reasoning models write these tags. Servers with a parser (such as vLLM's --reasoning-parser) remove them; many do not.
"""

from __future__ import annotations

from llmrepl.providers.base import ReasoningDelta, TextDelta

TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|channel|>analysis<|message|>": "<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel>thought": "<channel|>",
}
"""Opening and closing tags of reasoning."""

_LONGEST_WAIT = 256


class ThinkTags:
    """Separates reasoning from text, for any chunking.

    Only tags at the very beginning count; later ones belong to the text.
    """

    def __init__(self) -> None:
        self._held = ""
        self._closing = ""
        self._trim = False
        self._text = False

    def split(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """Return the events that `text` completes; a possible part of a tag is held for the next chunk."""
        if self._text:
            return [TextDelta(text)]
        self._held += text
        if not self._closing:
            start = self._held.lstrip()
            if len(self._held) <= _LONGEST_WAIT and any(tag.startswith(start) for tag in TAGS):
                return []
            opening = next((tag for tag in TAGS if start.startswith(tag)), "")
            if not opening:
                return self._rest_is_text(self._trim)
            self._closing = TAGS[opening]
            self._held = start.removeprefix(opening)
            self._trim = True
        return self._reasoning()

    def end(self) -> list[TextDelta | ReasoningDelta]:
        """Return what was held when the reply ended."""
        held, self._held = self._held, ""
        if self._closing:
            return [ReasoningDelta(held)] if held.strip() else []
        return [TextDelta(held)] if held and (held.strip() or not self._trim) else []

    def _reasoning(self) -> list[TextDelta | ReasoningDelta]:
        if self._trim:
            self._held = self._held.lstrip()
            self._trim = not self._held
        thought, closed, rest = self._held.partition(self._closing)
        if closed:
            self._held, self._closing, self._trim = rest, "", True
            events: list[TextDelta | ReasoningDelta] = [ReasoningDelta(thought.rstrip())] if thought.strip() else []
            return [*events, *self.split("")]
        keep = len(self._held) - _held_back(self._held, self._closing)
        thought, self._held = self._held[:keep], self._held[keep:]
        return [ReasoningDelta(thought)] if thought else []

    def _rest_is_text(self, trim: bool) -> list[TextDelta | ReasoningDelta]:
        text, self._held = self._held, ""
        if trim:
            text = text.lstrip()
        self._text = True
        return [TextDelta(text)] if text else []


def _held_back(text: str, tag: str) -> int:
    """Count the characters at the end of `text` that may be whitespace before `tag` or its beginning."""
    size = next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)
    before = text[: len(text) - size]
    return size + min(len(before) - len(before.rstrip()), _LONGEST_WAIT)
