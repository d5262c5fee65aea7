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


def config_value(directory: Path, environ: Mapping[str, str], key: str) -> str:
    """Return the value of a key in git's configuration, empty if it is not set."""
    return _run(directory, environ, "config", "--get", key).stdout.strip()


def current_branch(directory: Path, environ: Mapping[str, str]) -> str:
    """Return the name of the branch that is checked out, empty for none."""
    return _run(directory, environ, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()


def has_files_outside(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether the repository has files that are not in `directory`, apart from hidden and ignored ones."""
    top = _run(directory, environ, "rev-parse", "--show-cdup").stdout.strip() or "."
    inside = _run(directory, environ, "rev-parse", "--show-prefix").stdout.strip()
    listed = _run(directory / top, environ, "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout
    names = (name for name in listed.split("\0") if name)
    return any(not name.startswith(inside) and not name.rpartition("/")[2].startswith(".") for name in names)


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
