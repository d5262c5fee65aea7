"""A server that refuses, lies, or leaves in the middle: what had arrived is kept, and nothing else is believed."""

from __future__ import annotations

import io
import json
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import islice
from pathlib import Path

from llmrepl.cli import main
from llmrepl.world import World
from tests.faults.dialects import Fault, every
from tests.faults.files import Complaint, apart
from tests.faults.report import Outcome
from tests.newcomer import Newcomer, Ran
from tests.providers.loopback import KEY, serving
from tests.providers.recorded import TEXT

PART = "network"
BATCH = 20
SECONDS = 60

_PLACES = {
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "anthropic": ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"),
    "gemini": ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY"),
    "ollama": ("OLLAMA_HOST", "NO_API_KEY"),
}
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MISHAP = re.compile(r"Traceback|something went wrong inside")


def run(stride: int = 1) -> Iterator[Outcome]:
    """Every `stride`-th case."""
    cases = islice(every(), 0, None, stride)
    while batch := list(islice(cases, BATCH)):
        complaints, why = apart(partial(_batch, batch), SECONDS)
        for fault in batch:
            broken = [(kind, sentence) for case, kind, sentence in complaints if case == fault.case]
            kinds = {kind for kind, _ in broken}
            said = why or "; ".join(sentence for _, sentence in broken)
            leaked, hung = "leaked" in kinds, bool(why)
            yield Outcome(PART, fault.case, "lost" in kinds, "damaged" in kinds, hung, leaked, said)


@dataclass
class Clock:
    """Time that passes by itself, and at once when somebody sleeps."""

    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        """Wait no real time."""
        self.slept += seconds

    def monotonic(self) -> float:
        """Seconds, with those that were slept."""
        return time.monotonic() + self.slept


def _batch(batch: list[Fault]) -> list[Complaint]:
    return [(fault.case, kind, sentence) for fault in batch for kind, sentence in complaints(fault)]


def complaints(fault: Fault) -> Iterator[tuple[str, str]]:
    """Which promises one fault breaks, with a sentence each."""
    clock, came = Clock(), list[float]()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        came.append(clock.monotonic())
        fault.answer(handler)

    with tempfile.TemporaryDirectory() as top, serving(answer) as server:
        newcomer = Newcomer.at(Path(top))
        ran = _chat(newcomer, fault.dialect, server.url, clock)
        asked = sum(seen.method == "POST" for seen in server.seen)
        files = [file.read_bytes() for file in Path(top).rglob("*") if file.is_file()]
        turns = [turn for file in newcomer.runs.glob("*.json") for turn in json.loads(file.read_bytes())["turns"]]
    if asked != fault.requests:
        yield "damaged", f"{asked} requests instead of {fault.requests}"
    if came and came[-1] - came[0] < fault.waited:
        yield "damaged", f"it waited {came[-1] - came[0]:.2f} s, and was asked for {fault.waited:g}"
    if fault.says not in ran.err:
        yield "damaged", f"{fault.says!r} is not in {ran.err!a}"
    if _MISHAP.search(ran.out + ran.err):
        yield "damaged", f"{ran.err!a}"
    if KEY in ran.out + ran.err or any(KEY.encode() in raw for raw in files):
        yield "leaked", "the key was shown or kept"
    if found := _OBEYED.search(ran.out + ran.err):
        yield "leaked", f"it showed {found[0]!a}"
    yield from _kept(fault, ran, turns)


def _kept(fault: Fault, ran: Ran, turns: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    """What the session holds, beside the exit code and what was shown."""
    if len(turns) != 1:
        yield "lost", f"{len(turns)} turns are in the session"
        return
    messages = turns[0]["messages"]
    assert isinstance(messages, list)
    text = "".join(one["content"] for one in messages if one["role"] == "assistant")
    if not text.startswith(fault.arrived):
        yield "lost", f"{fault.arrived!a} had arrived, and {text!a} is kept"
    if text.strip() not in ran.out:
        yield "lost", f"{text!a} is kept, and {ran.out!a} was shown"
    if not TEXT.startswith(text):
        yield "damaged", f"{text!a} was never said"
    if (ran.code == 0 and text != TEXT) or ran.code not in (0, 1):
        yield "damaged", f"exit {ran.code} with {text!a}"
    if fault.whole is not None and fault.whole is not (ran.code == 0):
        yield "damaged", f"exit {ran.code}: {ran.err!a}"
    if ran.code and not ran.err.strip():
        yield "damaged", "it failed and said nothing"


def _chat(newcomer: Newcomer, dialect: str, url: str, clock: Clock) -> Ran:
    """Ask one question through the whole product."""
    place, key = _PLACES[dialect]
    base = f"{url}/v1" if dialect == "openai" else url
    environ = {**newcomer.environ, place: base, key: KEY, "LLM_IDLE_TIMEOUT": "4", "LLM_FIRST_TOKEN_TIMEOUT": "4"}
    out, err = io.StringIO(), io.StringIO()
    world = World(environ, newcomer.cwd, io.StringIO("hi\n"), out, err, sleep=clock.sleep, monotonic=clock.monotonic)
    code = main(["chat", "-m", f"{dialect}/good", "--save-dir", str(newcomer.runs)], world)
    return Ran(code, out.getvalue(), err.getvalue())
