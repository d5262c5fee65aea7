"""Hostile files and names: each is listed, refused or repaired, and does no harm.

Cases come in batches. A batch is one directory in a process of its own, with a limit of memory and of time; the
program runs in that process, command after command, and everything that it writes is looked at.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import select
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from tests.cli_runner import CliRunner, Ran
from tests.faults.hostile import Hostile, every, session, written
from tests.faults.hostile_names import GIVEN, LYING, REFUSED, odd_things
from tests.faults.report import Outcome

PART = "files"
BATCH = 30
SECONDS = 90
MEMORY = 2 << 30
FORMATS = ("txt", "md", "csv", "json", "html", "jsonl")
NEIGHBOUR = "neighbour"

_VALID = written(session()).replace(b"A title", NEIGHBOUR.encode()).replace(b"answer 0", NEIGHBOUR.encode())

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MISHAP = re.compile(r"Traceback|something went wrong inside")

Complaint = tuple[str, str, str]
"""A case, which promise was broken (`lost`, `damaged`, `hung` or `leaked`), and a sentence."""


def run(stride: int = 1) -> Iterator[Outcome]:
    """Run every `stride`-th case."""
    cases = islice(every(), 0, None, stride)
    while batch := list(islice(cases, BATCH)):
        yield from _outcomes([hostile.case for hostile in batch], partial(_files, batch))
    yield from _outcomes(["names that lie in the directory", *map(ascii, LYING)], _lying)
    yield from _outcomes([f"the name {name!a}" for name in GIVEN[::stride]], partial(_given, GIVEN[::stride]))


def _outcomes(cases: list[str], work: Callable[[], list[Complaint]]) -> Iterator[Outcome]:
    """Return an outcome for each case of a batch."""
    complaints, why = apart(work, SECONDS)
    broken: dict[str, list[Complaint]] = {}
    for complaint in complaints:
        broken.setdefault(complaint[0], []).append(complaint)
    for case in dict.fromkeys([*cases, *broken]):
        kinds = {kind for _, kind, _ in broken.get(case, [])}
        said = "; ".join(sentence for _, _, sentence in broken.get(case, []))
        yield Outcome(
            PART,
            case,
            lost="lost" in kinds,
            damaged="damaged" in kinds,
            hung=bool(why),
            leaked="leaked" in kinds,
            said=why or said,
        )


def apart(work: Callable[[], list[Complaint]], seconds: float) -> tuple[list[Complaint], str]:
    """Run `work` in a process of its own; return its complaints, and why it did not finish if so."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
            code = 0
        except Exception:  # noqa: BLE001 - a forked process must not go on as a second one of us
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    raw = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], seconds)[0]:
            if not (piece := pipe.read(1 << 16)):
                break
            raw += piece
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return [], f"it took more than {seconds:g} s"
    status = os.waitpid(child, 0)[1]
    return ([], f"the process ended with {status}") if status else ([tuple(one) for one in json.loads(raw)], "")


class Place:
    """A new user's directory with a valid session and other files, none of which may change."""

    def __init__(self, top: Path) -> None:
        self.cli = CliRunner.at(top)
        self.runs = self.cli.runs
        self.outside = top / "outside"
        self.complaints: list[Complaint] = []
        self.runs.mkdir()
        self.outside.mkdir()
        (self.cli.cwd / "exports").mkdir()
        (self.outside / "valid.json").write_bytes(written(session()))
        (self.outside / "bad.json").write_bytes(written(session())[:-20])
        (self.runs / f"{NEIGHBOUR}.json").write_bytes(_VALID)
        self._before = self._elsewhere()

    def complain(self, case: str, kind: str, sentence: str) -> None:
        """Record a broken promise."""
        self.complaints.append((case, kind, sentence))

    def llm(self, case: str, codes: tuple[int, ...], *words: str, typed: str = "") -> Ran:
        """Run `llm WORDS`. It must exit with one of `codes` and print no control sequences."""
        try:
            ran = self.cli.llm(*words, typed=typed)
        except Exception as bug:  # noqa: BLE001 - whatever comes out of it is the finding
            self.complain(case, "damaged", f"{words!a}: {type(bug).__name__}: {bug}")
            return Ran(-1, "", "")
        if ran.code not in codes or _MISHAP.search(ran.out + ran.err):
            self.complain(case, "damaged", f"{words!a} ended with {ran.code}: {ran.err[-300:]!a}")
        if found := _OBEYED.search((ran.out + ran.err).replace("\r\n", "\n")):
            self.complain(case, "leaked", f"{words!a} showed {found[0]!a}")
        return ran

    def look(self, case: str) -> None:
        """Check that commands over all sessions still work and that no other file was changed."""
        listed = self.llm(case, (0,), "sessions", "list", "--format", "json").out
        if f'"{NEIGHBOUR}.json"' not in listed:
            self.complain(case, "lost", f"{NEIGHBOUR} is not listed any more")
        self.llm(case, (0,), "sessions", "list")
        self.llm(case, (0, 3), "sessions", "validate")
        self.llm(case, (0,), "sessions", "stats")
        if NEIGHBOUR not in self.llm(case, (0,), "sessions", "search", NEIGHBOUR).out:
            self.complain(case, "lost", f"{NEIGHBOUR} is not found any more")
        if (self.runs / f"{NEIGHBOUR}.json").read_bytes() != _VALID:
            self.complain(case, "damaged", f"{NEIGHBOUR} was changed")
        if changed := {path for path, _ in self._before ^ self._elsewhere()}:
            self.complain(case, "leaked", f"touched outside of the directory: {sorted(changed)!a}")

    def _elsewhere(self) -> set[tuple[str, bytes]]:
        """Return all files outside the sessions directory except exports and the program's own state."""
        top = self.outside.parent
        files = (Path(place) / name for place, _, names in os.walk(top) for name in names)
        own = (self.runs, self.cli.home / ".local", self.cli.home / ".cache", self.cli.cwd / "exports")
        return {(str(f), f.read_bytes()) for f in files if not any(f.is_relative_to(place) for place in own)}


def _in_place(work: Callable[[Place], None]) -> list[Complaint]:
    with tempfile.TemporaryDirectory() as top:
        place = Place(Path(top))
        work(place)
        return place.complaints


def _files(batch: list[Hostile]) -> list[Complaint]:
    def work(place: Place) -> None:
        cases = [(f"h{number}.json", hostile) for number, hostile in enumerate(batch)]
        for name, hostile in cases:
            (place.runs / name).write_bytes(hostile.raw)
        place.look("a listing with hostile files")
        for name, hostile in cases:
            _one(place, name, hostile)
        place.look("a listing with repaired files")

    return _in_place(work)


def _one(place: Place, name: str, hostile: Hostile) -> None:
    """Show, load, recover, export and rename a hostile file."""
    file, case = place.runs / name, hostile.case
    codes = {True: (0,), False: (3,), None: (0, 3)}[hostile.valid]
    shown = place.llm(case, codes, "sessions", "show", name, "--full")
    place.llm(case, (shown.code,), "sessions", "validate", name)
    place.llm(case, (0, 3), "sessions", "export", "md", "exports/x.md", "--force", "--session", name)
    if file.read_bytes() != hostile.raw:
        place.complain(case, "damaged", "looking at it changed it")
    recovered = place.llm(case, (0, 3), "sessions", "recover", name)
    backup = file.with_name(f"{name}.backup")
    if recovered.code == 0 and shown.code == 3:
        if backup.read_bytes() != hostile.raw:
            place.complain(case, "damaged", "the backup does not hold the damaged bytes")
    elif file.read_bytes() != hostile.raw or backup.exists():
        place.complain(case, "damaged", "it was not recovered, and yet changed")
    if recovered.code:
        if hostile.turns:
            place.complain(case, "lost", f"nothing came back of {len(hostile.turns)} turns")
        return
    if missing := set(hostile.turns) - set(_asked(file.read_bytes())):
        place.complain(case, "lost", f"these did not come back: {sorted(missing)}")
    _go_on(place, case, name)


def _go_on(place: Place, case: str, name: str) -> None:
    """Load, export in every format, and rename what can be read now."""
    exports = "".join(f":export {form} exports/y.{form} --force\n" for form in FORMATS)
    raw = (place.runs / name).read_bytes()
    codes = (0,) if _asked(raw) else (0, 2)  # there may be no turn to export
    place.llm(case, codes, "chat", "-m", "offline/echo", "--allow-shell", typed=f":load {name}\n{exports}:history\n")
    renamed = place.llm(case, (0,), "sessions", "rename", name, f"moved-{name}")
    if renamed.code == 0 and _asked(raw) != _asked((place.runs / f"moved-{name}").read_bytes()):
        place.complain(case, "lost", "it was not the same any more under another name")


def _asked(raw: bytes) -> list[str]:
    """Return the prompts in a valid session file."""
    data = json.loads((gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode("utf-8-sig"))
    messages = (message for turn in data["turns"] for message in turn["messages"])
    return [str(message.get("content")) for message in messages if message.get("role") == "user"]


def _lying() -> list[Complaint]:
    def work(place: Place) -> None:
        for lying in LYING:
            with open(os.fsencode(place.runs) + b"/" + lying, "wb") as file:
                file.write(written(session(1)))
        names = [*odd_things(place.runs, place.outside), *map(os.fsdecode, LYING)]
        place.look("a listing with lying names")
        for name in names:
            case = ascii(os.fsencode(name))
            for words in (("show",), ("validate",), ("recover",), ("export", "md", "exports/z.md", "--force")):
                given = ("--session", name) if words[0] == "export" else ("--", name)
                place.llm(case, (0, 1, 2, 3, 4), "sessions", *words, *given)
            if "\n" not in name and "\r" not in name and name.isprintable():
                typed = f":load {name}\n:export txt exports/z.txt --force\n"
                chat = ("chat", "-m", "offline/echo", "--keep-going", "--allow-shell")
                place.llm(case, (0, 1, 2, 3, 4), *chat, typed=typed)
            place.look(case)

    return _in_place(work)


def _given(names: Sequence[str]) -> list[Complaint]:
    def work(place: Place) -> None:
        for name in names:
            case = f"the name {name!a}"
            codes = (2,) if name in REFUSED else (0, 2)
            place.llm(case, codes, "sessions", "rename", "--", NEIGHBOUR, name)
            _put_back(place)
            place.llm(case, (0, 2, 3), "sessions", "show", "--", name)
            place.llm(case, codes, "chat", "-m", "offline/echo", f"--name={name}", typed="hello\n")
            if "\n" not in name and "\r" not in name and name.strip():
                typed = f"hello\n:save {name}\n:load {name}\n:fork {name}\n"
                place.llm(case, (0, 2, 3), "chat", "-m", "offline/echo", "--keep-going", typed=typed)
            place.look(case)
            made = [file for file in os.listdir(place.runs) if _OBEYED.search(file) or len(os.fsencode(file)) > 230]
            if made:
                place.complain(case, "leaked", f"files with names that travel badly: {made!a}")

    return _in_place(work)


def _put_back(place: Place) -> None:
    """Rename the neighboring session back, if it was renamed."""
    home = place.runs / f"{NEIGHBOUR}.json"
    for file in () if home.exists() else place.runs.glob("*.json"):
        if file.read_bytes() == _VALID:
            file.rename(home)
            return
