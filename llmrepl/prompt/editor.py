"""Edit a text in the user's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from llmrepl.errors import LLMError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.system import files
from llmrepl.system.limits import MAX_EDITED_BYTES

_SET_EDITOR = "set VISUAL or EDITOR to an editor"


def edit_text(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` as edited with $VISUAL or $EDITOR, without the line ends after it.

    Raises UsageError if the editor cannot be run or fails, and if what it saved cannot be used; that is kept then, and
    the message names the file.
    """
    program = _program(environ)
    try:
        path = files.scratch_file(text)
    except OSError as error:
        raise LLMError(f"no file can be made for the editor: {files.reason(error)}", "free some space") from error
    before = path.read_bytes()
    try:
        status = _run(program, path)
        saved = _read_saved(path, program[0])
        if status:
            raise UsageError(f"the editor {escape_name(program[0])} ended with exit code {status}")
        changed = _decode(saved)
    except UsageError as failure:
        raise _with_path(failure, path, before) from failure
    except BaseException:
        _remove_unless_changed(path, before)
        raise
    files.unlink_quietly(path)
    return changed.rstrip("\n")


def _program(environ: Mapping[str, str]) -> list[str]:
    command = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    try:
        return shlex.split(command) or ["vi"]
    except ValueError:
        raise UsageError(f"cannot run the editor {escape_name(command)}: it has an open quote", _SET_EDITOR) from None


def _run(program: list[str], path: Path) -> int:
    try:
        return subprocess.run([*program, path], check=False).returncode
    except (OSError, ValueError) as error:
        why = files.reason(error) if isinstance(error, OSError) else "it holds a NUL"
        raise UsageError(f"cannot run the editor {escape_name(program[0])}: {why}", _SET_EDITOR) from error


def _read_saved(path: Path, editor: str) -> bytes:
    try:
        return files.read_regular(path, MAX_EDITED_BYTES)
    except FileNotFoundError:
        raise UsageError(f"the editor {escape_name(editor)} left no file", "nothing was changed") from None
    except OSError as error:
        raise UsageError(f"what the editor saved cannot be read: {files.reason(error)}") from error


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("what the editor saved is not UTF-8 text") from None


def _with_path(failure: UsageError, path: Path, before: bytes) -> UsageError:
    """Add where the text is, if the editor changed it."""
    if not _remove_unless_changed(path, before):
        return UsageError(failure.message, failure.hint or "nothing was changed")
    return UsageError(f"{failure.message}. What it saved is kept in {escape_name(str(path))}", failure.hint)


def _remove_unless_changed(path: Path, before: bytes) -> bool:
    """Delete the file if it still holds `before`; return whether there is one that holds something else."""
    try:
        if files.read_regular(path, len(before)) != before:
            return True
    except OSError:
        return os.path.lexists(path)
    files.unlink_quietly(path)
    return False
