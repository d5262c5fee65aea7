"""Run commands in the user's shell, and attach what they print."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from llmrepl.chat.attachments.found import MAX_BYTES
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name
from llmrepl.types import Attachment

COMMAND_SECONDS = 60.0
"""Timeout of a command whose output is attached."""


def from_command(command: str, cwd: Path, environ: Mapping[str, str], monotonic: Callable[[], float]) -> Attachment:
    """Run a command line in the user's shell and attach what it prints.

    Raises UsageError if it fails without output, runs longer than COMMAND_SECONDS or prints more than MAX_BYTES.
    """
    shell, shown = environ.get("SHELL") or "/bin/sh", escape_name(command)
    try:
        process = subprocess.Popen(
            [shell, "-c", command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"Cannot run '{shown}': {error.strerror or error}.", "nothing was attached") from error
    with process:
        try:
            output = _read_output(process, monotonic() + COMMAND_SECONDS, monotonic)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
    if output is None:
        raise UsageError(f"'{shown}' did not end within {COMMAND_SECONDS:.0f} seconds.", "nothing was attached")
    if len(output) > MAX_BYTES:
        raise UsageError(f"'{shown}' printed more than {MAX_BYTES >> 20} MiB.", "nothing was attached")
    if process.returncode and not output:
        raise UsageError(f"'{shown}' failed with exit code {process.returncode}.", "nothing was attached")
    return Attachment(f"$ {command}", "text/plain", output)


def run_command(command: str, cwd: Path, environ: Mapping[str, str]) -> int:
    """Run a command line in the user's shell with the terminal; return its exit code. Raises UsageError."""
    try:
        return subprocess.run([environ.get("SHELL") or "/bin/sh", "-c", command], cwd=cwd, check=False).returncode
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot run '{escape_name(command)}': {error}.", "check the command and SHELL") from error


def _read_output(process: subprocess.Popen[bytes], end: float, monotonic: Callable[[], float]) -> bytes | None:
    """Read until the command ends or has printed more than MAX_BYTES; None if the time `end` comes first."""
    output = bytearray()
    fd = process.stdout.fileno() if process.stdout else -1
    while len(output) <= MAX_BYTES:
        ready, _, _ = select.select([fd], [], [], max(0.0, end - monotonic()))
        if not ready:
            return None
        data = os.read(fd, 1 << 16)
        if not data:
            process.wait()
            return bytes(output)
        output += data
    return bytes(output)
