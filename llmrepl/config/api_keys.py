"""API keys: where they may come from, and what never shows them."""

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
"""How long an `api_key_cmd` may take: somebody may have to unlock a password manager."""

_LIMIT = 1 << 16
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")


@dataclass(frozen=True, slots=True)
class Key:
    """A provider's key; `origin` names the variable, file or command that it came from."""

    value: str = field(repr=False)
    origin: str


def redact(text: str, keys: Iterable[Key]) -> str:
    """`text` with `[key]` where one of the keys stood."""
    for value in sorted({key.value for key in keys if key.value}, key=len, reverse=True):
        text = text.replace(value, "[key]")
    return text


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file: NAME=value lines, with `export`, quotes and comments; nothing is expanded.

    Empty if there is no file. Raises UsageError if the file is not the user's own (paths.read_own). What may be used of
    it is for the caller to say: a working directory is not trusted.
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
    """The key that the user's `api_key_cmd` prints: an argument list, no shell, in the home directory.

    Raises UsageError if it fails, takes longer than `seconds`, or prints nothing; what it printed is never shown.
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
    """The keys that `llm keys set` keeps, by provider, in one 0600 file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get(self, provider: str) -> Key | None:
        """The key of a provider. Raises UsageError if the file cannot be trusted or read."""
        value = self._read().get(provider)
        return Key(value, str(self._file)) if value else None

    def list(self) -> tuple[str, ...]:
        """The providers that have a key here."""
        return tuple(sorted(self._read()))

    def set(self, provider: str, key: str) -> None:
        """Keep a key, in the place of an older one. Raises UsageError for what cannot be a key, SaveError."""
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(
                "that cannot be a key: it is empty or has blanks or other characters that no key has", "copy it again"
            )
        with self._changing() as write:
            write(self._read() | {provider: key})

    def remove(self, provider: str) -> None:
        """Forget a provider's key. Raises UsageError if there is none, SaveError."""
        if provider not in self._read():
            raise UsageError(f"there is no key for '{provider}' in {self._file}", "llm keys list shows what there is")
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
        """Let no other process change the keys during the block, which calls what it is given with the new ones."""
        from llmrepl.system.locked_file import change_private

        try:
            with change_private(self._file) as write:
                yield lambda keys: write((json.dumps(keys, indent=2, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise SaveError(
                f"the key could not be saved in {self._file}: {(error.strerror or '').lower()}",
                "free the way, or set it in the environment",
            ) from error
