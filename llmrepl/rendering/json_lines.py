"""`--json`: one JSON object per line on stdout. A `reply` is printed only once its turn is durable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Result
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.rendering import plain
from llmrepl.rendering.base import EventNotes
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.providers.base import Event

REASONS = {1: "failed", 2: "wrong_use", 3: "damaged", 4: "not_saved", 5: "over_budget", 6: "in_use", 7: "does_not_fit"}
"""The `reason` of an `error` event, by exit code."""


class JsonOutput:
    """Writes the events `prompt`, `reply`, `command` and `error`, each flushed."""

    def __init__(self, environment: Environment) -> None:
        self._out = environment.stdout
        self._err = environment.stderr
        self._notes = EventNotes()

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Write a `prompt` event."""
        self._emit({"event": "prompt", "text": text})

    def prompt(self, text: str) -> None:
        """Do nothing; `begin_reply` writes it."""

    def event(self, event: Event) -> None:
        """Write notices to stderr; the reply itself is written when it is complete."""
        if text := self._notes.describe(event):
            self.note(text)

    def turn_result(self, turn_result: TurnResult) -> None:
        """Write a `reply` event if the reply is saved or need not be, and `error` events."""
        if not turn_result.unsaved and (turn_result.text or not turn_result.failure):
            self._emit(_reply(turn_result))
        for failure in (turn_result.failure, turn_result.unsaved):
            if failure:
                self.failure(failure)

    def result(self, call: Call, result: Result) -> None:
        """Write a `command` event with output and notes."""
        output, notes = plain.format_results(result), plain.format_notices(result)
        self._emit({"event": "command", "command": call.command.name, "output": output, "notes": notes})

    def failure(self, failure: LLMError) -> None:
        """Write an `error` event, and the message to stderr."""
        self._emit({"event": "error", **_error(failure)})
        self._write_error(failure)

    def _write_error(self, failure: LLMError) -> None:
        self._err.write(f"error: {' '.join(escape_controls(str(failure)).split())}\n")
        self._err.flush()

    def note(self, text: str) -> None:
        """Write one line to stderr."""
        self._err.write(f"note: {' '.join(escape_controls(text).split())}\n")
        self._err.flush()

    def say(self, text: str) -> None:
        """Do nothing; programs need no banner."""

    def preload(self) -> None:
        """Do nothing; everything is loaded."""

    def data(self, text: str) -> None:
        """Do nothing; the data is in the reply."""

    def _emit(self, data: dict[str, Any]) -> None:
        self._out.write(json.dumps(data) + "\n")
        self._out.flush()


class SingleJsonOutput(JsonOutput):
    """Writes exactly one object for `llm ask --json`: the answer to `question`, asked with `system`, or the error.

    An answer is marked `"event": "reply"`, so that what reads the lines of a script reads it too.
    """

    def __init__(self, environment: Environment, question: str, system: str | None) -> None:
        super().__init__(environment)
        self._question = question
        self.system = system

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Remember the question as it was sent."""
        self._question = text

    def turn_result(self, turn_result: TurnResult) -> None:
        """Write the answer, or the error that ended it."""
        if failure := turn_result.failure or turn_result.unsaved:
            self.failure(failure)
            return
        reply = _reply(turn_result)
        data = {"question": self._question, "response": reply.pop("text"), "model": reply.pop("model")}
        cost = reply.pop("cost")
        known = {} if cost is None else {"estimated_cost_usd": cost}
        self._emit({**data, "system": self.system, **known, **reply})

    def failure(self, failure: LLMError) -> None:
        """Write the error, and its message to stderr."""
        self._emit({"question": self._question, "error": _error(failure)})
        self._write_error(failure)

    def result(self, call: Call, result: Result) -> None:
        """Write nothing; the answer is the result."""


def _error(failure: LLMError) -> dict[str, Any]:
    reason = REASONS.get(failure.code, "failed")
    return {"reason": reason, "message": failure.message, "hint": failure.hint, "code": failure.code}


def _reply(turn_result: TurnResult) -> dict[str, Any]:
    usage = turn_result.usage
    data: dict[str, Any] = {
        "event": "reply",
        "text": turn_result.text,
        "model": turn_result.model,
        "finish_reason": turn_result.finish_reason,
        "usage": None,
        "cost": turn_result.cost,
        "latency_ms": round(turn_result.latency_ms, 1),
        "session": turn_result.session,
        "turn": turn_result.number,
    }
    if usage:
        data["usage"] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "estimated": usage.estimated,
        }
    if turn_result.citations:
        data["citations"] = [{"url": one.url, "title": one.title} for one in turn_result.citations]
    if turn_result.pictures:
        data["pictures"] = list(turn_result.pictures)
    return data
