"""Reserve an unused session name so that no other shell takes it."""

from __future__ import annotations

import os
from pathlib import Path

from llmrepl.errors import SessionInUseError, UsageError
from llmrepl.formatting import escape_name
from llmrepl.sessions.storage.journal import Journal, journal_path


def claim_beside(path: Path, *, first: bool = False, besides: Path | None = None) -> tuple[Path, Journal]:
    """Claim `path`, NAME-2 or the next free name and return it with its journal. Without `first`, start at NAME-2.

    A compressed file `besides` may have the name.
    """
    stem = path.name.removesuffix(".json")
    number = 1 if first else 2
    while True:
        candidate = path if number == 1 else path.with_name(f"{stem}-{number}.json")
        try:
            return candidate, claim_free(candidate, besides=besides)
        except UsageError:
            number += 1


def claim_free(path: Path, *, besides: Path | None = None) -> Journal:
    """Claim the journal of an unused name; a compressed file `besides` may exist. Raises UsageError if taken."""
    taken = UsageError(f"A session {escape_name(path.name)} exists.", "Choose another name")
    packed = path.with_name(f"{path.name}.gz")
    if os.path.lexists(path) or (packed != besides and os.path.lexists(packed)):
        raise taken
    try:
        journal = Journal.claim(journal_path(path))
    except SessionInUseError as error:
        raise taken from error
    if os.path.lexists(path):
        journal.remove()
        raise taken
    if any("turn" in record for record in journal.records()[0]):  # left by a shell that died: must not be emptied
        journal.release()
        raise taken
    return journal
