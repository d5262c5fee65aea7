"""The prompt loop: read an input, run it, render the result."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import Completer, DynamicCompleter
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output as Screen
from prompt_toolkit.utils import is_dumb_terminal

from llmrepl.chat.context import context_fraction
from llmrepl.chat.workspace import Workspace
from llmrepl.errors import LLMError
from llmrepl.formatting import display_path
from llmrepl.prompt.display.banner import create_greeting, first_run_notes
from llmrepl.prompt.display.title import TerminalTitle
from llmrepl.prompt.display.toolbar import toolbar
from llmrepl.prompt.highlight import STYLE, InputLexer, ShortenMarks
from llmrepl.prompt.history import open_history
from llmrepl.prompt.keys import key_bindings, strip_block_quotes
from llmrepl.prompt.paste import end_pastes_with_ctrl_c
from llmrepl.prompt.preload import when_idle, write_above
from llmrepl.prompt.typeahead import Typeahead, needs_editor

if TYPE_CHECKING:
    from llmrepl.shell.runner import Shell
    from llmrepl.system.early_prompt import EarlyPrompt

LEAVE = ("exit", "quit")
"""Inputs that leave, besides the commands."""

PROMPT, INCOGNITO = "You: ", "You (incognito): "


class Loop:
    """Runs a shell interactively; `open_shell` creates it when the user is idle or an input needs it.

    `early` is the prompt that was drawn while the program was loading, and `remember` says to keep the screen above the
    first prompt for the next start. `input` and `screen` are those of prompt_toolkit, passed by tests.
    """

    def __init__(
        self,
        workspace: Workspace,
        open_shell: Callable[[], Shell],
        *,
        early: EarlyPrompt | None = None,
        remember: bool = False,
        input: Input | None = None,
        screen: Screen | None = None,
    ) -> None:
        self._workspace = workspace
        self._open_shell = open_shell
        self._opening = threading.Lock()
        self._shell: Shell | None = None
        self._registry_completer: Completer | None = None
        self._interrupted_at = float("-inf")
        self._preloaded = False
        self._context_fraction: float | None = None
        self._lexer = InputLexer()
        self._typeahead = Typeahead(workspace.environment.stdin.fileno())
        self._unsent = False
        self._draft = ""
        self._early = early
        self._remember = remember
        self._greeting = ""
        self._title = TerminalTitle(workspace.environment)
        self._prompt: PromptSession[str] = PromptSession(
            PROMPT,
            history=open_history(workspace),
            completer=DynamicCompleter(self._completer),
            complete_while_typing=False,
            complete_in_thread=True,
            lexer=None if "NO_COLOR" in workspace.environment.environ else self._lexer,
            style=STYLE,
            input_processors=[ShortenMarks()],
            enable_history_search=True,
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            prompt_continuation=" " * len(PROMPT),
            key_bindings=key_bindings(workspace.environment, self._keep_draft),
            bottom_toolbar=self._toolbar,
            enable_suspend=True,
            input=input,
            output=screen,
        )
        self._dumb = screen is None and is_dumb_terminal(workspace.environment.environ.get("TERM", ""))
        end_pastes_with_ctrl_c(self._prompt.input)

    @property
    def shell(self) -> Shell:
        """The shell, created on first use."""
        from llmrepl.commands import registry
        from llmrepl.prompt.terminal_interaction import TerminalInteraction

        with self._opening:
            if self._shell is None:
                self._shell = self._open_shell()
                self._shell.interaction = TerminalInteraction(self._workspace.environment)
                self._shell.with_guide = True
                self._lexer.set_commands(self._shell.table, registry.PROMPT)
            return self._shell

    def _toolbar(self) -> str:
        return toolbar(self._workspace, self._context_fraction, self._prompt.output.get_size().columns)

    def _completer(self) -> Completer:
        if self._registry_completer is None:
            from llmrepl.prompt.completer import RegistryCompleter

            self._registry_completer = RegistryCompleter(self.shell.table, self._workspace)
        return self._registry_completer

    def run(self) -> int:
        """Read and run inputs until the user leaves; return the exit code."""
        workspace = self._workspace
        workspace.stdin_is_input = True
        self._remember = self._remember and not workspace.notes
        workspace.notes += first_run_notes(workspace)
        try:
            with self._typeahead.quiet(self._early.mode if self._early else None):
                if self._typeahead.echoed:
                    workspace.environment.stderr.write("\n")
                self._run_inputs()
        finally:
            self._title.restore()
        saved = self._farewell()
        code = self.shell.close()
        if saved and not code:
            self.shell.output.note(saved)
        return code

    def _session_name(self) -> str:
        path = self._workspace.chat.next_path()
        return path.name.removesuffix(".json") if path else "incognito"

    def _farewell(self) -> str:
        """Return where the conversation is saved; empty without a recorded turn."""
        current = self._workspace.chat.current
        if not current or not current.session.turns or not current.path or not current.is_recorded:
            return ""
        workspace = self._workspace
        place = display_path(current.path, workspace.environment.cwd)
        found = current.path.parent == workspace.directory(workspace.settings.text("session_dir"))  # where -c looks
        return f"saved as {place}{' · llm -c goes on with it' if found else ''}"

    def _run_inputs(self) -> None:
        greet = True
        while not (self._shell and self._shell.left):
            self._greet(create_greeting(self._workspace) if greet else "\n")
            try:
                text = self._read()
            except KeyboardInterrupt:
                self._ctrl_c()
                greet = False
            except EOFError:
                break
            else:
                greet = self._input(strip_block_quotes(text))

    def _greet(self, greeting: str) -> None:
        """Write what stands above the prompt, unless it was drawn while the program was loading."""
        self._greeting = self._greeting or greeting
        if self._early and self._early.screen == greeting:
            return  # it echoes until the prompt reads keys
        if self._early:
            self._typeahead.keep(self._early.erase())
        self._workspace.environment.stderr.write(greeting)
        self._workspace.environment.stderr.flush()

    def _begin_prompt(self) -> None:
        """Take over from the early prompt when the first prompt begins to read keys, and load the rest when idle."""
        if self._early:
            early, self._early = self._early, None
            self._typeahead.keep(early.stop() if early.drawn else b"")
            self._typeahead.allow_signals()
            self._enter_early_keys()
        if not self._preloaded:
            self._preloaded = True
            when_idle(self._prompt.app, self._preload, self._show_notes)

    def _enter_early_keys(self) -> None:
        from llmrepl.prompt.display.early import feed_keys

        keys = self._typeahead.drain()
        if not needs_editor(keys):
            self._typeahead.keep(keys)
            draft, entered = self._typeahead.take()
            keys = draft.encode() + (b"\r" if entered else b"")
        feed_keys(self._prompt.input, keys)

    def _read(self) -> str:
        vi = self._workspace.settings.get("keys") == "vi"
        self._prompt.editing_mode = EditingMode.VI if vi else EditingMode.EMACS
        draft, entered = ("", False) if self._early else self._typeahead.take(unsent=self._unsent)
        self._unsent = False
        if self._shell and self._shell.draft:
            draft, self._shell.draft, entered = self._shell.draft + draft, "", False
        if self._draft:
            draft, self._draft, entered = self._draft + draft, "", False
        self._prompt.app.erase_when_done = False
        self._title.show(self._session_name())
        self._prompt.message = [("class:you", INCOGNITO if self._workspace.chat.incognito else PROMPT)]
        if draft and self._dumb:  # there prompt_toolkit neither shows nor accepts a default
            from llmrepl.prompt.display.early import feed_keys

            feed_keys(self._prompt.input, draft.encode() + (b"\r" if entered else b""))
            draft, entered = "", False
        return self._prompt.prompt(default=draft, accept_default=entered, pre_run=self._begin_prompt)

    def _keep_draft(self, text: str) -> None:
        """Offer an unfinished input again at the next prompt."""
        self._draft = text

    def _input(self, text: str) -> bool:
        """Run one input; return whether a banner is needed for a new or loaded conversation."""
        word, shell = text.strip(), self.shell
        if word in LEAVE:
            shell.left = True
            return False
        shell.greet = shell.sent_prompt = False
        stopped = True
        with contextlib.suppress(KeyboardInterrupt):
            shell.run(text)  # after Ctrl-C the partial reply is kept and marked
            stopped = False
        with contextlib.suppress(KeyboardInterrupt):
            self._measure_context()
        self._unsent = stopped or shell.sent_prompt  # input typed during a reply is never sent without confirmation
        return shell.greet

    def _measure_context(self) -> None:
        self._context_fraction = None
        with contextlib.suppress(LLMError):  # a session may name an unavailable model
            self._context_fraction = context_fraction(self._workspace)

    def _ctrl_c(self) -> None:
        now = self._workspace.environment.monotonic()
        if now - self._interrupted_at < 2:
            self.shell.output.note("':exit' or Ctrl-D leaves")
        self._interrupted_at = now

    def _preload(self) -> None:
        """Import what the first prompt needs and recover journals while the user is idle."""
        self.shell.output.preload()
        self._workspace.store()
        if self._remember:
            from llmrepl.prompt.display.early import remember_greeting

            remember_greeting(self._workspace, self._greeting, self._prompt.output.get_size().columns)
        if self._workspace.chat.current:
            self._measure_context()

    def _show_notes(self) -> None:
        self._prompt.app.invalidate()
        if self._workspace.notes:
            with write_above(self._prompt.app):
                self.shell.show_notes()
