"""Servers that refuse, lie, flood or disconnect, in every protocol, against the complete program.

A case runs in a fork of this process with limits of time and memory; waiting for another try takes no time.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from llmrepl.cli import main
from llmrepl.providers import http_provider as remote
from llmrepl.system.environment import Environment
from tests.cli_runner import CliRunner, Ran
from tests.faults.dialects import DIALECTS, ENVIRON, Dialect
from tests.faults.files import apart
from tests.faults.network_rows import ANY, KEY, Row, rows
from tests.faults.report import Outcome
from tests.faults.server import Server, listening

PART = "network"
SECONDS = 40.0
MEMORY_KB = 500 * 1024
"""Of the program and the server together, which are one process here."""

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MISHAP = re.compile(r"Traceback|something went wrong inside|<html|<!doctype")

del remote  # loaded here, so that no fork has to


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th case, alternating the protocols."""
    numbers = ((d, number) for number in range(_most()) for d in range(len(DIALECTS)))
    with multiprocessing.get_context("fork").Pool() as pool:
        for outcomes in pool.imap_unordered(_numbered, islice(numbers, 0, None, stride), chunksize=2):
            yield from outcomes


def _most() -> int:
    return max(sum(1 for _ in rows(dialect)) for dialect in DIALECTS)


def _numbered(case: tuple[int, int]) -> list[Outcome]:
    """Run a row of a protocol, if it exists."""
    dialect = DIALECTS[case[0]]
    return [attempt(dialect, row) for row in islice(rows(dialect), case[1], case[1] + 1)]


def attempt(dialect: Dialect, row: Row) -> Outcome:
    """Run a conversation against a row's server."""
    name = f"{dialect.name}: {row.name}"
    complaints, why = apart(lambda: [(name, *one) for one in _complaints(dialect, row)], SECONDS)
    kinds = {kind for _, kind, _ in complaints}
    said = "; ".join([*filter(None, [why]), *(sentence for _, _, sentence in complaints)])
    hung = bool(why) or "hung" in kinds
    return Outcome(PART, name, "lost" in kinds, "damaged" in kinds, hung, "leaked" in kinds, said)


def _complaints(dialect: Dialect, row: Row) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as top, listening(row.answers) as server:
        cli = CliRunner.at(Path(top))
        server.serve()
        ran = _chat(cli, dialect, row, server)
        files = [path.read_bytes() for path in Path(top).rglob("*") if path.is_file()]
        path = cli.runs / "talk.json"
        session = json.loads(path.read_text("utf-8")) if path.exists() else {"turns": []}
        over = [file.name for file in cli.runs.glob(".*")]
    said = ran.out + ran.err
    if len(server.requests) not in row.requests:
        yield "damaged", f"{len(server.requests)} requests, right are {row.requests}"
    if ran.code not in row.codes or row.word not in ran.err or _MISHAP.search(said) or over:
        yield "damaged", f"ended with {ran.code}, right are {row.codes}; {row.word!r} in {ran.err[:400]!a}; {over!a}"
    if KEY in said or any(KEY.encode() in data for data in files):
        yield "leaked", "the key was shown or kept"
    if found := _OBEYED.search(said):
        yield "leaked", f"it showed {found[0]!a}"
    if (used := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) > MEMORY_KB:
        yield "hung", f"it took {used >> 10} MB"
    yield from _kept(row, session["turns"], ran)


def _kept(row: Row, turns: list[dict[str, Any]], ran: Ran) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the turns in the session."""
    if len(turns) != len(row.prompts):
        yield "lost", f"{len(turns)} turns are kept: {ran.err[:300]!a}"
        return
    messages = {message["role"]: message["content"] for message in turns[0]["messages"]}
    text, reason = messages.get("assistant", ""), turns[0].get("finish_reason")
    if messages["user"] != row.prompts[0] or (row.text != ANY and text != row.text):
        yield "lost", f"kept is {messages!a}"
    if row.text not in (ANY, "") and row.text.isprintable() and row.text not in ran.out:
        yield "lost", f"shown is {ran.out!a}"
    if row.reason is not None and reason != row.reason:
        yield "damaged", f"finish_reason is {reason}, right is {row.reason}"
    usage = turns[0].get("usage") or {}
    counts = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    if row.usage == "estimated" and not (usage.get("estimated") and min(counts) > 0):
        yield "damaged", f"usage is {usage}, right is an estimate"
    if isinstance(row.usage, tuple) and (counts != row.usage or usage.get("estimated")):
        yield "damaged", f"usage is {usage}, right is {row.usage}"


class _Clock:
    """A clock that advances by itself, and at once when something sleeps."""

    def __init__(self) -> None:
        self._slept = 0.0

    def sleep(self, seconds: float) -> None:
        self._slept += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._slept


def _chat(cli: CliRunner, dialect: Dialect, row: Row, server: Server) -> Ran:
    """Send the prompts in order in a session called talk."""
    provider, place, ending, key = ENVIRON[dialect.name]
    base = row.base_url.format(port=server.port) or f"http://127.0.0.1:{server.port}"
    environ = cli.environ | {place: base + ending, "LLM_CONNECT_TIMEOUT": "3"}
    environ |= {"LLM_IDLE_TIMEOUT": "2", "LLM_FIRST_TOKEN_TIMEOUT": "2"} | row.environ | ({key: KEY} if key else {})
    out, err, clock = io.StringIO(), io.StringIO(), _Clock()
    typed = io.StringIO("".join(f"{prompt}\n" for prompt in row.prompts))
    environment = Environment(environ, cli.cwd, typed, out, err, sleep=clock.sleep, monotonic=clock.monotonic)
    code = -1
    with contextlib.suppress(SystemExit):
        code = main(["chat", "-m", f"{provider}/good", "--name", "talk"], environment)
    return Ran(code, out.getvalue(), err.getvalue())
