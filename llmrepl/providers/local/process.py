"""The model server's process, seen from the shell: started, waited for, ended."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_controls, escape_name
from llmrepl.providers.local.model_file import context_size, missing_extra
from llmrepl.providers.local.server import LoadRequest

_COMMAND = (sys.executable, "-P", "-m", "llmrepl.providers.local.server")
_TICK = 0.2
_LOG_LIMIT = 1 << 16
_REASON = "error loading model: "
_NO_EXTRA = "No module named 'xllamacpp'"


class ModelServer:
    """llama.cpp's server for one model file, reachable only with `key` at `address` once it is loaded.

    `context` is the size of the context in tokens, None for what llama.cpp chooses.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = path
        self.key = secrets.token_urlsafe(32)
        self.address = ""
        self.context = context_size(path, environ)
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the model is loaded and the process lives."""
        return bool(self.address) and self._process is not None and self._process.poll() is None

    def load(self) -> Iterator[float]:
        """Start the process and yield the seconds of waiting, now and then, until the model is loaded.

        Raises UsageError if it cannot be loaded. Leaving early, as at Ctrl-C, ends the process.
        """
        self.stop()
        started = time.monotonic()
        process = self._process = subprocess.Popen(  # a session of its own: Ctrl-C at the terminal is the shell's
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._environ),
            start_new_session=True,
            bufsize=0,
        )
        try:
            yield 0.0
            with contextlib.suppress(BrokenPipeError):  # it is over already, and its output says why
                _pipe(process.stdin).write(LoadRequest(str(self.path), self.key, self.context or 0).line())
            log = bytearray()
            while not self._read(process, log):
                yield time.monotonic() - started
        finally:
            if not self.address:
                self.stop()

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process, self.address = self._process, None, ""
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        process.wait()

    def _read(self, process: subprocess.Popen[bytes], log: bytearray) -> bool:
        """Wait a moment for output; whether the model is loaded."""
        stdout = _pipe(process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(_TICK):
                return False
        piece = os.read(stdout.fileno(), 1 << 16)
        if not piece:
            raise self._failed(process, log.decode("utf-8", "replace"))
        log += piece
        for line in bytes(log).splitlines():
            if line.startswith(b'{"address"') and line.endswith(b"}"):
                self.address = str(json.loads(line)["address"])
                return True
        del log[:-_LOG_LIMIT]
        return False

    def _failed(self, process: subprocess.Popen[bytes], log: str) -> UsageError:
        if _NO_EXTRA in log:
            return missing_extra()
        code = process.wait()
        reasons = [line.partition(_REASON)[2].strip() for line in log.splitlines() if _REASON in line]
        killed = f"its process was ended by signal {-code}, perhaps for lack of memory" if code < 0 else ""
        last = (log.splitlines() or [f"llama.cpp ended with {code}"])[-1]
        reason = escape_controls(killed or (reasons or [last])[0])[:200].rstrip(".")
        return UsageError(
            f"Cannot load {escape_name(self.path.name)}: {reason}.", "download the file again, or use another model"
        )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A pipe to the process, which was asked for when it was started."""
    if stream is None:
        raise ValueError("no pipe")
    return stream
