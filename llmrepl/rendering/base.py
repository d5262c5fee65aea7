"""Where a face draws: stdout for results, stderr for what is said about them. Here without any escape code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Result
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls, format_usd, pluralize
from llmrepl.rendering import plain
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.providers.base import Event


class Output(Protocol):
    """What a face can draw. Each method flushes, so that a reader sees it at once."""

    def question(self, text: str) -> None:
        """A prompt is about to be sent."""

    def event(self, event: Event) -> None:
        """A piece of the reply, or what happens while waiting for it."""

    def turn_result(self, turn_result: TurnResult) -> None:
        """The reply is over and kept; its failure, if any, is drawn too."""

    def reply(self, call: Call, reply: Result) -> None:
        """What a command answered."""

    def failure(self, failure: LLMError) -> None:
        """Something failed."""

    def note(self, text: str) -> None:
        """Something worth telling."""

    def say(self, text: str) -> None:
        """Lines of the program's own, such as the banner."""

    def warm(self) -> None:
        """Load what drawing a reply will need."""


class PlainOutput:
    """Plain text for pipes, files and dumb terminals. With `footer`, a line of figures after each reply."""

    def __init__(self, environment: Environment, *, footer: bool = False) -> None:
        self._out = environment.stdout
        self._err = environment.stderr
        self._footer = footer
        self._held = ""
        self._open_line = False

    def question(self, text: str) -> None:
        """Nothing: the question is the user's own input."""

    def event(self, event: Event) -> None:
        """Write text as it comes; reasoning and notices go to stderr."""
        from llmrepl.providers.base import ReasoningDelta, TextDelta

        if isinstance(event, TextDelta):
            self._write(event.text)
        elif isinstance(event, ReasoningDelta):
            self._err.write(escape_controls(event.text))
            self._err.flush()
        elif text := told(event):
            self.note(text)

    def turn_result(self, turn_result: TurnResult) -> None:
        """End the reply's line and draw what went wrong."""
        self.finish()
        if turn_result.failure:
            self.failure(turn_result.failure)
        if turn_result.unsaved:
            self.failure(turn_result.unsaved)
        for text in remarks(turn_result):
            self.note(text)
        if self._footer:
            self.say(footer(turn_result))

    def reply(self, call: Call, reply: Result) -> None:
        """Results to stdout, notes to stderr."""
        self.say(plain.notices(reply).rstrip("\n"))
        self._out.write(plain.results(reply))
        self._out.flush()

    def failure(self, failure: LLMError) -> None:
        """One line on stderr."""
        self.finish()
        self.say(f"error: {_one_line(str(failure))}")

    def note(self, text: str) -> None:
        """One line on stderr. On a screen it does not go on where the reply has come to."""
        if self._out.isatty():
            self.finish()
        self.say(f"note: {_one_line(text)}")

    def say(self, text: str, *, ours: bool = False) -> None:
        """A line on stderr as it is; with `ours` it may hold escape codes that this program made."""
        if text:
            self._err.write((text if ours else escape_controls(text)) + "\n")
            self._err.flush()

    def warm(self) -> None:
        """Nothing: everything is loaded."""

    def _write(self, text: str) -> None:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = escape_controls(text[: len(text) - len(self._held)].replace("\r\n", "\n"))
        if text:
            self._out.write(text)
            self._out.flush()
            self._open_line = not text.endswith("\n")

    def finish(self) -> None:
        """End the line that the reply stands in."""
        if self._held:
            self._out.write(escape_controls(self._held))
            self._held, self._open_line = "", True
        if self._open_line:
            self._out.write("\n")
            self._out.flush()
            self._open_line = False


def told(event: Event) -> str:
    """What is to be said about an event that is no part of the reply; empty if there is nothing."""
    from llmrepl.providers.base import Notice, Retrying

    if isinstance(event, Notice):
        return event.text
    if isinstance(event, Retrying) and event.seconds:
        return f"{event.why}; trying again in {event.seconds:.0f} s"
    return ""


def footer(turn_result: TurnResult) -> str:
    """The line of figures after a reply: tokens in→out (total), seconds, cost, what the budget leaves."""
    parts = []
    if turn_result.usage:
        u = turn_result.usage
        parts.append(f"{u.prompt_tokens:,}→{u.completion_tokens:,} ({pluralize(u.total_tokens, 'token')})")
    parts.append(f"{turn_result.latency_ms / 1000:.1f} s")
    if turn_result.usage:
        parts.append(
            f"cost {format_usd(turn_result.cost)}"
            if turn_result.cost is None
            else format_usd(turn_result.cost, about=turn_result.usage.estimated)
        )
    if turn_result.left is not None:
        parts.append(f"{format_usd(turn_result.left)} left")
    return " · ".join(parts)


def remarks(turn_result: TurnResult) -> list[str]:
    """What the user should know about a reply that did not simply end."""
    if turn_result.finish_reason == "interrupted":
        return ["the reply was cut off; the part that came is kept, and :retry asks again"]
    if turn_result.finish_reason == "length":
        return ["the reply ended at the token limit; :set max_tokens N allows more"]
    if turn_result.finish_reason == "content_filter":
        return ["the provider's content filter ended the reply"]
    return []


def _one_line(text: str) -> str:
    return " ".join(escape_controls(text).split())
