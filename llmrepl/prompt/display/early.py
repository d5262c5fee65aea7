"""What the next start draws before it is loaded, and the keys that were typed into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser

from llmrepl.system import early_prompt, files

if TYPE_CHECKING:
    from prompt_toolkit.key_binding.key_processor import KeyPress

    from llmrepl.chat.workspace import Workspace

_TIME = re.compile(r"session_\d{8}_\d{6}(?=\.json\n)")
_LABEL = "You: "


def feed_keys(input: Input, keys: bytes) -> None:
    """Give keys to the next prompt as if they were typed there."""
    presses: list[KeyPress] = []
    parser = Vt100Parser(presses.append)
    parser.feed_and_flush(keys.decode("utf-8", "surrogateescape"))
    store_typeahead(input, presses)


def remember_greeting(workspace: Workspace, greeting: str, columns: int) -> None:
    """Keep the screen above the first prompt for the next start. Raises OSError."""
    environment = workspace.environment
    if not environment.interactive() or (environment.stderr.encoding or "").lower().replace("-", "") != "utf8":
        return
    weight = "0;1" if "NO_COLOR" in environment.environ else "0;36;1"
    prompt = f"\x1b[{weight}mYou:\x1b[0m "
    key = early_prompt.key(environment.environ, str(environment.cwd), columns)
    screen = _TIME.sub(f"session_{early_prompt.STAMP}", greeting)
    data = early_prompt.encode(key, screen, prompt, len(_LABEL))
    path = workspace.paths.early_prompt_file
    try:
        if files.read_regular(path, len(data)) == data:
            return
    except OSError:
        pass
    files.write_private(path, data)
