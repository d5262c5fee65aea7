"""Read SQLite databases of other programs without writing anything, not even the files beside them.

A database is opened as immutable. If its program has it open and has not yet moved the last transactions from the
write-ahead log into it, they are applied to a copy in memory, as https://www.sqlite.org/fileformat2.html describes.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from llmrepl.formatting import escape_controls
from llmrepl.sessions.importing.source_file import ImportFileError, SourceFile
from llmrepl.system import files
from llmrepl.system.limits import MAX_CONVERSATION_CHARACTERS

SIGN = b"SQLite format 3\0"
MAX_TEXT = MAX_CONVERSATION_CHARACTERS
"""Maximum size of one value in the database, in bytes."""

MAX_IN_MEMORY = 1 << 28
"""Size of a database with a write-ahead log, which is copied to memory."""

_WAL_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")
_WAL_MAGIC = 0x377F0682


@contextmanager
def open_database(file: SourceFile) -> Iterator[sqlite3.Connection]:
    """Open the database for reading. Raises ImportFileError for errors of SQLite inside the block too."""
    try:
        with closing(_connect(file)) as db:
            db.row_factory = sqlite3.Row
            db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT)
            db.execute("PRAGMA trusted_schema = OFF")
            yield db
    except sqlite3.Error as error:
        why = f"the database is damaged or of another version ({escape_controls(str(error))})"
        raise ImportFileError(file.name, why) from error
    except UnicodeDecodeError as error:  # SQLite's own message quotes damaged text
        raise ImportFileError(file.name, "the database is damaged") from error
    except OSError as error:
        raise ImportFileError(file.name, files.reason(error)) from error


def read_schema(file: SourceFile) -> dict[str, set[str]]:
    """Return the columns of each table; nothing for a file that is no database. Raises ImportFileError."""
    if not file.head.startswith(SIGN):
        return {}
    with open_database(file) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: table_columns(db, table) for table in tables if isinstance(table, str)}


def table_columns(db: sqlite3.Connection, table: str) -> set[str]:
    """Return the names of a table's columns."""
    return {row[0] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _connect(file: SourceFile) -> sqlite3.Connection:
    if file.in_archive:
        return _in_memory(file.raw)
    beside = Path(f"{os.path.realpath(file.path)}-wal")
    if wal := _size(beside):
        if wal + file.path.stat().st_size > MAX_IN_MEMORY:
            raise ImportFileError(file.name, "another program has it open: close that first")
        return _in_memory(apply_wal(file.raw, files.read_regular(beside, MAX_IN_MEMORY)))
    if _size(Path(f"{os.path.realpath(file.path)}-journal")):
        raise ImportFileError(file.name, "another program is writing it: close that first")
    return sqlite3.connect(f"file:{quote(os.path.abspath(file.path))}?mode=ro&immutable=1", uri=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _in_memory(raw: bytes) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.deserialize(raw[:18] + b"\1\1" + raw[20:])  # a database in memory has no write-ahead log
    return db


def apply_wal(database: bytes, wal: bytes) -> bytes:
    """Return the database with the committed transactions of its write-ahead log; a torn end of the log is ignored."""
    if len(wal) < _WAL_HEADER.size:
        return database
    magic, _, page_size, _, *salts_and_sums = _WAL_HEADER.unpack_from(wal)
    if magic | 1 != _WAL_MAGIC | 1 or not page_size:
        return database
    order = ">" if magic & 1 else "<"
    salts, sums = salts_and_sums[:2], _checksum(order, wal[:24], (0, 0))
    pages: dict[int, bytes] = {}
    committed: dict[int, bytes] = {}
    page_count = 0
    for at in range(_WAL_HEADER.size, len(wal) - _FRAME_HEADER.size - page_size + 1, _FRAME_HEADER.size + page_size):
        number, commit, *rest = _FRAME_HEADER.unpack_from(wal, at)
        page = wal[at + _FRAME_HEADER.size : at + _FRAME_HEADER.size + page_size]
        sums = _checksum(order, wal[at : at + 8] + page, sums)
        if rest[:2] != salts or tuple(rest[2:]) != sums:
            break
        pages[number] = page
        if commit:
            committed |= pages
            pages, page_count = {}, commit
    if not page_count:
        return database
    result = bytearray(database[: page_count * page_size].ljust(page_count * page_size, b"\0"))
    for number, page in committed.items():
        if 0 < number <= page_count:
            result[(number - 1) * page_size : number * page_size] = page
    return bytes(result)


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
