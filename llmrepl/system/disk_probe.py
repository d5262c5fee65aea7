"""Try in a directory whether the calls that keep sessions safe do what the program relies on.

Each call is made on files in a directory of its own, which is removed afterwards. Nothing short of a power cut proves
that `fsync` reaches the disk. What can be seen is reported: an error, a library that replaces a C library function
(as libeatmydata does), and a file system whose server decides.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmrepl.system import files

CALLS = ("fsync", "fdatasync", "flock", "rename", "link", "open", "write")
"""Functions of the C library that saving a session depends on."""

REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse", "vboxsf", "prl_fs")
"""File systems, or the part before a dot, whose server decides what locks, renames and fsync do."""

_TRY_LOCK = "import fcntl,sys\nf=open(sys.argv[1],'ab')\ntry: fcntl.flock(f,6)\nexcept OSError: sys.exit(9)\n"


@dataclass(frozen=True)
class Check:
    """What was tried, whether it holds (None if that is unknown), and what was seen."""

    name: str
    holds: bool | None
    seen: str


def probe(directory: Path) -> list[Check]:
    """Try every call in `directory`, which must exist; what the system refuses is a check that does not hold."""
    checks = [*replaced_functions(), _file_system(directory)]
    try:
        place = Path(tempfile.mkdtemp(prefix=".llm-doctor-", dir=directory))
    except OSError as error:
        return [*checks, Check("write", False, files.reason(error))]
    try:
        for name, attempt in _ATTEMPTS.items():
            try:
                checks.append(Check(name, *attempt(place)))
            except OSError as error:
                checks.append(Check(name, False, files.reason(error)))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return checks


def replaced_functions() -> Iterator[Check]:
    """Yield a check for each function of CALLS that another library than the C library provides."""
    try:
        libc = ctypes.CDLL(None)
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return
    for name in CALLS:
        address = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        library = _library_at(maps, address)
        if library and not library.startswith(("libc.so", "libc-", "ld-musl", "libpthread", "python")):
            yield Check(name, False, f"{library} stands in for the C library and may not do it")


def _library_at(maps: str, address: int) -> str:
    """The name of the file that is mapped at an address (proc(5), /proc/pid/maps)."""
    for line in maps.splitlines():
        fields = line.split(None, 5)
        start, _, end = fields[0].partition("-")
        if len(fields) == 6 and int(start, 16) <= address < int(end, 16):
            return Path(fields[5]).name
    return ""


def _file_system(directory: Path) -> Check:
    """The type of the file system, from the longest mount point above the directory (proc(5), mountinfo)."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Check("file system", None, "unknown")
    real = os.path.realpath(directory)
    found = [(fields[4], fields[fields.index("-") + 1]) for line in lines if "-" in (fields := line.split())]
    above = [(len(point), kind) for point, kind in found if f"{real}/".startswith(f"{point.rstrip('/')}/")]
    kind = max(above)[1] if above else "unknown"
    if kind.partition(".")[0] in REMOTE:
        return Check("file system", None, f"{kind}: its server decides what locks, renames and fsync do")
    return Check("file system", True, kind)


def _locks(place: Path) -> tuple[bool, str]:
    path = place / "lock"
    files.create_private(path)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        done = subprocess.run([sys.executable, "-I", "-S", "-c", _TRY_LOCK, str(path)], check=False, timeout=30)
    if done.returncode == 9:
        return True, "a second process is kept out"
    return False, "a second process got a lock that this one holds"


def _renames(place: Path) -> tuple[bool, str]:
    old, new = place / "old", place / "new"
    files.create(new, b"before")
    files.create(old, b"after")
    os.rename(old, new)
    if old.exists() or new.read_bytes() != b"after":
        return False, "a rename did not replace the file"
    return True, "a rename replaces the file"


def _exclusive(place: Path) -> tuple[bool, str]:
    path = place / "exclusive"
    files.create(path, b"first")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return True, "a file that exists is not created again"
    return False, "a file that exists was created again"


def _fsync(place: Path) -> tuple[bool, str]:
    path = place / "fsync"
    files.create_private(path)
    for target, flags in ((path, os.O_RDWR), (place, os.O_RDONLY)):
        fd = os.open(target, flags)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    return True, "files and directories accept it"


_ATTEMPTS: dict[str, Callable[[Path], tuple[bool, str]]] = {
    "locks": _locks,
    "renames": _renames,
    "exclusive creation": _exclusive,
    "fsync accepted": _fsync,
}
