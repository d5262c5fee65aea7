"""The user's own editor for a text."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from llmrepl.errors import UsageError


def edited(text: str, environ: Mapping[str, str]) -> str:
    """`text` as it comes out of $VISUAL or $EDITOR, without a line end after it. Raises UsageError if it cannot run."""
    program = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    fd, name = tempfile.mkstemp(suffix=".md", prefix="llm-")
    path = Path(name)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([*program, name], check=False)
        if done.returncode:
            raise UsageError(f"the editor {program[0]} ended with {done.returncode}", "nothing was changed")
        return path.read_text("utf-8").rstrip("\n")
    except FileNotFoundError as error:
        raise UsageError(f"there is no editor {program[0]}", "set VISUAL or EDITOR") from error
    finally:
        os.unlink(name)
