"""API keys: where they come from, and how they are kept out of output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from llmrepl.errors import SaveError, UsageError
from llmrepl.system.paths import read_own

COMMAND_SECONDS = 30.0
"""Timeout of `api_key_cmd`, which may wait for a password manager to be unlocked."""

_LIMIT = 1 << 16
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")


@dataclass(frozen=True, slots=True)
class Key:
    """A provider's key; `origin` names its variable, file or command."""

    value: str = field(repr=False)
    origin: str


def redact(text: str, keys: Iterable[Key]) -> str:
    """Replace the keys in a text by `[key]`."""
    for value in sorted({key.value for key in keys if key.value}, key=len, reverse=True):
        text = text.replace(value, "[key]")
    return text


def read_env_file(path: Path) -> dict[str, str]:
    """Read the variables of a `.env` file: NAME=value lines with `export`, quotes and comments, without expansion.

    Returns an empty dict if there is no file. Raises UsageError if the file is not the user's own (see paths.read_own).
    The caller decides what to use of it, since a working directory is not trusted.
    """
    found = {}
    for line in (read_own(path, _LIMIT) or "").split("\n"):
        if assignment := _ASSIGNMENT.fullmatch(line):
            name, value = assignment.groups()
            quoted = _QUOTED.fullmatch(value)
            found[name] = quoted[2] if quoted else re.split(r"(?:^|\s)#", value, maxsplit=1)[0].rstrip()
    return found


def run_key_command(
    command: str, provider: str, environ: Mapping[str, str], home: Path, seconds: float = COMMAND_SECONDS
) -> Key:
    """Run the user's `api_key_cmd` in the home directory, without a shell, and return the key it prints.

    Raises UsageError if it fails, takes longer than `seconds`, or prints nothing. Its output is never shown.
    """
    import shlex
    import subprocess

    origin = f"api_key_cmd of {provider}"
    advice = "run it by hand to see why, or use 'llm keys set'"
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=home,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{origin} did not end within {seconds:g} seconds", advice) from None
    except (OSError, ValueError, IndexError):
        raise UsageError(f"{origin} cannot be run", "check the command in your configuration") from None
    value = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode or not value:
        why = f"failed with exit code {done.returncode}" if done.returncode else "printed nothing"
        raise UsageError(f"{origin} {why}", advice)
    return Key(value, origin)


class Keyring:
    """The keys saved by `llm keys set`, by provider, in a file with mode 0600."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, provider: str) -> Key | None:
        """Return the key of a provider, or None. Raises UsageError if the file is untrusted or unreadable."""
        value = self._read().get(provider)
        return Key(value, str(self._file)) if value else None

    def list(self) -> tuple[str, ...]:
        """Return the providers with a saved key."""
        return tuple(sorted(self._read()))

    def set(self, provider: str, key: str) -> None:
        """Save or replace a key. Raises UsageError for an invalid key, SaveError."""
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(
                "That cannot be a key: it is empty, or has spaces or other characters that no key has.", "Copy it again"
            )
        with self._changing() as write:
            write(self._read() | {provider: key})

    def remove(self, provider: str) -> None:
        """Delete a provider's key. Raises UsageError if there is none, SaveError."""
        if provider not in self._read():
            raise UsageError(
                f"There is no key for '{provider}' in {self._file}.", "llm keys list shows the keys there are"
            )
        with self._changing() as write:
            write({name: key for name, key in self._read().items() if name != provider})

    def _read(self) -> dict[str, str]:
        text = read_own(self._file, _LIMIT)
        if text is None:
            return {}
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise UsageError(f"{self._file} is damaged", "correct it, or remove it and set the keys again")
        return found

    @contextmanager
    def _changing(self) -> Iterator[Callable[[dict[str, str]], None]]:
        """Lock the file for the block, which passes the new keys to the yielded function."""
        from llmrepl.system.locked_file import change_private

        try:
            with change_private(self._file) as write:
                yield lambda keys: write((json.dumps(keys, indent=2, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise SaveError(
                f"the key could not be saved in {self._file}: {(error.strerror or '').lower()}",
                "free the way, or set it in the environment",
            ) from error
