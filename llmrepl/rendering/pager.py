"""Show long output in the user's pager, as git does."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping

from llmrepl.errors import LLMError
from llmrepl.formatting import escape_name
from llmrepl.system import files


def page(text: str, environ: Mapping[str, str], *, from_end: bool = False) -> bool:
    """Show `text`, which may contain our own escape codes, in $PAGER or less; return whether there is a pager.

    With `from_end`, less begins at the end of the text.

    The program is run without a shell; an empty PAGER or `cat` means none. Raises LLMError if a pager that the user
    chose cannot be run or fails; the text may not have been shown then.
    """
    command = environ.get("PAGER", "less")
    try:
        words = shlex.split(command)
    except ValueError:
        raise LLMError(f"cannot run the pager {escape_name(command)}: it has an open quote") from None
    if not words or words == ["cat"] or ("PAGER" not in environ and shutil.which(words[0]) is None):
        return False
    name = escape_name(words[0])
    words += ["+G"] if from_end and os.path.basename(words[0]) == "less" else []
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, env={"LESS": "FRX", **environ}, text=True, encoding="utf-8", errors="replace"
        )
    except (OSError, ValueError) as error:
        why = files.reason(error) if isinstance(error, OSError) else "it holds a NUL"
        raise LLMError(f"cannot run the pager {name}: {why}") from error
    try:
        process.communicate(text)
    except KeyboardInterrupt:  # less handles Ctrl-C itself
        process.wait()
        return True
    if process.returncode > 0:
        raise LLMError(f"the pager {name} ended with exit code {process.returncode}")
    return True
