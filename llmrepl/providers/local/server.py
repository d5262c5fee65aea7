"""The program of the model server's process: llama.cpp's HTTP server on a free loopback port, until the shell ends.

Started as `python -P -m llmrepl.providers.local.server`. Standard input brings one line of JSON, a LoadRequest, and
then stays open: when it ends, the shell is gone and so is this process. One line of JSON on standard output says the
address once the model is loaded; lines before it are llama.cpp's own errors.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import threading
from dataclasses import asdict, dataclass

HOST = "127.0.0.1"
_ERRORS_ONLY = 1
_READ, _WRITE, _ERROR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """The model file at `path`, the API key that requests must carry, the context in tokens (0 for the model's own)."""

    path: str
    key: str
    context: int

    def line(self) -> bytes:
        """The request as the server reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Serve one model until standard input ends."""
    with os.fdopen(_READ, "rb", buffering=0, closefd=False) as stdin:
        line = stdin.readline()
    if not line.endswith(b"\n"):
        return
    end_with_the_shell(_READ)
    server = _serve(LoadRequest(**json.loads(line)))
    with os.fdopen(os.dup(_WRITE), "wb", buffering=0) as stdout:
        stdout.write(json.dumps({"address": server.listening_address}).encode() + b"\n")
    nowhere = os.open(os.devnull, os.O_RDONLY)  # writing to it fails, and llama.cpp's log does not mind
    os.dup2(nowhere, _WRITE)
    os.dup2(nowhere, _ERROR)
    threading.Event().wait()


def end_with_the_shell(pipe: int) -> None:
    """Let this process end when the other end of `pipe` is closed, be it because the shell was killed.

    The kernel sends SIGIO then, whose default is to end the process: a thread that reads the pipe is not enough,
    because loading a model holds the interpreter's lock. PR_SET_PDEATHSIG would end the process with the thread that
    started it. Where a pipe sends no signals, the thread is what remains.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    try:
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        pass
    if select.select([pipe], [], [], 0)[0]:
        os._exit(0)
    threading.Thread(target=_wait_for_end, args=(pipe,), name="shell", daemon=True).start()


def _wait_for_end(pipe: int) -> None:
    while os.read(pipe, 1024):
        pass
    os._exit(0)


def _serve(request: LoadRequest):  # type: ignore[no-untyped-def]  # xllamacpp.Server, which has no types
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = request.path
    params.hostnames = [HOST]
    params.port = 0
    params.api_keys = [request.key]
    params.n_ctx = request.context
    params.n_parallel = 1
    params.ui = False
    params.verbosity = _ERRORS_ONLY
    try:
        return xllamacpp.Server(params)
    except RuntimeError:  # the reason was written to standard error
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
