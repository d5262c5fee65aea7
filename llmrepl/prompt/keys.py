"""Key bindings that differ from prompt_toolkit's defaults."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import completion_is_selected, has_completions, is_searching, vi_navigation_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from llmrepl.commands.line import BLOCK, as_prompt
from llmrepl.errors import LLMError
from llmrepl.formatting import escape_controls
from llmrepl.system.environment import Environment


def key_bindings(environment: Environment, pick_model: Callable[[str], None]) -> KeyBindings:
    """Enter sends; Alt-Enter, Ctrl-J and Ctrl-O make a line; Ctrl-G edits the input; Alt-P calls `pick_model` with it.

    A block in triple quotes is one input.
    """
    keys = KeyBindings()

    @keys.add("enter", filter=~completion_is_selected & ~is_searching)
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open_block(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("enter", filter=has_completions & completion_is_selected)
    def _accept(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    @keys.add("escape", "enter")
    @keys.add("c-j", filter=~is_searching)
    @keys.add("c-o", filter=~is_searching)
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-g", filter=~is_searching)
    @keys.add("c-x", "c-e", filter=~is_searching)
    @keys.add("v", filter=vi_navigation_mode & ~is_searching)
    def _edit(event: KeyPressEvent) -> None:
        event.app.create_background_task(_edit_buffer(event.current_buffer, environment))

    @keys.add("escape", "p", filter=~is_searching)
    def _pick_model(event: KeyPressEvent) -> None:
        pick_model(event.current_buffer.text)
        event.app.erase_when_done = True
        event.app.exit(result=":model")

    @keys.add(Keys.ControlC, filter=~is_searching)
    def _clear(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.text:
            buffer.append_to_history()  # Up restores input that was cleared by mistake
            buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt, style="class:aborting")

    return keys


async def _edit_buffer(buffer: Buffer, environment: Environment) -> None:
    """Edit the input in the user's own editor; errors are shown above the prompt."""
    from llmrepl.prompt.editor import edit_text

    try:
        text = await run_in_terminal(lambda: edit_text(buffer.text, environment.environ), in_executor=True)
    except LLMError as failure:
        said = escape_controls(f"error: {failure}\n")
        await run_in_terminal(lambda: environment.stderr.write(said))
        return
    buffer.document = Document(text, len(text))


def is_open_block(text: str) -> bool:
    """Whether a block of triple quotes is open."""
    return sum(line.strip() == BLOCK for line in text.split("\n")) % 2 == 1


def strip_block_quotes(text: str) -> str:
    """Remove the triple quotes around an input."""
    lines = text.split("\n")
    if len(lines) > 2 and lines[0].strip() == BLOCK and lines[-1].strip() == BLOCK:
        return as_prompt("\n".join(lines[1:-1]))
    return text
