"""The loop of the prompt: read an input, run it, draw what comes; until the user leaves."""

from __future__ import annotations

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output as Screen

from llmrepl.repl.banner import banner
from llmrepl.repl.completer import RegistryCompleter
from llmrepl.repl.editor import edited
from llmrepl.repl.history import open_history
from llmrepl.repl.idle import when_idle
from llmrepl.repl.keys import key_bindings, unquoted
from llmrepl.repl.toolbar import toolbar
from llmrepl.repl.words import LEAVE, hint_for
from llmrepl.shell import Shell

PROMPT = "You: "


class Loop:
    """A shell with a person in front of it. `input` and `screen` are prompt_toolkit's, passed in by tests."""

    def __init__(self, shell: Shell, *, input: Input | None = None, screen: Screen | None = None) -> None:
        self.shell = shell
        self._workspace = shell.workspace
        self._interrupted_at = float("-inf")
        self._warmed = False
        self._prompt: PromptSession[str] = PromptSession(
            PROMPT,
            history=open_history(self._workspace),
            completer=RegistryCompleter(shell.table, self._workspace),
            complete_while_typing=False,
            complete_in_thread=True,
            enable_history_search=True,
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            prompt_continuation="",
            key_bindings=key_bindings(),
            bottom_toolbar=lambda: toolbar(self._workspace),
            enable_suspend=True,
            enable_open_in_editor=True,
            input=input,
            output=screen,
        )

    def run(self) -> int:
        """Read and run inputs until the user leaves; the exit code."""
        self.shell.editor = lambda text: edited(text, self._workspace.world.environ)
        self.shell.greet = True
        while not self.shell.left:
            if self.shell.greet:
                self.shell.tell()
                self.shell.output.say(banner(self._workspace) + "\n")
                self.shell.greet = False
            try:
                text = self._read()
            except KeyboardInterrupt:
                self._ctrl_c()
            except EOFError:
                break
            else:
                self._input(unquoted(text))
        return self.shell.close()

    def _read(self) -> str:
        vi = self._workspace.settings.get("keys") == "vi"
        self._prompt.editing_mode = EditingMode.VI if vi else EditingMode.EMACS
        if self._warmed:
            return self._prompt.prompt()
        self._warmed = True
        return self._prompt.prompt(pre_run=lambda: when_idle(self._prompt.app, self._warm, self.shell.tell))

    def _input(self, text: str) -> None:
        word = text.strip()
        if word in LEAVE:
            self.shell.left = True
        elif hint := hint_for(word):
            self.shell.output.note(hint)
        else:
            try:
                self.shell.run(text)
            except KeyboardInterrupt:
                return

    def _ctrl_c(self) -> None:
        now = self._workspace.world.monotonic()
        if now - self._interrupted_at < 2:
            self.shell.output.note("':exit' or Ctrl-D leaves")
        self._interrupted_at = now

    def _warm(self) -> None:
        """Load what the first prompt will need, and bring back what dead shells left, while nobody waits."""
        self._workspace.store()
        self.shell.output.warm()
