"""Long output goes through the user's pager, as git does it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping


def page(text: str, environ: Mapping[str, str]) -> bool:
    """Show `text` (which may hold our own escape codes) in $PAGER or less; whether a pager could be run.

    The program is run as an argument list, without a shell; an empty PAGER or `cat` means none.
    """
    words = shlex.split(environ.get("PAGER", "less"))
    if not words or words == ["cat"] or shutil.which(words[0]) is None:
        return False
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, env={"LESS": "FRX", **environ}, text=True, encoding="utf-8", errors="replace"
    )
    try:
        process.communicate(text)
    except KeyboardInterrupt:  # less takes Ctrl-C itself
        process.wait()
    return True
