"""Invalid session names, odd names in the directory, and entries that are not files."""

from __future__ import annotations

import os
import socket
from pathlib import Path

REFUSED = (
    "",
    " ",
    "   ",
    ".",
    "..",
    "../x",
    "a/../../b",
    "/etc/x",
    "~/x",
    "~root",
    "C:\\x",
    "a\\b",
    "a/b",
    ".hidden",
    " x",
    "x ",
    "x.",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\x1b[31mb",
    "a\x07b",
    "a\x7fb",
    "a\x9bb",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\u2028b",
    "a\ufeffb",
    "a\U000e0041b",
    "CON",
    "con",
    "nul.txt",
    "aux",
    "COM1",
    "lpt9.x",
    "a:b",
    "a<b",
    "a>b",
    "a|b",
    "a?b",
    'a"b',
    "a*b",
    "x" * 201,
    "x" * 255,
    "x" * 5000,
    "\u00e9" * 101,
    "\N{PARTY POPPER}" * 51,
    "\udcff",
    "a\ud83d",
    "...",
    "..json",
    "../../../../etc/passwd",
    "x/.json",
    "\u0000",
)
"""Names that no session can get."""

ODD = (
    "$(x)",
    "`x`",
    "${HOME}",
    "a;b",
    "a&b",
    "a'b",
    "a b",
    "%s",
    "{0}",
    "-rf",
    "--dir",
    "-",
    "--",
    "#x",
    ":x",
    "x.json",
    "x.json.gz",
    "x.json.json",
    "\N{PARTY POPPER}",
    "e\u0301",
    "\u00e9",
    "\u65e5\u672c",
    "NEIGHBOUR",
    "Neighbour.JSON",
    "x" * 200,
    "!x",
    "x=y",
    "[bold]x[/bold]",
    "<b>"[1:2],
    "nan",
    "0",
    "x.backup",
    "x.journal",
    "trash",
    "archive",
)
"""Names that are odd: each is taken for what it is, or refused."""

GIVEN = REFUSED + ODD

LYING = (
    b"a\x1b[31mred.json",
    b"a\nb.json",
    b"a\rb.json",
    b"a\tb.json",
    "a\u202egnp.json".encode(),
    b"a\x07.json",
    "a\x9b31m.json".encode(),
    b"a\x9b31m.json",
    b"\xff\xfe.json",
    b"\xed\xa0\x80.json",
    b"x" * 250 + b".json",
    "\u65e5".encode() * 83 + b".json",
    b"-rf.json",
    b"--dir=x.json",
    b" blank .json",
    b"$(x).json",
    b"`x`.json",
    b"Neighbour.json",
    b"NEIGHBOUR.json",
    "e\u0301.json".encode(),
    "\u00e9.json".encode(),
    b"CON.json",
    b"nul.json",
    b".hidden.json",
    b".json",
    b".json.gz",
    b"..json",
    b"...json",
    b"a\\b.json",
    b"a:b.json",
    b"*.json",
    b"?.json",
    b"[a].json",
    b"~.json",
    b"%s.json",
    b"{0}.json",
    b"[bold]x[bold].json",
    b"x.json.json",
    b"x.json.json.gz",
    b"a'b\".json",
    b"x.json.backup",
    b".x.journal",
    b".neighbour.journal.tmp",
    b".x.abc.tmp",
    b"\xe2\x80\xa8.json",
)
"""Names of files that other programs put into the directory."""


def odd_things(runs: Path, outside: Path) -> list[str]:
    """Create entries named like sessions that are not plain files; return their names. Links lead to `outside`."""
    (runs / "directory.json").mkdir()
    (runs / "full.json").mkdir()
    (runs / "full.json" / "inner.json").write_text("{}")
    (runs / "packed.json.gz").mkdir()
    os.mkfifo(runs / "fifo.json")
    (runs / "loop.json").symlink_to("loop.json")
    (runs / "ping.json").symlink_to("pong.json")
    (runs / "pong.json").symlink_to("ping.json")
    (runs / "dangling.json").symlink_to(outside / "nowhere.json")
    (runs / "valid_link.json").symlink_to(outside / "valid.json")
    (runs / "bad_link.json").symlink_to(outside / "bad.json")
    (runs / "device.json").symlink_to("/dev/zero")
    (runs / "upward.json").symlink_to("..")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(runs, os.O_RDONLY)  # a socket's path must be short
        listener.bind(f"/proc/self/fd/{here}/socket.json")
        os.close(here)
    (runs / ".dangling.journal").symlink_to(outside / "nowhere.journal")
    os.mkfifo(runs / ".fifo.journal")
    (runs / ".directory.journal").mkdir()
    return sorted(name for name in os.listdir(runs) if not name.startswith("."))
