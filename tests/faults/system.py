"""When the system refuses something, the program ends with one true message and the right exit code; small inputs take
bounded memory and time; commands at the same time lose nothing.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cli_runner import LLM, CliRunner
from tests.faults.report import Outcome
from tests.memory import launched, peak_bytes

SECONDS = 30.0
MOST_MEGABYTES = 300
COMMANDS = (
    "--help",
    "--version",
    "sessions list",
    "sessions stats",
    "config path",
    "ask -m offline/echo hi",
    "keys list",
)


@dataclass(frozen=True)
class Case:
    """A command line for sh in which `llm` is the program; `codes` are the allowed exit codes."""

    kind: str
    script: str
    codes: tuple[int, ...] = (0,)
    said: str = ""


PLACES = {
    "working directory removed": "mkdir gone && cd gone && rmdir ../gone && exec llm {}",
    "home is a file": "touch file && HOME=$PWD/file exec llm {}",
    "home is missing": "HOME=/no/such/home exec llm {}",
    "no home": "env -u HOME llm {}",
    "configuration is a directory": "mkdir -p $HOME/.config/llm/config.toml && exec llm {}",
    "sessions directory is a file": "touch runs && exec llm {}",
    "no temporary directory": "TMPDIR=/no/such/place exec llm {}",
}
STREAMS = {"full": "> /dev/full", "closed": ">&-", "no input": "<&-", "full messages": "2> /dev/full"}


def cases() -> Iterator[Case]:
    """Return all of them."""
    for name, script in PLACES.items():
        odd = name in ("configuration is a directory", "sessions directory is a file")
        for words in COMMANDS:
            yield Case("place", script.format(words), (0, 2, 4) if odd else (0,))
    for name, redirection in STREAMS.items():
        for words in COMMANDS:
            prints = not words.endswith("list")  # with nothing to list there is nothing on standard output
            yield Case("stream", f"llm {words} {redirection}", (1,) if name == "full" and prints else (0,))
    yield Case("stream", "echo hi | llm chat -m offline/echo --name talk > /dev/full", (1,), "saved in talk.json")
    yield Case("stream", "echo hi | llm chat -m offline/echo --no-save > /dev/full", (1,), "cannot be written")


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th case of each kind."""
    for number, case in enumerate(cases()):
        if number % stride == 0:
            yield _tried(case)
    for number, (name, data) in enumerate(small_files()):
        if number % stride == 0:
            yield from _bounded(name, data)
    for number, (name, commands) in enumerate(AT_ONCE.items()):
        if number % stride == 0:
            yield _at_once(name, commands)


def _tried(case: Case) -> Outcome:
    with _place() as cli:
        hung = False
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", case.script.replace("llm ", " ".join(LLM) + " ", 1)],
                cwd=cli.cwd,
                env=cli.environ,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            code, err = done.returncode, done.stderr.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            hung, code, err = True, -1, ""
    blamed = "Traceback" in err or "went wrong inside" in err
    wrong = code not in case.codes or case.said not in err
    return Outcome(case.kind, case.script, damaged=blamed or wrong, hung=hung, said=f"{code}: {err.strip()[-200:]}")


class _place:
    """Yield a user with an empty home and directory, removed afterwards."""

    def __enter__(self) -> CliRunner:
        self._directory = Path(tempfile.mkdtemp(prefix="llm-system-"))
        return CliRunner.at(self._directory)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory)


UNITS = {
    "blanks": (b"", b" ", b""),
    "empty turns": (b"{}", b",{}", b"]}"),
    "tiny turns": (b'{"messages":[]}', b',{"messages":[]}', b"]}"),
    "wrong turns": (b'{"messages":1}', b',{"messages":1}', b"]}"),
    "lists": (b"", b"[", b""),
    "numbers": (b"1", b",1", b"]}"),
    "a text": (b'{"messages":[{"role":"user","content":"', b"x", b'"}]}]}'),
    "escapes": (b'{"messages":[{"role":"user","content":"', b"\\n", b'"}]}]}'),
}


def small_files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of small files that claim to be large."""
    for name, (first, unit, last) in UNITS.items():
        for megabytes in (12, 190):
            packer = zlib.compressobj(9, wbits=31)
            block = unit * ((1 << 20) // len(unit))
            out = [
                packer.compress(b'{"model":"x","turns":[' + first),
                *(packer.compress(block) for _ in range(megabytes)),
            ]
            yield f"{megabytes} MB of {name}.json.gz", b"".join([*out, packer.compress(last), packer.flush()])
    yield "many members.json.gz", gzip.compress(b" " * 1000) * 20_000


def _bounded(name: str, data: bytes) -> Iterator[Outcome]:
    """Measure what listing, checking and repairing a file takes."""
    with _place() as cli:
        cli.runs.mkdir()
        turn = {"messages": [{"role": "user", "content": "hello"}]}
        (cli.runs / "plain.json").write_text(json.dumps({"model": "m", "turns": [turn]}))
        (cli.runs / "odd.json.gz").write_bytes(data)
        for words in ("list", "validate odd.json.gz", "show odd", "search hello", "recover odd.json.gz --dry-run"):
            began = time.monotonic()
            report = cli.home / "peak"
            command = launched([*LLM, "sessions", *words.split()], report)
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, cwd=cli.cwd, env=cli.environ, stdin=pipe, stdout=pipe, stderr=pipe)
            assert process.stdout and process.stderr and process.stdin
            process.stdin.close()
            out, err = process.stdout.read().decode(), process.stderr.read().decode()
            process.stdout.close()
            process.stderr.close()
            process.wait()
            seconds, megabytes = time.monotonic() - began, peak_bytes(report) / (1 << 20)
            lost = words in ("list", "search hello") and "plain" not in out
            blamed = "Traceback" in err or "went wrong inside" in err or process.returncode not in (0, 2, 3)
            said = f"{seconds:.1f} s, {megabytes:.0f} MB, {process.returncode}: {err.strip()[-200:]}"
            late = seconds > SECONDS or megabytes > MOST_MEGABYTES
            yield Outcome("bounds", f"{words}: {name}", lost=lost, damaged=blamed, hung=late, said=said)


AT_ONCE: dict[str, list[str]] = {
    "keys": [f"keys set {name}" for name in ("openrouter", "openai", "anthropic", "gemini", "groq", "xai")],
    "settings": ["config set max_retries 1", "config set idle_timeout 9", "config set temperature 0.5"],
    "tags": [f"sessions tag talk +t{number}" for number in range(6)],
    "imports": ["sessions import lines.jsonl"] * 3,
    "archive": ["sessions archive --older-than 0d --compress"] * 3,
}


def _at_once(name: str, commands: list[str]) -> Outcome:
    """Run commands at the same time; return whether all their reported effects are there."""
    with _place() as cli:
        cli.script("hello", words=("chat", "-m", "offline/echo", "--name", "talk"))
        messages = [{"role": "user", "content": "imported"}, {"role": "assistant", "content": "yes"}]
        (cli.cwd / "lines.jsonl").write_text(json.dumps({"messages": messages}) + "\n")
        running = [(words, cli.start(*words.split())) for words in commands]
        wrong = []
        for words, process in running:
            _, err = process.communicate(b"sk-0123456789abcdef\n", timeout=SECONDS)
            if process.returncode or b"Traceback" in err:
                wrong.append(f"{words}: {process.returncode}: {err.decode()[-100:]}")
        kept = "".join(path.read_text() for path in (cli.home / ".config").rglob("*") if path.is_file())
        sessions = "".join(path.read_text() for path in cli.runs.glob("*.json"))
        packed = list((cli.runs / "archive").glob("*.gz")) if name == "archive" else []
        present = {
            "keys": all(words.split()[-1] in kept for words in commands),
            "settings": all(words.split()[-2] in kept for words in commands),
            "tags": all(f'"t{number}"' in sessions for number in range(6)),
            "imports": sessions.count('"imported"') <= 3 and len(list(cli.runs.glob("*.json"))) == 2,
            "archive": len(packed) == 1 and b"hello" in gzip.decompress(packed[0].read_bytes()),
        }[name]
    return Outcome("at once", name, lost=not present, damaged=bool(wrong), said="; ".join(wrong))
