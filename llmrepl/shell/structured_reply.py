"""Ask for a reply that fits a JSON Schema, and print it only if it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llmrepl.chat import schema as json_schema
from llmrepl.commands.registry import Call
from llmrepl.commands.results import Result, SendPrompt
from llmrepl.errors import LLMError, MisfitError
from llmrepl.rendering.base import Output
from llmrepl.types import Message, Usage

if TYPE_CHECKING:
    from llmrepl.chat.turn import ChatTurn, TurnResult
    from llmrepl.providers.base import Event

RETRY, OTHER = "--schema-retry asks once more.", "Another model may do better: -m MODEL."


class HeldOutput:
    """An Output that holds the reply back until it is checked, and passes on everything else."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._begun = False
        self.turn: TurnResult | None = None

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Pass on the first question; the complaint is not one of the user's."""
        if not self._begun:
            self._output.begin_reply(text, heading)
            self._begun = True

    def event(self, event: Event) -> None:
        """Pass on what is not text."""
        from llmrepl.providers.base import TextDelta

        if not isinstance(event, TextDelta):
            self._output.event(event)

    def data(self, text: str) -> None:
        """Pass it on."""
        self._output.data(text)

    def turn_result(self, turn_result: TurnResult) -> None:
        """Keep it; a second one includes what the first cost."""
        self.turn = _with_cost_of(self.turn, turn_result) if self.turn else turn_result

    def prompt(self, text: str) -> None:
        """Pass it on."""
        self._output.prompt(text)

    def result(self, call: Call, result: Result) -> None:
        """Pass it on."""
        self._output.result(call, result)

    def failure(self, failure: LLMError) -> None:
        """Pass it on."""
        self._output.failure(failure)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._output.note(text)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._output.say(text)

    def preload(self) -> None:
        """Pass it on."""
        self._output.preload()


def ask_structured(
    send: Callable[[SendPrompt, Output], ChatTurn], output: Output, prompt: SendPrompt, schema: dict[str, Any]
) -> TurnResult | None:
    """Send a prompt, check the reply, ask once more if the prompt says so, and render the outcome.

    A reply that fits goes to stdout as JSON. One that does not is a MisfitError, and stays readable on stderr.
    """
    held = HeldOutput(output)
    try:
        turn = send(prompt, held)
        why = _misfit(held.turn, schema)
        if why and prompt.schema_retry and held.turn:
            output.note(f"The reply does not fit the schema: {why}. Asking once more.")
            context = None if prompt.keep else [*turn.messages, Message("assistant", held.turn.text)]
            send(replace(prompt, text=json_schema.complaint(why), attachments=(), context=context, replaces=None), held)
            why = _misfit(held.turn, schema)
    except BaseException:  # Ctrl-C too: what came is reported
        if held.turn:
            output.turn_result(held.turn)
        raise
    return _render(output, held.turn, why, OTHER if prompt.schema_retry else RETRY)


def _misfit(turn: TurnResult | None, schema: dict[str, Any]) -> str:
    """Say why a reply does not fit; empty if it does, or if there is none."""
    return "" if turn is None or turn.failure else json_schema.misfit(turn.text, schema)


def _render(output: Output, turn: TurnResult | None, why: str, hint: str) -> TurnResult | None:
    if turn is None:
        return None
    if why:
        turn = replace(turn, failure=MisfitError(f"The reply does not fit the schema: {why}.", hint))
    if turn.failure and turn.text:
        output.note(f"The reply was: {turn.text}")
    if not turn.failure:
        turn = replace(turn, text=json_schema.json_of(turn.text))
        output.data(turn.text)
    output.turn_result(turn)
    return turn


def _with_cost_of(first: TurnResult, second: TurnResult) -> TurnResult:
    """Add what the first attempt took to the result of the second."""
    usage = _sum(first.usage, second.usage) if first.usage and second.usage else second.usage or first.usage
    cost = first.cost + second.cost if first.cost is not None and second.cost is not None else None
    return replace(second, usage=usage, cost=cost, latency_ms=first.latency_ms + second.latency_ms)


def _sum(first: Usage, second: Usage) -> Usage:
    return Usage(
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.cached_tokens + second.cached_tokens,
        first.cache_write_tokens + second.cache_write_tokens,
        first.reasoning_tokens + second.reasoning_tokens,
        None if first.cost is None or second.cost is None else first.cost + second.cost,
        first.estimated or second.estimated,
        first.media_tokens + second.media_tokens,
    )
