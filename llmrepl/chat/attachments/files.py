"""Attach files: text, images and PDFs, by path, glob or directory."""

from __future__ import annotations

import glob
import mimetypes
import os
import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from llmrepl.chat.attachments.found import MAX_BYTES, MAX_VISITED, Found, check_amount, describe_left_out
from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name, short_path
from llmrepl.types import Attachment

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")

PDF = "application/pdf"

_WILD = ("*", "?", "[")


def from_path(given: Path, cwd: Path) -> Found:
    """Attach a file, the text files below a directory, or all that a glob matches.

    A path that exists is never a glob. Raises UsageError if there is nothing to attach.
    """
    if given.is_dir():
        return _from_directory(given, cwd)
    if not given.exists() and any(mark in str(given) for mark in _WILD):
        return _from_glob(given, cwd)
    return Found([from_file(given, _shown(given, cwd))])


def _from_directory(directory: Path, cwd: Path) -> Found:
    from llmrepl.chat.attachments.directory import text_files

    found = Found()
    shown, size = escape_name(_shown(directory, cwd)), 0
    for path in text_files(directory, found):
        attachment = _text_file(path, cwd, found)
        if attachment:
            found.attachments.append(attachment)
            size += len(attachment.data)
            check_amount(len(found.attachments), size)
    if not found.attachments:
        raise UsageError(f"{shown} has no text files to attach.", f"Left out: {describe_left_out(found)}.")
    return found


def _from_glob(pattern: Path, cwd: Path) -> Found:
    """Attach the files that a glob matches. With `**` what .gitignore names is left out, as in a directory."""
    found, size = Found(), 0
    for path in _matching(pattern, found):
        try:
            attachment = from_file(path, _shown(path, cwd))
        except _NotAttachableError as wrong:
            found.leave_out(wrong.why)
            continue
        found.attachments.append(attachment)
        size += len(attachment.data)
        check_amount(len(found.attachments), size)
    if not found.attachments:
        shown, left_out = escape_name(_shown(pattern, cwd)), describe_left_out(found)
        raise UsageError(f"No file matches {shown}.", f"Left out: {left_out}." if left_out else "Check the pattern")
    return found


def _matching(pattern: Path, found: Found) -> Sequence[Path]:
    matches = list(islice(glob.iglob(str(pattern), recursive=True), MAX_VISITED + 1))
    if len(matches) > MAX_VISITED:
        raise UsageError(f"More than {MAX_VISITED:,} files match.", "':attach' takes a narrower pattern")
    paths: Iterable[Path] = (path for path in map(Path, sorted(matches)) if path.is_file())
    if "**" in pattern.parts:
        from llmrepl.chat.attachments.directory import not_ignored

        paths = not_ignored(paths, _fixed_part(pattern), found)
    return list(paths)


def _fixed_part(pattern: Path) -> Path:
    """Return the directory that a glob begins with."""
    parts: list[str] = []
    for part in pattern.parts:
        if any(mark in part for mark in _WILD):
            break
        parts.append(part)
    return Path(*parts)


class _NotAttachableError(UsageError):
    """A file of a kind that cannot be attached; `why` is short."""

    why = "not text"


_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def from_file(path: Path, shown: str) -> Attachment:
    """Read a text file, image or PDF, called `shown` in messages. Raises UsageError for anything else."""
    name = escape_name(shown)
    try:
        if not path.is_file():
            if _OTHER_SCHEME.match(shown):
                raise UsageError(f"'{name}' cannot be attached.", "Only http and https addresses are fetched")
            raise UsageError(f"'{name}' is not a file.", "Check the path")
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{name} is larger than {MAX_BYTES >> 20} MiB", "attach a part of it")
        data = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        raise UsageError(f"Cannot read {name}: {why}.", "Check the path") from error
    if data.startswith(b"%PDF-"):
        from llmrepl.chat.attachments.pdf import count_pages

        return Attachment(shown, PDF, data, count_pages(data, shown))
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind in IMAGES:
        return Attachment(shown, kind, data)
    if not is_text(data):
        raise _NotAttachableError(f"{name} is not text, an image or a PDF", "attach text, PNG, JPEG, GIF, WebP or PDF")
    return Attachment(shown, "text/plain", data)


def is_text(data: bytes) -> bool:
    """Whether a file is UTF-8 text; NUL characters are in binary files only."""
    if b"\0" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _text_file(path: Path, cwd: Path, found: Found) -> Attachment | None:
    """Read a text file of a directory; None if it is something else, which is counted."""
    try:
        if path.stat().st_size > MAX_BYTES:
            found.leave_out(f"larger than {MAX_BYTES >> 20} MiB")
            return None
        data = path.read_bytes()
    except OSError:
        found.leave_out("unreadable")
        return None
    if not is_text(data):
        found.leave_out("not text")
        return None
    return Attachment(_shown(path, cwd), "text/plain", data)


def from_pipe(text: str) -> Attachment:
    """Attach text from standard input."""
    return Attachment("standard input", "text/plain", text.encode("utf-8", "replace"))


def _shown(path: Path, cwd: Path) -> str:
    return short_path(Path(os.path.normpath(path)), cwd).removeprefix("./")
