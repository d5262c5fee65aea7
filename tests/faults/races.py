"""Several shells that open one session, and terminals that close during a reply."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator

from tests.cli_runner import LLM
from tests.faults import storage
from tests.faults.report import Outcome
from tests.faults.scenarios import CHATTING, Scenario, sessions
from tests.terminal import Terminal

ROUNDS = 24
SHELLS = 3
SECONDS = 60.0

WAYS = ("-r one", "-c", "--name shared")
"""How the shells come to the session."""


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run several rounds of a race, some with a kill in the middle."""
    for number in range(0, ROUNDS, stride):
        yield _race(number)
    for number in range(0, len(ENDS) * 4, stride):
        yield _left_alone(number)
    for number in range(0, CLOSED, stride):
        yield _closed(number)


def _race(number: int) -> Outcome:
    """Run three shells that continue one session at the same time; every third round kills one."""
    way = WAYS[number % len(WAYS)]
    scenario = Scenario("race", (), "", sessions)
    with storage.place(scenario) as cli:
        before = storage.Kept.of(cli)
        shells = [cli.start(*CHATTING, *way.split()) for _ in range(SHELLS)]
        for shell, process in enumerate(shells):
            assert process.stdin
            process.stdin.write("".join(f"shell {shell} asks {turn}\n" for turn in range(4)).encode())
            process.stdin.close()
            process.stdin = None
        if number % 3 == 2:
            time.sleep(0.05 * number)
            shells[0].kill()
        hung, outs, err = False, list[str](), ""
        for process in shells:
            try:
                said, complained = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                hung = True
                process.kill()
                said, complained = process.communicate()
            outs.append(said.decode("utf-8", "replace"))
            err += complained.decode("utf-8", "replace")
        whole = [out if out.endswith("\n") or not out else out[: out.rfind("\n") + 1] for out in outs]
        ended = storage.Ended(None if hung else -signal.SIGKILL, "".join(whole), err)
        case = f"round {number}, {way}"
        return storage.judged(scenario, case, cli, before, ended, (-signal.SIGKILL,), SHELLS)


ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, None)
"""How a shell is ended in the middle of its script; None is a reader that goes away."""


def _left_alone(number: int) -> Outcome:
    """Run a coprocess whose peer disappears, or that is killed, after some acknowledgments."""
    end, turns = ENDS[number % len(ENDS)], 1 + number // len(ENDS)
    scenario = Scenario("coprocess", (), "", sessions)
    with storage.place(scenario) as cli:
        before = storage.Kept.of(cli)
        process = cli.start(*CHATTING, "-r", "one")
        assert process.stdin and process.stdout and process.stderr
        out = b""
        for turn in range(turns):
            process.stdin.write(f"asked {turn}\n".encode())
            process.stdin.flush()
            while b'"reply"' not in (line := process.stdout.readline()):
                out += line
            out += line
        if end:
            process.send_signal(end)
        else:
            process.stdout.close()
            process.stdin.write(b"asked after all\n")
        process.stdin.close()
        began = time.monotonic()
        try:
            code: int | None = process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
        err = process.stderr.read().decode("utf-8", "replace")
        late = time.monotonic() - began > 2
        ended = storage.Ended(None if late else code, out.decode(), err)
        right = (-end,) if end else (0, 141, -signal.SIGPIPE)
        return storage.judged(scenario, f"{end or 'reader gone'} after {turns}", cli, before, ended, right, 1)


CLOSED = 4
"""How often a terminal is closed."""


def _closed(number: int) -> Outcome:
    """Close the window after some turns; the shell must save and exit soon."""
    scenario = Scenario("terminal", (), "", sessions)
    with storage.place(scenario) as cli:
        before = storage.Kept.of(cli)
        environ = cli.environ | {"TERM": "xterm-256color"}
        shell = Terminal([*LLM, "chat", "-m", "offline/echo", "-r", "one"], cwd=cli.cwd, environ=environ)
        for turn in range(number + 1):
            shell.wait_until(lambda screen, turn=turn: screen.count("You:") > turn, "the prompt")  # type: ignore[misc]
            shell.send(f"window {turn}\r")
        shell.wait_until(lambda screen: screen.count(f"window {number}") > 1, "the reply")
        began = time.monotonic()
        shell.close()
        code = shell.ends()
        late = time.monotonic() - began > 2
        events = [{"event": "prompt", "text": f"window {turn}"} for turn in range(number)]
        out = "".join(json.dumps(event) + "\n" + json.dumps(event | {"event": "reply"}) + "\n" for event in events)
        ended = storage.Ended(None if late else code, out, "")
        return storage.judged(scenario, f"closed after {number + 1}", cli, before, ended, (-signal.SIGHUP, 129), 0)
