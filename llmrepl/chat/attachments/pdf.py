"""PDF attachments: what a provider takes as it is, and their text for the others."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from llmrepl.errors import UsageError
from llmrepl.formatting import escape_name

if TYPE_CHECKING:
    from pypdf import PdfReader

_SECONDS = 60.0
"""Longest time spent on the text of a PDF."""

_PASSWORD_HINT = "remove the password in a PDF reader, or attach the text: ':attach !pdftotext -upw PASSWORD FILE -'"


@lru_cache(maxsize=4)
def count_pages(data: bytes, shown: str) -> int:
    """Count the pages. Raises UsageError for a PDF that needs a password or is damaged."""
    return len(_open(data, shown).pages)


@lru_cache(maxsize=4)
def text_of(data: bytes, shown: str) -> str:
    """Extract the text, a heading for each page; empty if there is none, as in a scan. Raises UsageError."""
    reader = _open(data, shown)
    return "\n\n".join(_pages(reader, shown))


def _pages(reader: PdfReader, shown: str) -> Iterator[str]:
    from pypdf.errors import DependencyError, PyPdfError

    end = time.monotonic() + _SECONDS
    for number, page in enumerate(reader.pages, 1):
        try:
            text = page.extract_text().strip()
        except (PyPdfError, DependencyError, *_BUGS):
            text = ""
        if text:
            yield f"[page {number}]\n{text}"
        if time.monotonic() > end:
            what = f"The text of {escape_name(shown)} takes more than {_SECONDS:.0f} seconds to read."
            raise UsageError(what, "attach a part of it, or choose a model that takes PDFs")


_BUGS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
"""What pypdf raises for damaged files besides its own errors."""


def _open(data: bytes, shown: str) -> PdfReader:
    import logging

    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns on stderr about each oddity of a file
    name = escape_name(shown)
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise UsageError(f"{name} has a password.", _PASSWORD_HINT)
        if not len(reader.pages):
            raise UsageError(f"{name} has no pages.", "check the file")
    except (PyPdfError, DependencyError, OSError, *_BUGS) as error:
        raise UsageError(
            f"{name} cannot be read as a PDF: {escape_name(str(error))[:100]}.", "check the file"
        ) from None
    return reader
