"""The output interface, and its plain-text implementation: results on stdout, messages on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Result
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls, format_usd, pluralize
from llmrepl.rendering import plain
from llmrepl.rendering.status_line import StatusLine
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.config.settings import Settings
    from llmrepl.providers.base import Event


BELL, BELL_AFTER_MS = "\a", 10_000
STOPPED_BEFORE = "stopped before a reply came; :retry asks again"
STOPPED_PART = "stopped; the part that came is kept"


class Output(Protocol):
    """Where an interface renders. Every method flushes."""

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Prepare for the reply to a prompt that is about to be sent; `heading` is shown above it."""

    def prompt(self, text: str) -> None:
        """Show a prompt that was not typed as it is sent."""

    def event(self, event: Event) -> None:
        """Render an event of the reply."""

    def data(self, text: str) -> None:
        """Write a reply that is data, such as JSON, as it is."""

    def turn_result(self, turn_result: TurnResult) -> None:
        """End the reply and report how the turn ended."""

    def result(self, call: Call, result: Result) -> None:
        """Render the result of a command."""

    def failure(self, failure: LLMError) -> None:
        """Report a failure."""

    def note(self, text: str) -> None:
        """Report something notable."""

    def say(self, text: str) -> None:
        """Write lines of the program itself, such as the banner."""

    def preload(self) -> None:
        """Import what rendering a reply needs."""


class PlainOutput:
    """Plain text for pipes, files and dumb terminals.

    With `settings`, it shows replies to their taste, and on a terminal adds a line while waiting and the figures of
    each reply.
    """

    def __init__(self, environment: Environment, settings: Settings | None = None) -> None:
        self._out = environment.stdout
        self._err = environment.stderr
        self._settings = settings
        self._watched = settings is not None and self._out.isatty()
        self._status = StatusLine(environment, redraw=False)
        self._notes = EventNotes()
        self._held = ""
        self._open_line = False
        self._reasons = False

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Write the heading, if any; the user has just typed the prompt."""
        if heading:
            self._write(f"{heading}\n")

    def prompt(self, text: str) -> None:
        """Write the prompt to a terminal, further lines indented."""
        if self._watched:
            self.say("\nYou: " + text.replace("\n", "\n     "))

    def event(self, event: Event) -> None:
        """Write text as it arrives; reasoning and notices go to stderr."""
        from llmrepl.providers.base import ReasoningDelta, Requesting, TextDelta

        if isinstance(event, ReasoningDelta):
            self._reason(event.text)
            return
        self._end_reasoning()
        if isinstance(event, TextDelta):
            if self._status.waiting:
                self._status.stop()
            self._write(event.text)
        elif isinstance(event, Requesting):
            if self._watched:
                self._status.wait(event.model)
        elif text := self._notes.describe(event):
            self.note(text)

    def data(self, text: str) -> None:
        """Write text as it is."""
        self._end_reasoning()
        self._write(text)

    def turn_result(self, turn_result: TurnResult) -> None:
        """End the reply's line and report failures and the footer."""
        self._status.stop()
        self._end_reasoning()
        self.finish()
        if sources := format_sources(turn_result):
            self._write(f"\n{sources}\n")
        if turn_result.failure:
            self.failure(turn_result.failure)
        if turn_result.unsaved:
            self.failure(turn_result.unsaved)
        for text in outcome_notes(turn_result):
            self.note(text)
        if self._watched and self._settings:
            if turn_result.text and self._settings.get("show_costs"):
                self.say(format_footer(turn_result))
            if rings(turn_result, self._settings):
                self._out.write(BELL)
                self._out.flush()

    def result(self, call: Call, result: Result) -> None:
        """Write results to stdout and notes to stderr."""
        self.say(plain.format_notices(result).rstrip("\n"))
        self._out.write(plain.format_results(result))
        self._out.flush()

    def failure(self, failure: LLMError) -> None:
        """Write one line to stderr."""
        self.finish()
        self.say(f"error: {_one_line(str(failure))}")

    def note(self, text: str) -> None:
        """Write one line to stderr; on a screen, end the line of the reply first."""
        if self._out.isatty():
            self.finish()
        self.say(f"note: {_one_line(text)}")

    def say(self, text: str, *, ours: bool = False) -> None:
        """Write a line to stderr; `ours` allows escape codes that this program made."""
        if text:
            self._err.write((text if ours else escape_controls(text)) + "\n")
            self._err.flush()

    def preload(self) -> None:
        """Do nothing; everything is loaded."""

    def _reason(self, text: str) -> None:
        if not self._settings or self._settings.text("reasoning") != "hide":
            if self._status.waiting:
                self._status.stop()
            self._err.write(escape_controls(text))
            self._err.flush()
            self._reasons = not text.endswith("\n")

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._err.write("\n")
            self._err.flush()
            self._reasons = False

    def _write(self, text: str) -> None:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        text = escape_controls(text[: len(text) - len(self._held)].replace("\r\n", "\n"))
        if text:
            self._out.write(text)
            self._out.flush()
            self._open_line = not text.endswith("\n")

    def finish(self) -> None:
        """End the current line of the reply."""
        if self._held:
            self._out.write(escape_controls(self._held))
            self._held, self._open_line = "", True
        if self._open_line:
            self._out.write("\n")
            self._out.flush()
            self._open_line = False


class EventNotes:
    """The messages for events that are not part of the reply; a wait that is counted down is announced once."""

    def __init__(self) -> None:
        self._retrying = False

    def describe(self, event: Event) -> str:
        """Return the message for an event; empty if there is none."""
        from llmrepl.providers.base import Retrying

        again = self._retrying
        self._retrying = isinstance(event, Retrying) and event.seconds > 0
        return "" if again and self._retrying else describe_event(event)


def describe_event(event: Event) -> str:
    """Return the message for an event that is not part of the reply; empty if there is none."""
    from llmrepl.providers.base import Loading, Notice, Retrying

    if isinstance(event, Notice):
        return event.text
    if isinstance(event, Retrying) and event.seconds:
        return f"{event.why} · retrying in {max(event.seconds, 1):.0f} s"
    if isinstance(event, Loading) and not event.seconds:
        return f"loading {event.name}"
    return ""


def rings(turn_result: TurnResult, settings: Settings) -> bool:
    """Whether to ring the bell after a turn: it took long, and the user did not end it."""
    return settings.flag("bell") and turn_result.latency_ms > BELL_AFTER_MS and not turn_result.stopped


def format_footer(turn_result: TurnResult) -> str:
    """Format the figures of a reply: tokens in→out (total), seconds, cost, remaining budget."""
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


def format_sources(turn_result: TurnResult) -> str:
    """Format the sources that a reply cites, a numbered line each; empty without any."""
    lines = []
    for number, one in enumerate(turn_result.citations, 1):
        title = f"{_one_line(one.title)} " if one.title else ""
        lines.append(f"[{number}] {title}{_one_line(one.url)}")
    return "\n".join(lines)


def outcome_notes(turn_result: TurnResult) -> list[str]:
    """Return notes about a reply that did not end normally."""
    if turn_result.stopped:
        return [STOPPED_PART if turn_result.text else STOPPED_BEFORE]
    if turn_result.finish_reason == "interrupted":
        if turn_result.failure:  # which says that the reply was cut off
            return [] if ":retry" in turn_result.failure.hint else ["the part that came is kept, and :retry asks again"]
        return ["the reply was cut off; the part that came is kept, and :retry asks again"]
    if turn_result.finish_reason == "length":
        return ["the reply ended at the token limit; :set max_tokens N allows more"]
    if turn_result.finish_reason == "content_filter":
        return ["the provider's content filter ended the reply"]
    if turn_result.finish_reason == "pause_turn":
        return ["The model paused. Another prompt, such as 'go on', continues."]
    if turn_result.finish_reason == "refusal":
        return ["The model refused to answer, or to go on."]
    if turn_result.finish_reason not in ("stop", "tool_calls", "error"):
        return [f"The provider ended the reply with the reason '{_one_line(turn_result.finish_reason)}'."]
    return []


def _one_line(text: str) -> str:
    return " ".join(escape_controls(text).split())
