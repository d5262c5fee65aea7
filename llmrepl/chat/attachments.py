"""Attachments of the next prompt: text files and command output are added to its text, images are sent with it."""

from __future__ import annotations

import mimetypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.types import Attachment

MOST_BYTES = 20 << 20
"""Maximum size of an attachment; no provider accepts more."""

COMMAND_SECONDS = 60.0
"""Timeout of a command whose output is attached."""

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def from_file(path: Path, shown: str) -> Attachment:
    """Read an image or text file, called `shown` in messages. Raises UsageError for anything else."""
    try:
        if not path.is_file():
            raise UsageError(f"{escape_name(shown)} is not a file", "check the path")
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{escape_name(shown)} is larger than {MOST_BYTES >> 20} MiB", "attach a part of it")
        data = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        raise UsageError(f"{escape_name(shown)} cannot be read: {why}", "check the path") from error
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind in IMAGES:
        return Attachment(shown, kind, data)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        what = f"{escape_name(shown)} is neither text nor an image"
        raise UsageError(what, "attach text, PNG, JPEG, GIF or WebP") from None
    return Attachment(shown, "text/plain", data)


def from_command(command: str, cwd: Path, environ: Mapping[str, str]) -> Attachment:
    """Run a command line in the user's shell and attach its output. Raises UsageError if it fails."""
    shell = environ.get("SHELL") or "/bin/sh"
    try:
        done = subprocess.run(
            [shell, "-c", command],
            cwd=cwd,
            capture_output=True,
            check=False,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"'{escape_name(command)}' could not be run: {error}"
        raise UsageError(what, "run it yourself, and attach a file") from error
    output = done.stdout + done.stderr
    if done.returncode and not output:
        raise UsageError(
            f"'{escape_name(command)}' ended with {done.returncode} and said nothing", "nothing was attached"
        )
    return Attachment(f"$ {command}", "text/plain", output[:MOST_BYTES])


def from_pipe(text: str) -> Attachment:
    """Attach text from standard input."""
    return Attachment("standard input", "text/plain", text.encode("utf-8", "replace"))


def append_texts(prompt: str, attachments: list[Attachment]) -> str:
    """Append text attachments to the prompt, each in a code fence longer than any inside it."""
    parts = [prompt]
    for attachment in attachments:
        if attachment.media_type.startswith("text/"):
            text = attachment.data.decode("utf-8", "replace").rstrip("\n")
            fence = "`" * max(3, _longest_run(text) + 1)
            parts.append(f"{attachment.name}:\n{fence}\n{text}\n{fence}")
    return "\n\n".join(part for part in parts if part)


def _longest_run(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    return longest
