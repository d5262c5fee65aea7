"""Damage at every place costs only what it hits, and no command overwrites the rest."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmrepl.sessions.storage.journal_records import encode_record, fingerprint
from tests.cli_runner import CliRunner, Ran
from tests.faults.report import Outcome

TURNS = 4
PRECIOUS = "these precious words stand nowhere else"


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th case of each kind."""
    for kind, cases in KINDS.items():
        for number, (case, complain) in enumerate(cases()):
            if number % stride == 0:
                yield _tried(kind, case, complain)


Complain = Callable[[CliRunner], str]
"""Does harm to a directory, runs commands in it, and says what was lost, if anything was."""


def _tried(kind: str, case: str, complain: Complain) -> Outcome:
    with place() as cli:
        said = complain(cli)
    return Outcome(kind, case, lost=bool(said), said=said)


@contextmanager
def place() -> Iterator[CliRunner]:
    """Yield a user with an empty sessions directory, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="llm-damage-"))
    try:
        cli = CliRunner.at(directory)
        cli.runs.mkdir(mode=0o700)
        yield cli
    finally:
        shutil.rmtree(directory)


def turn(number: int, text: str = "answer") -> dict[str, Any]:
    filler = "".join(random.Random(number).choices("abcdefghij ", k=300))
    messages = [
        {"role": "user", "content": f"question {number}."},
        {"role": "assistant", "content": f"{text} {number}. {filler}"},
    ]
    return {"messages": messages, "created_at": f"2026-01-01T10:00:{number:02}"}


def session(text: str = "answer", count: int = TURNS) -> bytes:
    turns = [turn(number, text) for number in range(1, count + 1)]
    data = {"model": "offline/echo", "created_at": "2026-01-01T10:00:00", "turns": turns, "meta": {"title": text}}
    return json.dumps(data, indent=2).encode()


def everything(directory: Path) -> bytes:
    """Return all bytes below a directory, with archives unpacked."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            try:
                found.append(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
            except (OSError, EOFError, zlib.error):
                found.append(raw)
    return b"\n".join(found)


def in_sessions(directory: Path) -> str:
    """Return the contents of the readable sessions of a directory."""
    return "".join(path.read_text("utf-8") for path in directory.glob("*.json") if _is_json(path))


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False


def failed(ran: Ran, *codes: int) -> str:
    """Return what is wrong with the way a command ended."""
    mishap = "Traceback" in ran.err or "went wrong" in ran.err
    return f"code {ran.code}: {ran.err.strip()[-200:]}" if mishap or ran.code not in (codes or (0,)) else ""


def journals() -> Iterator[tuple[str, Complain]]:
    """Change, truncate or insert bytes in a dead shell's journal."""
    base = session(count=1)
    records: list[dict[str, Any]] = [{"opened": {"pid": 1, "base": fingerprint(base)}}]
    for number in range(2, TURNS + 2):
        records += [{"turn": number, "is": turn(number), "open": True}, {"turn": number, "is": turn(number)}]
    lines = [encode_record(record) for record in records]
    raw = b"".join(lines)
    for at in range(0, len(raw), 23):
        for way in ("changed", "line end", "cut out", "put in"):
            yield f"byte {at} {way}", lambda cli, at=at, way=way: _journal(cli, base, lines, at, way)  # type: ignore[misc]


def _journal(cli: CliRunner, base: bytes, lines: list[bytes], at: int, way: str) -> str:
    raw = b"".join(lines)
    new = {"changed": bytes([raw[at] ^ 1]), "line end": b"\n", "cut out": b"", "put in": raw[at : at + 1] + b"\0\n"}[
        way
    ]
    damaged = raw[:at] + new + raw[at + 1 :]
    (cli.runs / "talk.json").write_bytes(base)
    (cli.runs / ".talk.journal").write_bytes(damaged)
    ran = cli.llm("sessions", "list")
    text = in_sessions(cli.runs)
    missing = [number for number in range(1, TURNS + 2) if f"answer {number}." not in text]
    unharmed = {line for line in lines if line.rstrip(b"\n") in damaged}
    needless = [n for n in missing if any(f'"turn":{n},'.encode() in one and b"answer" in one for one in unharmed)]
    silent = bool(missing) and "could not be read" not in ran.err
    return failed(ran) or (f"turns {needless} are lost for nothing" if needless else "silent" if silent else "")


def archives() -> Iterator[tuple[str, Complain]]:
    """Change or truncate an archive or add gzip members, then run recover."""
    plain = session(count=20)
    packed = gzip.compress(plain, mtime=0)
    for at in range(0, len(packed), 97):
        changed = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        yield f"byte {at} changed", lambda cli, raw=changed: _archive(cli, raw)  # type: ignore[misc]
        yield f"cut at {at}", lambda cli, raw=packed[:at]: _archive(cli, raw)  # type: ignore[misc]
    for cut in range(1, len(plain), 1000):
        members = gzip.compress(plain[:cut]) + gzip.compress(plain[cut:])
        yield f"two members, {cut} bytes in the first", lambda cli, raw=members: _archive(cli, raw)  # type: ignore[misc]


def _archive(cli: CliRunner, raw: bytes) -> str:
    (cli.runs / "a.json.gz").write_bytes(raw)
    ran = cli.llm("sessions", "recover", "a.json.gz")
    unpacked = _unpacked(raw)
    expected = [
        n for n in range(1, 21) if f"answer {n}. {turn(n)['messages'][1]['content'][-290:]}".encode() in unpacked
    ]
    got = in_sessions(cli.runs)
    missing = [number for number in expected[:-1] if f"answer {number}." not in got]
    kept = raw in [path.read_bytes() for path in cli.runs.iterdir()]
    mishap = failed(ran, 0, 3)
    return mishap or (
        f"turns {missing} unpack, but are not there" if missing else "" if kept else "the original is gone"
    )


def _unpacked(raw: bytes) -> bytes:
    """Decompress as much of a file as possible, ignoring checksums."""
    out = b""
    at = 0
    while at >= 0 and raw[at : at + 3] == b"\x1f\x8b\x08" and len(raw) > at + 10:
        unpacker = zlib.decompressobj(wbits=-15)
        try:
            for place_ in range(at + 10, len(raw)):
                out += unpacker.decompress(raw[place_ : place_ + 1])
                if unpacker.eof:
                    break
        except zlib.error:
            break
        at = raw.find(b"\x1f\x8b\x08", at + 10)
    return out


def indexes() -> Iterator[tuple[str, Complain]]:
    """Change a byte of the index."""
    for at in range(0, 60_000, 151):
        yield f"byte {at}", lambda cli, at=at: _index(cli, at)  # type: ignore[misc]


def _index(cli: CliRunner, at: int) -> str:
    for number in range(3):
        (cli.runs / f"s{number}.json").write_bytes(session(f"falcon{number}"))
    words = (("sessions", "list"), ("sessions", "stats"), ("sessions", "list", "--contains", "falcon1"))
    truth = [cli.llm(*one).out for one in words]
    index = cli.home / ".cache" / "llm" / "index.db"
    db = sqlite3.connect(index)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    raw = bytearray(index.read_bytes())
    raw[at % len(raw)] ^= 4
    index.write_bytes(raw)
    for one, right in zip(words[:2], truth[:2], strict=True):
        ran = cli.llm(*one)
        if said := failed(ran) or ("" if ran.out == right else f"{' '.join(one)} says something else"):
            return said
    return failed(cli.llm(*words[2]))


OVERWRITING: dict[str, tuple[str, ...]] = {
    "recover an archive": ("sessions recover talk.json.gz",),
    "recover twice": ("sessions recover broken", "BREAK broken.json", "sessions recover broken"),
    "restore from the trash": ("sessions delete talk", "PRECIOUS talk.json", "sessions restore talk"),
    "restore from the archive": ("sessions archive --older-than 0d", "PRECIOUS talk.json", "sessions restore talk"),
    "restore compressed": (
        "sessions archive --older-than 0d --compress",
        "PRECIOUS talk.json",
        "sessions restore talk",
    ),
    "delete twice": ("sessions delete talk", "PRECIOUS talk.json", "sessions delete talk"),
    "archive twice": ("sessions archive --older-than 0d", "PRECIOUS talk.json", "sessions archive --older-than 0d"),
    "rename": ("sessions rename talk other",),
    "backup over a changed copy": ("sessions backup copy", "PRECIOUS copy/talk.json", "sessions backup copy"),
    "backup over a damaged copy": ("sessions backup copy", "BREAK copy/talk.json", "sessions backup copy"),
    "backup of a damaged file": ("sessions backup copy", "BREAK talk.json", "sessions backup copy"),
    "export": ("PRECIOUS notes.md", "sessions export md notes.md --session talk"),
    "export with force": ("PRECIOUS notes.md", "sessions export md notes.md --session talk --force"),
    "import": ("PRECIOUS imported.json", "sessions import lines.jsonl"),
    "fork": ("PRECIOUS other.json", "sessions fork talk other"),
}
"""Commands that could overwrite something. PRECIOUS writes a session with words of its own to a file, BREAK damages
one that has them; names are in the sessions directory, copies and notes beside it."""


def replacements() -> Iterator[tuple[str, Complain]]:
    """Run commands whose target already exists."""
    for case, steps in OVERWRITING.items():
        yield case, lambda cli, steps=steps: _replacement(cli, steps)  # type: ignore[misc]


def _replacement(cli: CliRunner, steps: tuple[str, ...]) -> str:
    precious = 0
    (cli.runs / "talk.json").write_bytes(session(f"{PRECIOUS} {precious}"))
    (cli.runs / "talk.json.gz").write_bytes(gzip.compress(session("old"))[:-12])
    (cli.runs / "other.json").write_bytes(session("other"))
    (cli.runs / "broken.json").write_bytes(session("broken")[:-40])
    line = {"messages": [{"role": "user", "content": "imported"}, {"role": "assistant", "content": "yes"}]}
    (cli.cwd / "lines.jsonl").write_text(json.dumps(line) + "\n")
    if steps[0] != "sessions recover talk.json.gz":
        (cli.runs / "talk.json.gz").unlink()
    for step in steps:
        what, _, name = step.partition(" ")
        path = cli.cwd / name if name.startswith(("copy/", "notes")) else cli.runs / name
        if what in ("PRECIOUS", "BREAK"):
            precious += 1
            data = session(f"{PRECIOUS} {precious}")
            path.unlink(missing_ok=True) if what == "PRECIOUS" and path.name != "talk.json" else None
            if path.exists() and what == "BREAK":
                precious -= 1
                data = path.read_bytes()
                if PRECIOUS.encode() not in data:
                    precious += 1
                    data = session(f"{PRECIOUS} {precious}")
            path.write_bytes(data if what == "PRECIOUS" else data[:-30])
        elif said := failed(cli.llm(*step.split()), 0, 2, 3):
            return f"{step}: {said}"
    found = everything(cli.cwd)
    lost = [n for n in range(precious + 1) if f"{PRECIOUS} {n} ".encode() not in found]
    overwritten_by_us = [n for n in lost if n < precious and any(step.startswith("PRECIOUS copy") for step in steps)]
    return f"precious words {lost} are gone" if set(lost) - set(overwritten_by_us) else ""


MOVES = ("renamed", "copied back", "replaced by a link", "removed", "file linked", "file removed", "file touched")
"""What happens to the directory, or to the file, of a session that is open."""


def moves() -> Iterator[tuple[str, Complain]]:
    """Move the directory or the file of an open session after some turns."""
    for way in MOVES:
        for after in range(4):
            for size in (10, 300 << 10):
                yield (
                    f"{way} after {after} turns, {size} bytes",
                    lambda cli, way=way, after=after, size=size: _moved(cli, way, after, size),  # type: ignore[misc]
                )


def _moved(cli: CliRunner, way: str, after: int, size: int) -> str:
    (cli.runs / "talk.json").write_bytes(session("x" * size, 1))

    def typed() -> Iterator[str]:
        for number in range(4):
            if number == after:
                _move(cli, way)
            yield f"words {number}.\n"

    ran = cli.llm("chat", "-m", "offline/echo", "-r", "talk", typed=typed())
    cli.llm("sessions", "list")
    found = everything(cli.cwd).decode("utf-8", "replace")
    first = after if way in ("removed", "file removed") else 0  # what was removed is gone by intent, unless still known
    lost = [number for number in range(first, 4) if found.count(f"words {number}.") < 2]
    return failed(ran) or (f"turns {lost} are in no session" if lost else "")


def _move(cli: CliRunner, way: str) -> None:
    runs, aside, file = cli.runs, cli.cwd / "aside", cli.runs / "talk.json"
    if way in ("renamed", "copied back", "replaced by a link"):
        runs.rename(aside)
    if way == "copied back":
        shutil.copytree(aside, runs)
    elif way == "replaced by a link":
        runs.symlink_to(aside)
    elif way == "removed":
        shutil.rmtree(runs)
    elif way == "file linked":
        file.rename(cli.cwd / "elsewhere.json")
        file.symlink_to("../elsewhere.json")
    elif way == "file removed":
        file.unlink()
    elif way == "file touched":
        file.touch()


KINDS: dict[str, Callable[[], Iterator[tuple[str, Complain]]]] = {
    "journal": journals,
    "archive": archives,
    "index": indexes,
    "replace": replacements,
    "move": moves,
}
