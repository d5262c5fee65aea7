"""Output on a capable terminal. rich is imported when it is first needed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from llmrepl.commands.registry import Call
from llmrepl.commands.results import Document, Note, Result, Transcript
from llmrepl.config.settings import Settings
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.providers.base import Event, Loading, Notice, ReasoningDelta, Requesting, Retrying, TextDelta
from llmrepl.rendering import pager
from llmrepl.rendering.base import BELL, PlainOutput, format_footer, format_sources, outcome_notes, rings
from llmrepl.rendering.status_line import StatusLine
from llmrepl.system.environment import Environment

if TYPE_CHECKING:
    from llmrepl.chat.turn import TurnResult
    from llmrepl.rendering.reply_view import ReplyView

BOLD, DIM, ERROR, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"


class TerminalOutput:
    """An Output with Markdown, tables, colors and a countdown."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self._environment = environment
        self._settings = settings
        self._plain = PlainOutput(environment)
        self._status = StatusLine(environment)
        self._waiting = False
        self._view: ReplyView | None = None

    def preload(self) -> None:
        """Import what the first reply needs, while the prompt is idle."""
        from llmrepl.rendering import reply_view, widgets

        del widgets, reply_view

    def begin_reply(self, text: str, heading: str = "") -> None:
        """Create the view of a reply, under its heading."""
        from llmrepl.rendering import reply_view

        if heading:
            text = escape_controls(heading)
            self._environment.stdout.write(f"{BOLD}{text}{PLAIN}\n" if self._color else f"{text}\n")
            self._environment.stdout.flush()
        self._view = reply_view.create_reply_view(self._environment, self._settings)

    def prompt(self, text: str) -> None:
        """Show a prompt as it stands in the transcript."""
        from llmrepl.rendering import widgets

        self._environment.stdout.write("\n" + widgets.render_prompt(text, widgets.console(self._environment.stdout)))
        self._environment.stdout.flush()

    def event(self, event: Event) -> None:
        """Draw a chunk of the reply, or what happens until it comes."""
        if isinstance(event, TextDelta):
            if self._waiting:
                self._end_waiting()
            if self._view:
                self._view.text(event.text)
        elif isinstance(event, ReasoningDelta):
            if self._settings.text("reasoning") == "hide":
                self._status.think(event.text)
                return
            if self._waiting:
                self._end_waiting()
            if self._view:
                self._view.reasoning(event.text)
        elif isinstance(event, Notice):
            self.note(event.text)
        else:
            self._progress(event)

    def _progress(self, event: Event) -> None:
        """Show on the status line what happens before the reply."""
        if isinstance(event, Requesting):
            self._waiting = True
            self._status.wait(event.model)
        elif isinstance(event, Loading):
            self._waiting = True
            self._status.show(f"loading {event.name} · {event.seconds:.0f} s")
        elif isinstance(event, Retrying) and event.seconds:
            self._waiting = True
            self._status.show(f"{event.why} · retrying in {max(event.seconds, 1):.0f} s")
        elif isinstance(event, Retrying):
            self._status.wait_again()

    def _end_waiting(self) -> None:
        self._waiting = False
        self._status.stop()

    def data(self, text: str) -> None:
        """Write text as it is, without Markdown."""
        self._end_waiting()
        self._environment.stdout.write(f"{escape_controls(text)}\n")
        self._environment.stdout.flush()

    def turn_result(self, turn_result: TurnResult) -> None:
        """End the reply, report failures, and add a dim line of figures."""
        self._end_waiting()
        if self._view:
            self._view.finish()
            self._view = None
        if sources := format_sources(turn_result):
            self._environment.stdout.write(f"\n{escape_controls(sources)}\n")
            self._environment.stdout.flush()
        for failure in (turn_result.failure, turn_result.unsaved):
            if failure:
                self.failure(failure)
        for text in outcome_notes(turn_result):
            self.note(text)
        if turn_result.text and self._settings.get("show_costs"):
            self._dim(format_footer(turn_result))
        if rings(turn_result, self._settings):
            self._environment.stdout.write(BELL)
            self._environment.stdout.flush()

    def result(self, call: Call, result: Result) -> None:
        """Draw a command's result; long output goes through the pager."""
        if isinstance(result, Note):
            self.say(result.text)
            return
        from llmrepl.rendering import widgets

        rows = self._environment.terminal_size().lines
        markdown = self._settings.flag("markdown")
        text = widgets.render_results(result, self._environment.stdout, markdown=markdown)
        if text.count("\n") >= rows - 1 and isinstance(result, Document) and result.brief:
            text = widgets.render_results(result.brief, self._environment.stdout)
        if text.count("\n") < rows - 1 or not self._page(text, from_end=isinstance(result, Transcript)):
            self._environment.stdout.write(text)
            self._environment.stdout.flush()
        widgets.draw_notes(result, self._environment.stderr)

    def _page(self, text: str, *, from_end: bool) -> bool:
        """Show a text in the pager; return False if it must be written instead."""
        try:
            return pager.page(text, self._environment.environ, from_end=from_end)
        except LLMError as failure:
            self.note(failure.message)
            return False

    def failure(self, failure: LLMError) -> None:
        """Write the message, wrapped to the terminal, and the hint on a line of its own."""
        if not self._environment.stderr.isatty():
            self._plain.failure(failure)
            return
        message = self._wrap(f"error: {failure.message}")
        label, text = message[:6], message[6:]
        self._plain.say(f"{ERROR}{label}{PLAIN}{text}" if self._color else message, ours=True)
        if failure.hint:
            self._plain.say(self._wrap(failure.hint, indent="  "))

    def note(self, text: str) -> None:
        """Write a dim line; where stderr is not a terminal, a plain line that is marked as a note."""
        self._status.erase()
        if self._view:
            self._view.finish()
        if self._environment.stderr.isatty():
            self._dim(self._wrap(text))
        else:
            self._plain.note(text)

    def say(self, text: str) -> None:
        """Write lines without styling, wrapped to a terminal."""
        if self._environment.stderr.isatty():
            lines = text.rstrip("\n").split("\n")
            text = "\n".join(self._wrap(line, " " * (len(line) - len(line.lstrip()))) for line in lines)
        self._plain.say(text.rstrip("\n"))

    @property
    def _color(self) -> bool:
        return "NO_COLOR" not in self._environment.environ

    def _wrap(self, text: str, indent: str = "") -> str:
        """Wrap a message between words."""
        return textwrap.fill(
            " ".join(escape_controls(text).split()),
            max(20, self._environment.terminal_size().columns),
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _dim(self, text: str) -> None:
        text = escape_controls(text)
        self._plain.say(f"{DIM}{text}{PLAIN}" if self._color else text, ours=True)
