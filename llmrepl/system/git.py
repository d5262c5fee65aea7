"""Run git, for `llm sessions merge --install` only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

SECONDS = 30.0
"""Timeout of a git command."""


def is_in_repository(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether a directory is in the working tree of a git repository. Raises UsageError without git."""
    done = _run(directory, environ, "rev-parse", "--is-inside-work-tree")
    return done.returncode == 0 and done.stdout.strip() == "true"


def set_config(directory: Path, environ: Mapping[str, str], key: str, value: str) -> None:
    """Set a key in the repository's local configuration. Raises UsageError."""
    done = _run(directory, environ, "config", "--local", key, value)
    if done.returncode:
        why = escape_name(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given")
        raise UsageError(f"git did not set {key}: {why}", "repair the repository's configuration")


def _run(directory: Path, environ: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *words],
            cwd=directory,
            env={**environ, "LC_ALL": "C", "PATH": environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = "it did not end" if isinstance(error, subprocess.TimeoutExpired) else error.strerror or "refused"
        raise UsageError(
            f"git cannot be run: {why[0].lower() + why[1:]}", "install git, and see that it is in PATH"
        ) from error
