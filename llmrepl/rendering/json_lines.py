"""`--json`: one JSON object a line on stdout, for programs. A `reply` is only printed when its turn is durable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Result
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.rendering import plain
from llmrepl.rendering.base import told
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.providers.base import Event

REASONS = {1: "failed", 2: "wrong_use", 3: "damaged", 4: "not_saved", 5: "over_budget", 6: "in_use"}
"""The `reason` of an `error` event by its exit code."""


class JsonOutput:
    """Events `prompt`, `reply`, `command` and `error`, each flushed at once."""

    def __init__(self, environment: Environment) -> None:
        self._out = environment.stdout
        self._err = environment.stderr

    def question(self, text: str) -> None:
        """A `prompt` event."""
        self._emit({"event": "prompt", "text": text})

    def event(self, event: Event) -> None:
        """Nothing on stdout before the reply is whole; notices go to stderr."""
        if text := told(event):
            self.note(text)

    def turn_result(self, turn_result: TurnResult) -> None:
        """A `reply` event if there is a reply that is on disk (or is not to be kept), and an `error` event."""
        if not turn_result.unsaved and (turn_result.text or not turn_result.failure):
            self._emit(_reply(turn_result))
        for failure in (turn_result.failure, turn_result.unsaved):
            if failure:
                self.failure(failure)

    def reply(self, call: Call, reply: Result) -> None:
        """A `command` event with what it answered."""
        output, notes = plain.results(reply), plain.notices(reply)
        self._emit({"event": "command", "command": call.command.name, "output": output, "notes": notes})

    def failure(self, failure: LLMError) -> None:
        """An `error` event, and the same on stderr."""
        reason = REASONS.get(failure.code, "failed")
        self._emit(
            {"event": "error", "reason": reason, "message": failure.message, "hint": failure.hint, "code": failure.code}
        )
        self._err.write(f"error: {' '.join(escape_controls(str(failure)).split())}\n")
        self._err.flush()

    def note(self, text: str) -> None:
        """One line on stderr."""
        self._err.write(f"note: {' '.join(escape_controls(text).split())}\n")
        self._err.flush()

    def say(self, text: str) -> None:
        """Nothing: programs need no banner."""

    def warm(self) -> None:
        """Nothing: everything is loaded."""

    def _emit(self, data: dict[str, Any]) -> None:
        self._out.write(json.dumps(data) + "\n")
        self._out.flush()


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
    return data
