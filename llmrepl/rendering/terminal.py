"""Drawing on a terminal. rich is loaded when the first thing is drawn with it, not before."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Document, Note, Result
from llmrepl.config.settings import Settings
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.providers.base import Event, Notice, ReasoningDelta, Retrying, TextDelta
from llmrepl.rendering import pager
from llmrepl.rendering.base import PlainOutput, footer, remarks
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.rendering.reply_view import ReplyView

DIM, PLAIN = "\x1b[2m", "\x1b[0m"


class TerminalOutput:
    """An Output for a person at a terminal that can draw: Markdown, tables, colours, a countdown."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self._environment = environment
        self._settings = settings
        self._plain = PlainOutput(environment)
        self._view: ReplyView | None = None
        self._waiting = False

    def warm(self) -> None:
        """Load what the first reply needs, while nobody waits."""
        from llmrepl.rendering import reply_view as stream
        from llmrepl.rendering import widgets as drawing

        del drawing, stream

    def question(self, text: str) -> None:
        """Begin to draw a reply."""
        from llmrepl.rendering import reply_view as stream

        self._view = stream.reply_view(self._environment, self._settings)

    def event(self, event: Event) -> None:
        """Draw a piece of the reply, or the countdown of a wait."""
        if self._waiting and not isinstance(event, Retrying):
            self._countdown("")
        if isinstance(event, TextDelta) and self._view:
            self._view.text(event.text)
        elif isinstance(event, ReasoningDelta) and self._view:
            self._view.reasoning(event.text)
        elif isinstance(event, Notice):
            self.note(event.text)
        elif isinstance(event, Retrying):
            waiting = f"{event.why}; trying again in {event.seconds:.0f} s, Ctrl-C stops"
            self._countdown(waiting if event.seconds else "")

    def turn_result(self, turn_result: TurnResult) -> None:
        """Finish the reply, say what went wrong, and one dim line of figures."""
        if self._waiting:
            self._countdown("")
        if self._view:
            self._view.finish()
            self._view = None
        for failure in (turn_result.failure, turn_result.unsaved):
            if failure:
                self.failure(failure)
        for text in remarks(turn_result):
            self.note(text)
        if turn_result.text and self._settings.get("show_costs"):
            self._dim(footer(turn_result))

    def reply(self, call: Call, reply: Result) -> None:
        """Draw what a command answered; long output goes through the pager."""
        if isinstance(reply, Note):
            self._plain.reply(call, reply)
            return
        from llmrepl.rendering import widgets as drawing

        rows = shutil.get_terminal_size().lines
        text = drawing.drawn(reply, self._environment.stdout)
        if text.count("\n") >= rows - 1 and isinstance(reply, Document) and reply.brief:
            text = drawing.drawn(reply.brief, self._environment.stdout)
        if text.count("\n") < rows - 1 or not self._paged(text):
            self._environment.stdout.write(text)
            self._environment.stdout.flush()
        drawing.draw_notes(reply, self._environment.stderr)

    def _paged(self, text: str) -> bool:
        """Show a text in the pager; False if it is to be written instead."""
        try:
            return pager.page(text, self._environment.environ)
        except LLMError as failure:
            self.note(failure.message)
            return False

    def failure(self, failure: LLMError) -> None:
        """One sentence or two."""
        self._plain.say(self._fitted(f"error: {failure}"))

    def note(self, text: str) -> None:
        """One dim line."""
        if self._view:
            self._view.finish()
        self._dim(self._fitted(f"note: {text}"))

    def say(self, text: str) -> None:
        """Lines as they are, for the banner."""
        self._plain.say(text)

    def _fitted(self, text: str) -> str:
        """A sentence broken between its words where stderr is the screen."""
        text = " ".join(escape_controls(text).split())
        if not self._environment.stderr.isatty():
            return text
        columns = max(20, shutil.get_terminal_size().columns)
        return textwrap.fill(text, columns, break_long_words=False, break_on_hyphens=False)

    def _dim(self, text: str) -> None:
        colour = "NO_COLOR" not in self._environment.environ
        self._plain.say(f"{DIM}{escape_controls(text)}{PLAIN}" if colour else text, ours=True)

    def _countdown(self, text: str) -> None:
        self._waiting = bool(text)
        self._environment.stderr.write(f"\r\x1b[K{escape_controls(text)}")
        self._environment.stderr.flush()
