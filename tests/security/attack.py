"""Shared by the attacks: the installed program, and a server that must not be contacted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli_runner import CliRunner, Ran

INSTALLED = Path(sys.executable).with_name("llm")
"""The command that pip makes."""

KEY = "sk-proj-RECOGNISE0123456789abcdefME"


@dataclass
class Evil:
    """A server that accepts connections and answers nothing."""

    listener: socket.socket

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def visited(self) -> bool:
        """Whether anything has connected since the last call."""
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@contextmanager
def evil_server() -> Iterator[Evil]:
    """Run an evil server until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Evil(listener)


def installed(interaction: CliRunner, *words: str, typed: str = "", **environ: str) -> Ran:
    """Run the installed `llm WORDS` in the user's directory."""
    ours = {name: value for name, value in interaction.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [INSTALLED, *words],
        input=typed.encode(),
        capture_output=True,
        cwd=interaction.cwd,
        env=ours | environ,
        timeout=30,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def tree(top: Path) -> dict[str, str | bytes]:
    """Return everything below a directory: link targets, file contents, nothing for directories."""
    found: dict[str, str | bytes] = {}
    for place, directories, files in os.walk(top):
        for name in directories + files:
            path = Path(place, name)
            held = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
            found[str(path.relative_to(top))] = held
    return found
